//! `noxctl job logs`: what a job printed. A pipe gets its bytes as they are, which is how to see colours:
//! `noxctl job logs <id> | less -R`.

use anyhow::Result;
use nox_contract::JobId;
use nox_streams::LogText;

use crate::{
    client::Client,
    exit::Exit,
    follow,
    output::{Format, Output},
};

pub async fn run(args: follow::Args, client: &Client, output: Output) -> Result<Exit> {
    args.print(client, output, "logs", print).await
}

/// Prints what came after chunk `after`; returns where to go on.
async fn print(client: &Client, id: JobId, after: u64, output: Output) -> Result<u64> {
    let (chunks, next) = follow::logs(client, id, after).await?;
    if output.format == Format::Table {
        output.bytes(&follow::printed(&chunks, &mut LogText::new(true))?)?;
    } else {
        output.documents(&chunks)?;
    }
    Ok(next)
}
