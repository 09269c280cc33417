//! `noxctl ledger`: what the log says that users used.

mod verify;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Prove that at every prefix of the log free + reserved + used = granted, and that entries explain each balance.
    Verify(verify::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Verify(args) => verify::run(args, target, output).await,
    }
}
