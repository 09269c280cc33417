//! `noxctl job submit-draft`.

use anyhow::Result;
use nox_contract::JobId;

use super::submit;
use crate::{client::Client, exit::Exit, output::Output, views::Admitted};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("/jobs/{}/submit", args.id), None).await?;
    let Admitted { job_id, .. } = answer.read()?;
    submit::print(&answer.body, job_id, output)?;
    Ok(Exit::Done)
}
