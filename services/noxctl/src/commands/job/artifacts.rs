//! `noxctl job artifacts`: what came of a job.

use anyhow::Result;
use nox_contract::JobId;

use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    views::Artifacts,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(&format!("/jobs/{}/artifacts", args.id)).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Artifacts { artifacts } = answer.read()?;
    let rows = artifacts.into_iter().map(|artifact| {
        vec![artifact.name, artifact.size.to_string(), artifact.mime, artifact.sha256]
    });
    output.table(&["name", "size", "type", "sha256"], &rows.collect::<Vec<_>>())?;
    Ok(Exit::Done)
}
