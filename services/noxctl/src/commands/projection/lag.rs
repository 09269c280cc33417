//! `noxctl projection lag`.

use anyhow::{Context, Result};
use nox_contract::subject;
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
        broker.last_sequence(subject::EVENTS),
        broker.last_sequence(subject::COMMANDS),
        broker.last_sequence(subject::REPORTS),
    )?;
    let behind = [
        ("events", progress.n.0, log),
        ("commands", progress.pos.commands, commands),
        ("reports", progress.pos.reports, reports),
    ];
    if output.format != Format::Table {
        let members = behind.map(|(name, rows, last)| {
            (name.to_owned(), json!({"rows": rows, "last": last, "lag": last.saturating_sub(rows)}))
        });
        let document: serde_json::Map<_, _> = members.into_iter().collect();
        output.json(&serde_json::Value::Object(document).to_string())?;
        return Ok(Exit::Done);
    }
    let rows = behind.map(|(name, rows, last)| {
        vec![
            name.to_owned(),
            rows.to_string(),
            last.to_string(),
            last.saturating_sub(rows).to_string(),
        ]
    });
    output.table(&["stream", "rows", "last", "lag"], &rows)?;
    Ok(Exit::Done)
}
