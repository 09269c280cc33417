//! `noxctl log`: the log of facts itself.

mod repair;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Look for messages in the log that are none of ours, and make it again without them.
    Repair(repair::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Repair(args) => repair::run(args, target, output).await,
    }
}
