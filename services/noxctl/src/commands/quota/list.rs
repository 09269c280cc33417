//! `noxctl quota list`.

use anyhow::Result;
use serde::Deserialize;

use super::Usage;
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

#[derive(Deserialize)]
struct Account {
    account: String,
    role: String,
    usage: Vec<Usage>,
}

/// Of what is told of each account, by the API's names.
const USAGES: [&str; 3] = ["cpu_seconds", "queued_jobs", "running_jobs"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/quotas", member: "accounts", query: "" };
    let accounts = list.read(client, &args.limit).await?;
    let head = [&["account", "role"], &USAGES[..]].concat();
    output.list(&accounts, &head, |Account { account, role, usage }| {
        let used = USAGES.map(|name| {
            let usage = usage.iter().find(|usage| usage.quota_type == name);
            usage.map_or_else(|| "-".to_owned(), Usage::words)
        });
        [account, role].into_iter().chain(used).collect()
    })?;
    Ok(Exit::Done)
}
