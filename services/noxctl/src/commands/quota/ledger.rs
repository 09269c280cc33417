//! `noxctl quota ledger`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

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

/// Core seconds of a job.
#[derive(Deserialize)]
struct Line {
    job_id: String,
    period: Timestamp,
    reservation: i64,
    reserved: i64,
    used: i64,
    released: i64,
    overrun: i64,
}

const HEAD: [&str; 7] =
    ["job_id", "period", "reservation", "reserved", "used", "released", "overrun"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/quotas/my/ledger", member: "ledger", query: "" };
    let lines = list.read(client, &args.limit).await?;
    output.list(&lines, &HEAD, |line: Line| {
        let seconds = [line.reservation, line.reserved, line.used, line.released, line.overrun];
        let names = [line.job_id, line.period.to_string()];
        names.into_iter().chain(seconds.map(|seconds| seconds.to_string())).collect()
    })?;
    Ok(Exit::Done)
}
