//! `noxctl projection lag`.

use anyhow::{Context, Result};
use nox_contract::{Position, subject};
use nox_readmodel::Reader;
use serde_json::json;

use super::Servers;
use crate::{
    exit::Exit,
    output::{Format, Output},
    target::Target,
};

pub async fn run(servers: &Servers, target: &Target, output: Output) -> Result<Exit> {
    let reader = Reader::new(&servers.database(target)?, 1)?;
    let broker = servers.broker(target).await?;
    // The rows first: whatever is written meanwhile counts as lag, never as less than none.
    let progress = reader.progress().await.context("cannot read Postgres")?;
    let (log, commands, reports) = tokio::try_join!(
        broker.extent(subject::EVENTS),
        broker.extent(subject::COMMANDS),
        broker.extent(subject::REPORTS),
    )?;
    let behind = [
        ("events", progress.place(), Position::from(log)),
        ("commands", progress.commands, commands.into()),
        ("reports", progress.reports, reports.into()),
    ];
    if output.format != Format::Table {
        let members = behind.map(|(name, rows, last)| {
            let lag = lag(&rows, &last);
            (name.to_owned(), json!({"rows": rows.seq, "last": last.seq, "lag": lag}))
        });
        let document: serde_json::Map<_, _> = members.into_iter().collect();
        output.json(&serde_json::Value::Object(document).to_string())?;
        return Ok(Exit::Done);
    }
    let rows = behind.map(|(name, rows, last)| {
        let lag = lag(&rows, &last).map_or("another stream".to_owned(), |lag| lag.to_string());
        vec![name.to_owned(), rows.seq.to_string(), last.seq.to_string(), lag]
    });
    output.table(&["stream", "rows", "last", "lag"], &rows)?;
    Ok(Exit::Done)
}

/// By how much the rows are behind; `None` if they are of another life of the stream, whose numbers say
/// nothing of this one.
fn lag(rows: &Position, last: &Position) -> Option<u64> {
    rows.partial_cmp(last).map(|_| last.seq.saturating_sub(rows.seq))
}
