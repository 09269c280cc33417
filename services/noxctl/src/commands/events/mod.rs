//! `noxctl events`: what happens, of everything that the asker may see.

mod tail;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show what happens, as it happens, until Ctrl-C.
    Tail(tail::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Tail(args) => tail::run(args, &target.client()?, output).await,
    }
}
