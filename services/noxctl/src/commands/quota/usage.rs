//! `noxctl quota usage`.

use anyhow::Result;
use serde::Deserialize;

use super::{Usage, limits::words};
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
};

#[derive(Deserialize)]
struct Own {
    usage: Vec<Usage>,
}

pub async fn run(client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get("/quotas/my/usage").await?;
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
