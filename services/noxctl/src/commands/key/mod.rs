//! `noxctl key`: API keys for machines.

mod create;
mod list;
mod revoke;

use anyhow::Result;

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the keys that you made; for administrators, all of the tenant.
    List(list::Args),
    /// Make a key and print its secret, which is told this once.
    Create(create::Args),
    /// Revoke a key: within five seconds it is worth nothing any more.
    Revoke(revoke::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    let client = target.client()?;
    match command {
        Command::List(args) => list::run(args, &client, output).await,
        Command::Create(args) => create::run(args, &client, output).await,
        Command::Revoke(args) => revoke::run(args, &client, output).await,
    }
}
