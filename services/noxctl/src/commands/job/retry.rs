//! `noxctl job retry`: a new job that does what one did that has ended.

use anyhow::Result;
use nox_contract::JobId;
use serde_json::json;

use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    terminal::note,
    views::Admitted,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("/jobs/{}/retry", args.id), Some(&json!({}))).await?;
    match output.format {
        Format::Table => {
            let Admitted { job_id, .. } = answer.read()?;
            note!("{} is tried again as", args.id);
            output.line(&job_id.to_string())?;
        }
        Format::Json | Format::Jsonl => output.json(&answer.body)?,
    }
    Ok(Exit::Done)
}
