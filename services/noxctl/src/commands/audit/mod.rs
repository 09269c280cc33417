//! `noxctl audit`: who did what.

mod list;
mod verify;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List who did what in your tenant, newest first; for administrators.
    List(list::Args),
    /// Prove that the audit's files are whole: each line what it was, none missing.
    Verify(verify::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::List(args) => list::run(args, &target.admin_client()?, output).await,
        Command::Verify(args) => verify::run(args, target, output).await,
    }
}
