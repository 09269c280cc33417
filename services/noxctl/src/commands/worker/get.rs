//! `noxctl worker get`.

use anyhow::Result;
use nox_contract::{Capacity, Timestamp, fact::ServedModule};
use serde::Deserialize;

use super::{capacity_words, module_words};
use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::{Format, Output},
    when::{self, NEVER, When},
};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    /// As it was then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,
}

#[derive(Deserialize)]
struct Worker {
    id: String,
    state: String,
    claims: bool,
    capacity: Capacity,
    modules: Vec<ServedModule>,
    labels: Vec<String>,
    drained_by: Option<String>,
    running: Vec<Running>,
    joined_at: Option<Timestamp>,
    last_seen_at: Option<Timestamp>,
    left_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Running {
    job_id: String,
    module: String,
    user_id: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let as_of = when::as_of(args.at.as_deref());
    let answer = client.get(&format!("/workers/{}{as_of}", encoded(&args.id))).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let worker: Worker = answer.read()?;
    let when = When::of(output);
    let kind = if worker.claims { "claims tasks over HTTP" } else { "executor" };
    let mut members = vec![
        ("id", worker.id),
        ("kind", kind.to_owned()),
        ("state", worker.state),
        ("drained by", worker.drained_by.unwrap_or_else(|| NEVER.to_owned())),
        ("capacity", capacity_words(&worker.capacity)),
        ("modules", module_words(&worker.modules)),
        ("labels", worker.labels.join(", ")),
        ("joined", when.told_if(worker.joined_at)),
        ("seen", when.told_if(worker.last_seen_at)),
        ("left", when.told_if(worker.left_at)),
    ];
    members.extend(worker.running.into_iter().map(|Running { job_id, module, user_id }| {
        ("runs", format!("{job_id} ({module}, {user_id})"))
    }));
    output.members("worker", &members)?;
    Ok(Exit::Done)
}
