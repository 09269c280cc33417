//! `noxctl job logs`.

use anyhow::Result;
use nox_contract::JobId;

use crate::{
    client::Client,
    exit::Exit,
    follow,
    output::{Format, Output},
};

pub async fn run(args: follow::Args, client: &Client, output: Output) -> Result<Exit> {
    args.print(client, output, print).await
}

/// Prints what came after chunk `after`; returns where to go on.
async fn print(client: &Client, id: JobId, after: u64, output: Output) -> Result<u64> {
    let (chunks, next) = follow::logs(client, id, after).await?;
    if output.format == Format::Table {
        for chunk in follow::texts(&chunks)? {
            output.text(&chunk.text)?;
        }
    } else {
        output.documents(&chunks)?;
    }
    Ok(next)
}
