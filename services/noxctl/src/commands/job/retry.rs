//! `noxctl job retry`: a new job that does what one did that has ended.

use anyhow::Result;
use nox_contract::{JobId, RawJson};
use serde::Serialize;

use super::inputs::Inputs;
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

    /// In place of all inputs of the earlier one.
    #[command(flatten)]
    inputs: Inputs,
}

/// What is to be another.
#[derive(Serialize)]
struct Edits {
    /// As they were written, digit by digit.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<RawJson>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let inputs = if args.inputs.are_given() { Some(args.inputs.read(client).await?) } else { None };
    let edits = serde_json::to_string(&Edits { inputs })?;
    let answer = client.post_as(&format!("/jobs/{}/retry", args.id), Some(edits), None).await;
    let answer = answer.map_err(|error| args.inputs.with_hint(error))?;
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
