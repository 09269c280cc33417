//! `noxctl quota usage`.

use anyhow::Result;
use serde::Deserialize;

use super::{Usage, limits::words};
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    when,
};

#[derive(clap::Args)]
pub struct Args {
    /// As it was then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,
}

#[derive(Deserialize)]
struct Own {
    usage: Vec<Usage>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let as_of = when::as_of(args.at.as_deref());
    let answer = client.get(&format!("/quotas/my/usage{as_of}")).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let Own { usage } = answer.read()?;
    let row = |usage: Usage| {
        let limit = words(&usage.quota_type, usage.limit.into());
        let percent = usage.percent();
        vec![usage.quota_type, usage.current_usage.to_string(), limit, percent]
    };
    let rows: Vec<_> = usage.into_iter().map(row).collect();
    output.table(&["quota", "used", "limit", "percent"], &rows)?;
    Ok(Exit::Done)
}
