//! `noxctl worker list`.

use anyhow::Result;
use nox_contract::{Capacity, Timestamp, fact::ServedModule};
use serde::{Deserialize, de::IgnoredAny};

use super::{capacity_words, module_words};
use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    when::{self, When},
};

#[derive(clap::Args)]
pub struct Args {
    /// Only those that stand so: joined, drained, draining, paused, left or lost; all that are there,
    /// if not given.
    #[arg(long)]
    state: Option<String>,

    /// Those that were there then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
struct Worker {
    id: String,
    state: String,
    capacity: Capacity,
    modules: Vec<ServedModule>,
    running: Vec<IgnoredAny>,
    /// Of all users; for operators.
    running_jobs: Option<i64>,
    /// None of the past.
    last_seen_at: Option<Timestamp>,
}

const HEAD: [&str; 6] = ["id", "state", "running", "seen", "capacity", "modules"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let state = args.state.map(|state| format!("&state={}", encoded(&state))).unwrap_or_default();
    let at = args.at.map(|at| format!("&as_of={}", encoded(&at))).unwrap_or_default();
    let query = state + &at;
    let list = List { path: "/workers", member: "workers", query: &query };
    let workers = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&workers, &HEAD, |worker: Worker| {
        let running = worker
            .running_jobs
            .map_or_else(|| worker.running.len().to_string(), |all| all.to_string());
        let (capacity, modules) = (capacity_words(&worker.capacity), module_words(&worker.modules));
        vec![worker.id, worker.state, running, when.told_if(worker.last_seen_at), capacity, modules]
    })?;
    Ok(Exit::Done)
}
