//! `noxctl job why`: what a job waits for or waited for, and what is in its way.

use anyhow::Result;
use nox_contract::{JobId, Timestamp};
use serde::Deserialize;

use crate::{
    client::Client,
    exit::Exit,
    facts,
    output::{Format, Output},
    when,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
    /// As it stood then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,
    /// Print where it stood from its beginning on, as well.
    #[arg(long)]
    history: bool,
}

#[derive(Deserialize)]
struct Why {
    reason: String,
    history: Vec<Stood>,
}

/// Where it stood for a while.
#[derive(Deserialize)]
struct Stood {
    state: String,
    code: Option<String>,
    attempt: u32,
    from: Timestamp,
    seconds: Option<f64>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let path = format!("/jobs/{}/why{}", args.id, when::as_of(args.at.as_deref()));
    let answer = client.get(&path).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let why: Why = answer.read()?;
    output.lines_of(&why.reason)?;
    if args.history {
        let row = |stood: &Stood| {
            let seconds = stood.seconds.map_or_else(|| "-".to_owned(), |s| format!("{s:.3}"));
            let code = stood.code.clone().unwrap_or_else(|| "-".to_owned());
            let attempt = stood.attempt.to_string();
            vec![facts::clock(stood.from), stood.state.clone(), code, attempt, seconds]
        };
        let rows: Vec<_> = why.history.iter().map(row).collect();
        output.table(&["from", "state", "waits for", "attempt", "seconds"], &rows)?;
    }
    Ok(Exit::Done)
}
