//! `noxctl job run`: from the submit to the outputs.

use std::time::Duration;

use anyhow::Result;
use nox_streams::LogText;

use super::submit;
use crate::{
    client::Client,
    exit::Exit,
    follow::{self, Follow},
    output::{Format, Output},
    terminal::{note, print_error},
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: submit::Order,

    /// Show what the job prints, on standard error.
    #[arg(long)]
    follow: bool,

    /// Longest wait, in seconds; the job goes on afterwards.
    #[arg(long)]
    timeout: Option<u64>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let (_, admitted) = submit::submit(&args.job, false, client).await?;
    let id = admitted.job_id;
    note!("{id} submitted");

    let mut printed = 0;
    let mut mid_line = false;
    let mut shown = LogText::new(true);
    let timeout = args.timeout.map(Duration::from_secs);
    let job = Follow::admitted(client, id)
        .until_ended(admitted.n, timeout, async |job, changed, place| {
            if args.follow {
                let (chunks, next) = follow::logs(client, id, printed).await?;
                printed = next;
                *place = printed;
                let bytes = follow::printed(&chunks, &mut shown)?;
                print_error(&bytes);
                mid_line = if bytes.is_empty() { mid_line } else { !bytes.ends_with(b"\n") };
            }
            if changed {
                if std::mem::take(&mut mid_line) {
                    note!("");
                }
                note!("{id} {}", job.standing());
            }
            Ok(())
        })
        .await?;

    let Some(job) = job else {
        note!("{id} was not heard of in time; `noxctl job get {id}` shows it");
        return Ok(Exit::Pending);
    };
    let printed = match (output.format, &job.outputs) {
        (Format::Table, Some(outputs)) => output.json(outputs.get()),
        (Format::Table, None) => Ok(()),
        (Format::Json | Format::Jsonl, _) => {
            output.json(&client.get(&format!("/jobs/{id}")).await?.body)
        }
    };
    printed.map_err(|error| submit::unprinted(id, &error))?;
    if !job.state.is_ended() {
        note!("{id} goes on; `noxctl job get {id}` shows it");
    }
    Ok(Exit::of_job(job.state, job.error.as_ref().map(|error| error.code.as_str())))
}
