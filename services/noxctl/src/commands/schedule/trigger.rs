//! `noxctl schedule trigger`.

use anyhow::Result;
use nox_contract::JobId;
use serde::Deserialize;

use super::place;
use crate::{client::Client, commands::job, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

#[derive(Deserialize)]
struct Triggered {
    job_id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("{}/trigger", place(&args.id)), None).await?;
    let Triggered { job_id } = answer.read()?;
    job::submit::print(&answer.body, job_id, output)?;
    Ok(if answer.is_pending() { Exit::Pending } else { Exit::Done })
}
