//! `noxctl job cancel`.

use anyhow::Result;
use nox_contract::JobId;
use reqwest::StatusCode;

use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("/jobs/{}/cancel", args.id), None).await?;
    match output.format {
        // Accepted for later: the command is kept, and nobody has decided yet.
        Format::Table if answer.status == StatusCode::ACCEPTED => {
            note!("{} will be canceled", args.id);
        }
        Format::Table => note!("{} canceled", args.id),
        Format::Json | Format::Jsonl => output.json(&answer.body)?,
    }
    Ok(Exit::Done)
}
