//! `noxctl projection`: the rows that are made from the log.

mod lag;
mod rebuild;

use anyhow::Result;
use nox_service::Secret;
use nox_streams::{Broker, ConnectOptions, Durability};

use crate::{exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show how far the rows are behind the log.
    Lag(Servers),
    /// Make all rows anew from the log, compare them with the present ones, and change over.
    Rebuild(rebuild::Args),
}

/// The servers; those of the development system in the data folder, if not given.
#[derive(clap::Args)]
pub struct Servers {
    #[arg(long, env = "NOX_NATS_URL", hide_env_values = true)]
    nats_url: Option<Secret>,

    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    database_url: Option<Secret>,
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Lag(servers) => lag::run(&servers, target, output).await,
        Command::Rebuild(args) => rebuild::run(args, target, output).await,
    }
}

impl Servers {
    /// Whether they are those of the development system.
    fn is_dev(&self) -> bool {
        given(&self.nats_url).is_none() && given(&self.database_url).is_none()
    }

    pub fn database(&self, target: &Target) -> Result<String> {
        match given(&self.database_url) {
            Some(url) => Ok(url),
            None => Ok(target.place()?.database_url),
        }
    }

    /// Connects as somebody who only reads, to whom it is all one how writes are kept.
    async fn broker(&self, target: &Target) -> Result<Broker> {
        let url = match given(&self.nats_url) {
            Some(url) => url,
            None => target.place()?.nats_url,
        };
        let options =
            ConnectOptions { url, service: "noxctl", monitor_url: None, sync: Durability::Relaxed };
        Ok(Broker::connect(options).await?)
    }
}

/// Ends `work` where the broker does not let this user do what it needs, which would never come.
async fn permitted<T>(broker: &Broker, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        denied = broker.denied() => Err(denied.into()),
    }
}

fn given(url: &Option<Secret>) -> Option<String> {
    url.as_ref().map(|url| url.reveal().to_owned()).filter(|url| !url.is_empty())
}
