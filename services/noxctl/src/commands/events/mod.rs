//! `noxctl events`: what happens, and what is in the log.

mod replay;
mod tail;
mod told;

use anyhow::Result;

pub use self::told::Told;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print a stretch of the log again: to the terminal, a file, or other subjects.
    Replay(replay::Args),
    /// Show what happens, as it happens, until Ctrl-C.
    Tail(tail::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Replay(args) => replay::run(args, target, output).await,
        Command::Tail(args) => tail::run(args, &target.client()?, output).await,
    }
}
