//! `noxctl report`: what happened in a span of time, as one HTML file.

mod figures;
mod html;

use std::path::PathBuf;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use nox_contract::{Frame, FrameNumber, Timestamp, subject};
use nox_service::Clock;

use self::figures::Figures;
use crate::{
    commands::source::{self, Source},
    exit::{Exit, Misused},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: source::Args,

    /// From this instant on, and up to this one.
    #[arg(long, value_name = "TIME")]
    from: Timestamp,
    #[arg(long, value_name = "TIME")]
    to: Timestamp,

    /// Where the report goes; it may not be there yet.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    to_file: PathBuf,
}

pub async fn run(args: Args, target: &Target) -> Result<Exit> {
    if args.from >= args.to {
        let wrong = format!("--from {} is not before --to {}", args.from, args.to);
        return Err(Misused(wrong).into());
    }
    let read = args.source.read(target, async |source| read(&source, args.from, args.to).await);
    let figures = read.await?;
    let mut file = fs_err::File::create_new(&args.to_file)?;
    std::io::Write::write_all(&mut file, html::page(&figures).as_bytes())?;
    note!("{}", args.to_file.display());
    Ok(Exit::Done)
}

/// Reads the log from its first message: what waits at the beginning of the span was submitted before it.
async fn read(source: &Source, from: Timestamp, to: Timestamp) -> Result<Figures> {
    let mut figures = Figures::new(from, to);
    let mut log = source.read(FrameNumber(1));
    'log: while let Some(messages) = log.next().await {
        for message in messages? {
            if message.subject == subject::EPOCH {
                continue;
            }
            let frame: Frame = serde_json::from_slice(&message.payload)
                .with_context(|| format!("frame {} cannot be read", message.seq))?;
            if frame.at >= to {
                break 'log;
            }
            figures.note(&frame);
        }
    }
    figures.end(Clock::system().wall());
    Ok(figures)
}
