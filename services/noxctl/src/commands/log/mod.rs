//! `noxctl log`: the log of facts itself.

mod repair;
mod verify;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Read all of the log, archive and stream, and check hashes, numbers and chain.
    Verify(verify::Args),
    /// Look for messages in the log that are none of ours, and make it again without them.
    Repair(repair::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Verify(args) => verify::run(args, target, output).await,
        Command::Repair(args) => repair::run(args, target, output).await,
    }
}
