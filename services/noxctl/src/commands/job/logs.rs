//! `noxctl job logs`.

use anyhow::Result;
use nox_contract::JobId;

use crate::{
    client::Client,
    exit::Exit,
    follow::{self, Follow},
    output::{Format, Output},
};

#[derive(clap::Args)]
pub struct Args {
    id: JobId,

    /// Stay until the job has ended.
    #[arg(short, long)]
    follow: bool,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let mut after = 0;
    let output = if args.follow { output.streaming() } else { output };
    if args.follow {
        Follow::new(client, args.id)
            .until_ended(None, None, async |_, _| {
                after = print(client, args.id, after, output).await?;
                Ok(())
            })
            .await?;
    }
    print(client, args.id, after, output).await?;
    Ok(Exit::Done)
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
