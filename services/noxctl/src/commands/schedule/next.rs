//! `noxctl schedule next`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use super::place;
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    /// How many times; at most 100.
    #[arg(long, default_value_t = 5)]
    count: usize,
}

#[derive(Deserialize)]
struct Schedule {
    paused: bool,
    next_times: Vec<Timestamp>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(&format!("{}?next={}", place(&args.id), args.count)).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Schedule { paused, next_times } = answer.read()?;
    if paused {
        note!("{} is paused", args.id);
    }
    for at in next_times {
        output.line(&at.to_string())?;
    }
    Ok(Exit::Done)
}
