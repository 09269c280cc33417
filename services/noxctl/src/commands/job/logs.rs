//! `noxctl job logs`: what a job printed. A pipe gets its bytes as they are, and so does a terminal whose
//! owner asks for that.

use anyhow::Result;
use nox_contract::JobId;
use nox_streams::LogText;

use crate::{
    client::Client,
    exit::Exit,
    follow,
    output::{Format, Output},
};

#[derive(clap::Args)]
#[group(id = "printed")]
pub struct Args {
    #[command(flatten)]
    follow: follow::Args,

    /// Have the terminal obey what the job printed: colours, progress bars, and whatever else.
    #[arg(long)]
    raw: bool,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let output = if args.raw { output.raw() } else { output };
    args.follow.print(client, output, "logs", print).await
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
