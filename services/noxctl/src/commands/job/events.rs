//! `noxctl job events`: the job's entries in the log.

use anyhow::Result;
use nox_contract::JobId;

use crate::{
    client::Client,
    exit::Exit,
    facts, follow,
    output::{Format, Output},
};

pub async fn run(args: follow::Args, client: &Client, output: Output) -> Result<Exit> {
    args.print(client, output, "events", print).await
}

/// Prints what came after frame `after`; returns the number of the last.
async fn print(client: &Client, id: JobId, after: u64, output: Output) -> Result<u64> {
    let (events, last) = follow::events(client, id, after).await?;
    if output.format == Format::Table {
        let rows: Vec<_> = events.read()?.iter().flat_map(facts::rows).collect();
        if !rows.is_empty() {
            output.table(&facts::HEAD, &rows)?;
        }
    } else {
        output.documents(&events.events)?;
    }
    Ok(last)
}
