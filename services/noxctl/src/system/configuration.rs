//! What each service of a development system is told.
//!
//! As flags, read by the services' own definitions: what is not said here comes from the environment
//! and from their defaults, as if they were started by themselves.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use clap::{Args, Parser};
use nox_service::Secret;

use super::{Sync, Urls, modules};
use crate::home::{ARCHIVE, ARTIFACTS, AUDIT, Identity};

/// Whose raw commands a gateway takes; and all that there are.
const COMMAND_ROLES: &str = "NOX_COMMAND_ROLES";
const EVERYBODY: &str = "user,admin";

/// What they are told.
pub struct Configuration<'a> {
    pub http_addr: SocketAddr,
    pub urls: &'a Urls,
    pub sync: Sync,
    pub identity: &'a Identity,
    pub jwt_secret: &'a Secret,
    pub folder: &'a Path,
}

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Flags<C: Args> {
    #[command(flatten)]
    config: C,
}

/// Reads `flags`, each a name and a value.
fn read<C: Args>(flags: &[(&str, &str)]) -> Result<C> {
    let words = flags.iter().map(|(name, value)| format!("--{name}={value}"));
    // The message has lines of usage, which say nothing about an environment.
    let flags = Flags::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        anyhow::anyhow!("{}", text.lines().next().unwrap_or("a wrong configuration").to_owned())
    })?;
    let Flags { config } = flags;
    Ok(config)
}

impl Configuration<'_> {
    pub fn gateway(&self) -> Result<nox_gateway::Config> {
        let http_addr = self.http_addr.to_string();
        let (archive, artifacts) = (self.archive()?, self.artifacts()?);
        let mut flags = vec![
            ("http-addr", http_addr.as_str()),
            ("database-url", &self.urls.database),
            ("archive", &archive),
            ("artifacts", &artifacts),
            ("jwt-secret", self.jwt_secret.reveal()),
        ];
        flags.push(("webhook-key", &self.identity.webhook_key));
        // Who has a system to itself may do with it what it likes; whoever says otherwise is heard.
        if std::env::var_os(COMMAND_ROLES).is_none() {
            flags.push(("command-roles", EVERYBODY));
        }
        flags.extend(self.broker());
        read(&flags).context("gateway")
    }

    pub fn scheduler(&self) -> Result<nox_scheduler::Config> {
        let archive = self.archive()?;
        let mut flags =
            vec![("cluster-key", self.identity.cluster_key.as_str()), ("archive", &archive)];
        flags.extend(self.broker());
        read(&flags).context("scheduler")
    }

    pub fn executor(&self) -> Result<nox_executor::Config> {
        let artifacts = self.artifacts()?;
        let data = text(self.folder)?;
        let modules = text(&modules::folder()?)?;
        let mut flags = vec![
            ("worker-id", self.identity.worker_id.as_str()),
            ("modules", &modules),
            ("artifacts", &artifacts),
            ("data", &data),
        ];
        flags.extend(self.broker());
        read(&flags).context("executor")
    }

    pub fn projector(&self) -> Result<nox_projector::Config> {
        let (archive, artifacts) = (self.archive()?, self.artifacts()?);
        let mut flags = vec![
            ("database-url", self.urls.database.as_str()),
            ("archive", &archive),
            ("artifacts", &artifacts),
        ];
        flags.extend(self.broker());
        read(&flags).context("projector")
    }

    pub fn notifier(&self) -> Result<nox_notifier::Config> {
        let archive = self.archive()?;
        let audit = text(&self.folder.join(AUDIT))?;
        let mut flags = vec![
            ("archive", archive.as_str()),
            ("audit", &audit),
            ("database-url", &self.urls.database),
            ("webhook-key", &self.identity.webhook_key),
        ];
        flags.extend(self.broker());
        read(&flags).context("notifier")
    }

    fn artifacts(&self) -> Result<String> {
        text(&self.folder.join(ARTIFACTS))
    }

    fn archive(&self) -> Result<String> {
        text(&self.folder.join(ARCHIVE))
    }

    fn broker(&self) -> [(&str, &str); 3] {
        [
            ("nats-url", &self.urls.nats),
            ("nats-monitor-url", &self.urls.nats_monitor),
            ("sync", self.sync.as_str()),
        ]
    }
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.to_owned())
}
