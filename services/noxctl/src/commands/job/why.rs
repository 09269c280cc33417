//! `noxctl job why`: what a job waits for, or what became of it, in one sentence.

use anyhow::Result;
use nox_contract::JobId;
use serde_json::json;

use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    views::Job,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let job: Job = client.read(&format!("/jobs/{}", args.id)).await?;
    match output.format {
        Format::Table => output.lines_of(&job.standing())?,
        Format::Json | Format::Jsonl => {
            let Job { id, state, waiting, error, .. } = job;
            let why = json!({"job_id": id, "state": state, "waiting": waiting, "error": error});
            output.json(&why.to_string())?;
        }
    }
    Ok(Exit::Done)
}
