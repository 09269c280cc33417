//! `noxctl job get`.

use anyhow::Result;
use nox_contract::JobId;

use crate::{
    client::Client,
    exit::Exit,
    facts,
    output::{Format, Output},
    views::Job,
    when,
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,
    /// As it was then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let as_of = when::as_of(args.at.as_deref());
    let answer = client.get(&format!("/jobs/{}{as_of}", args.id)).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let job: Job = answer.read()?;
    let time = |at: Option<_>| at.map_or_else(|| "-".to_owned(), facts::clock);
    let rows = [
        ("id", job.id.to_string()),
        ("module", job.module.clone()),
        ("user", job.user_id.clone()),
        ("state", job.standing()),
        ("attempt", job.attempt.to_string()),
        ("priority", job.priority.to_string()),
        ("worker", job.worker_id.clone().unwrap_or_else(|| "-".to_owned())),
        ("created", job.created_at.to_string()),
        ("started", time(job.started_at)),
        ("ended", time(job.ended_at)),
        ("outputs", job.outputs.as_ref().map_or_else(|| "-".to_owned(), |o| o.get().to_owned())),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    output.table(&["job", ""], &rows)?;
    Ok(Exit::Done)
}
