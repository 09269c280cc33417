//! `noxctl replay`: decides again what the log says was decided.

mod feed;
mod verify;
mod what_if;

use anyhow::{Context, Result};
use nox_scheduler::config::ClusterKey;

use crate::{exit::Exit, home, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Run the recorded inputs through the rules again, and compare every fact with the log.
    Verify(verify::Args),
    /// Show what would have become of the recorded jobs with another configuration.
    WhatIf(what_if::Args),
}

/// What reports are believed by.
#[derive(clap::Args)]
#[group(skip)]
struct Key {
    /// What the scheduler proves attempts with. That of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_CLUSTER_KEY", hide_env_values = true)]
    cluster_key: Option<ClusterKey>,
}

impl Key {
    /// The key; `None` if nobody has one.
    fn get(&self, target: &Target) -> Result<Option<ClusterKey>> {
        if let Some(key) = &self.cluster_key {
            return Ok(Some(key.clone()));
        }
        let known = home::cluster_key(&target.folder())?;
        let key = known.map(|key| key.parse::<ClusterKey>()).transpose();
        key.map_err(anyhow::Error::msg).context("the key in the data folder")
    }
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Verify(args) => verify::run(args, target, output).await,
        Command::WhatIf(args) => what_if::run(args, target, output).await,
    }
}
