//! The log that a command reads: the stream with its archive, or the archive alone.

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use nox_archive::{Log, LogArchive, LogError};
use nox_contract::{FrameNumber, Incarnation, subject};
use nox_service::Secret;
use nox_streams::{Broker, ConnectOptions, Durability, Message};

use super::archive;
use crate::target::Target;

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// The broker; that of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_NATS_URL", hide_env_values = true)]
    nats_url: Option<Secret>,

    #[command(flatten)]
    archive: archive::Args,
}

/// A log up to where it ended when it was opened.
pub enum Source {
    /// Up to `last`.
    Log {
        log: Log,
        last: FrameNumber,
    },
    Archive(LogArchive),
}

impl Args {
    /// Does `work` with the log; ends it where the broker does not let this user read.
    pub async fn read<T>(
        &self,
        target: &Target,
        work: impl AsyncFnOnce(Source) -> Result<T>,
    ) -> Result<T> {
        let url = self.nats_url.as_ref().map(Secret::reveal).filter(|url| !url.is_empty());
        let archive = self.archive.open(target, url.is_none())?;
        if self.archive.is_alone() {
            return work(Source::Archive(self.archive.alone(archive, None).await?)).await;
        }
        let url = match url {
            Some(url) => url.to_owned(),
            None => target.place()?.nats_url,
        };
        let options =
            ConnectOptions { url, service: "noxctl", monitor_url: None, sync: Durability::Relaxed };
        let broker = Broker::connect(options).await?;
        let work = async {
            let extent = broker.extent(subject::EVENTS).await;
            let (incarnation, last) = extent.context("cannot read the log")?;
            let log = Log::new(broker.clone(), incarnation, archive.as_ref());
            work(Source::Log { log, last: FrameNumber(last) }).await
        };
        tokio::select! {
            done = work => done,
            denied = broker.denied() => Err(denied.into()),
        }
    }
}

impl Source {
    pub fn archive(&self) -> Option<&LogArchive> {
        match self {
            Self::Log { log, .. } => log.archive(),
            Self::Archive(archive) => Some(archive),
        }
    }

    /// The life of the log that is read.
    pub fn incarnation(&self) -> &Incarnation {
        match self {
            Self::Log { log, .. } => log.incarnation(),
            Self::Archive(archive) => archive.incarnation(),
        }
    }

    /// The broker, unless the archive is read alone.
    pub fn broker(&self) -> Option<&Broker> {
        match self {
            Self::Log { log, .. } => Some(log.broker()),
            Self::Archive(_) => None,
        }
    }

    /// The messages from `from` on, in chunks.
    pub fn read(&self, from: FrameNumber) -> BoxStream<'static, Result<Vec<Message>, LogError>> {
        match self {
            Self::Log { log, last } => log.read(from, *last),
            Self::Archive(archive) => archive.read(from).map_err(LogError::from).boxed(),
        }
    }
}
