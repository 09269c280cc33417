//! `noxctl job cancel`.

use anyhow::Result;
use nox_contract::JobId;

use crate::{client::Client, decision, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("/jobs/{}/cancel", args.id), None).await?;
    decision::tell(&answer, output, &args.id.to_string(), "canceled")
}
