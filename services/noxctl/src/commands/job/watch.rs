//! `noxctl job watch`: how a job stands, until it has ended.

use std::time::Duration;

use anyhow::Result;
use nox_contract::JobId;
use nox_service::Clock;

use crate::{
    client::Client,
    exit::Exit,
    facts,
    follow::{Follow, WATCH},
    output::{Format, Output},
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,

    /// Longest wait, in seconds; the job goes on afterwards.
    #[arg(long)]
    timeout: Option<u64>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let (id, clock) = (args.id, Clock::system());
    let output = output.streaming();
    let mut shown = String::new();
    let follow = Follow::new(client, id).resumed_by(WATCH);
    let timeout = args.timeout.map(Duration::from_secs);
    let job = follow
        .until_ended(None, timeout, async |job, _, _| {
            let line = job.standing_with_progress();
            if line != shown {
                if output.format == Format::Table {
                    output.lines_of(&format!("{} {line}", facts::clock(clock.wall())))?;
                } else {
                    output.json(&client.get(&format!("/jobs/{id}")).await?.body)?;
                }
                shown = line;
            }
            Ok(())
        })
        .await?;
    let Some(job) = job else {
        note!("{id} was not heard of in time; `noxctl job get {id}` shows it");
        return Ok(Exit::Pending);
    };
    if !job.state.is_ended() {
        note!("{id} goes on; `noxctl job watch {id}` follows it again");
    }
    Ok(Exit::of_job(job.state, job.error.as_ref().map(|error| error.code.as_str())))
}
