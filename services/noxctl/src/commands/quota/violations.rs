//! `noxctl quota violations`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
struct Violation {
    at: Timestamp,
    job_id: String,
    module: String,
    account: String,
    code: String,
    message: String,
}

const HEAD: [&str; 6] = ["job_id", "at", "module", "account", "code", "message"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/quotas/my/violations", member: "violations", query: "" };
    let violations = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(
        &violations,
        &HEAD,
        |Violation { at, job_id, module, account, code, message }| {
            vec![job_id, when.told(at), module, account, code, message]
        },
    )?;
    Ok(Exit::Done)
}
