//! `noxctl schedule list`.

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
struct Schedule {
    id: String,
    name: String,
    user_id: String,
    cron: String,
    time_zone: String,
    paused: bool,
    next_due_at: Option<Timestamp>,
    last: Option<Last>,
}

#[derive(Deserialize)]
struct Last {
    outcome: String,
}

const HEAD: [&str; 7] = ["id", "name", "user", "cron", "time_zone", "next", "last"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/schedules", member: "schedules", query: "" };
    let schedules = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&schedules, &HEAD, |schedule: Schedule| {
        let Schedule { id, name, user_id, cron, time_zone, paused, next_due_at, last } = schedule;
        let next = if paused { "paused".to_owned() } else { when.told_if(next_due_at) };
        let last = last.map_or_else(|| "-".to_owned(), |last| last.outcome);
        vec![id, name, user_id, cron, time_zone, next, last]
    })?;
    Ok(Exit::Done)
}
