//! `noxctl webhook deliveries`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use super::place;
use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
struct Delivery {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    state: String,
    attempts: u32,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    status: Option<u32>,
    error: Option<String>,
}

const HEAD: [&str; 7] = ["id", "type", "state", "attempts", "answer", "created", "next attempt"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let path = format!("{}/deliveries", place(&args.id));
    let list = List { path: &path, member: "deliveries", query: "" };
    let deliveries = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&deliveries, &HEAD, |of: Delivery| {
        let answer = of.status.map(|status| status.to_string()).or(of.error);
        let answer = answer.unwrap_or_else(|| "-".to_owned());
        let (created, next) = (when.told(of.created_at), when.told_if(of.next_attempt_at));
        vec![of.id, of.event_type, of.state, of.attempts.to_string(), answer, created, next]
    })?;
    Ok(Exit::Done)
}
