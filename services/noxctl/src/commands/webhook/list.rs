//! `noxctl webhook list`.

use anyhow::Result;

use super::show::Webhook;
use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    limit: Limit,
}

const HEAD: [&str; 5] = ["id", "user", "state", "url", "events"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/webhooks", member: "webhooks", query: "" };
    let webhooks = list.read(client, &args.limit).await?;
    output.list(&webhooks, &HEAD, |webhook: Webhook| {
        let (state, events) = (webhook.state(), webhook.events());
        vec![webhook.id, webhook.user_id, state, webhook.url, events]
    })?;
    Ok(Exit::Done)
}
