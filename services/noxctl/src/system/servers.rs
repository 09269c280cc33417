//! nats-server and Postgres: those that are named, else own ones.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nox_devkit::{NatsOptions, NatsServer, Postgres, PostgresOptions};
use nox_service::Secret;

use super::{Options, address};
use crate::home::Home;

/// Where nats-server tells of itself unless it is told otherwise.
const MONITOR_URL_DEFAULT: &str = "http://127.0.0.1:8222";

/// The database within an own Postgres.
const DATABASE: &str = "nox";

/// After a crash, a store of millions of jobs takes a minute to open.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Whether the broker has to write to stable storage before it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// What was acknowledged survives a power cut.
    Strict,
    /// A power cut takes minutes of what was acknowledged.
    Relaxed,
}

impl Sync {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
        }
    }
}

impl From<Sync> for nox_devkit::Sync {
    fn from(sync: Sync) -> Self {
        match sync {
            Sync::Strict => Self::Strict,
            Sync::Relaxed => Self::Relaxed,
        }
    }
}

/// Servers that are there already. Without the variables below, NATS_URL and DATABASE_URL count, too.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Given {
    /// Use this nats-server, and start none.
    #[arg(long, env = "NOX_NATS_URL", hide_env_values = true)]
    nats_url: Option<Secret>,

    /// Where that nats-server tells of itself.
    #[arg(long, env = "NOX_NATS_MONITOR_URL")]
    nats_monitor_url: Option<String>,

    /// Use this Postgres, and start none.
    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    database_url: Option<Secret>,
}

impl Given {
    /// With what the environment says under the names that other programs use.
    pub fn or_usual(self) -> Self {
        let usual = |variable| std::env::var(variable).ok().map(Secret::new);
        Self {
            nats_url: self.nats_url.or_else(|| usual("NATS_URL")),
            database_url: self.database_url.or_else(|| usual("DATABASE_URL")),
            ..self
        }
    }

    fn nats(&self) -> Option<Urls> {
        let nats = named(&self.nats_url)?;
        let monitor = self.nats_monitor_url.clone().filter(|url| !url.is_empty());
        Some(Urls {
            nats,
            nats_monitor: monitor.unwrap_or_else(|| MONITOR_URL_DEFAULT.to_owned()),
            ..Urls::default()
        })
    }

    fn database(&self) -> Option<String> {
        named(&self.database_url)
    }
}

/// A variable that is set to nothing names nothing.
fn named(url: &Option<Secret>) -> Option<String> {
    url.as_ref().map(|url| url.reveal().to_owned()).filter(|url| !url.is_empty())
}

/// Where the servers are found, with their passwords.
#[derive(Clone, Default)]
pub struct Urls {
    pub nats: String,
    pub nats_monitor: String,
    pub database: String,
}

/// Servers that run. Own ones are killed when this is dropped.
pub struct Servers {
    nats: Option<NatsServer>,
    postgres: Option<Postgres>,
    pub urls: Urls,
}

impl Servers {
    /// Starts what is not given, both at once, and waits until they are ready.
    pub async fn start(home: &Home, options: &Options) -> Result<Self> {
        let (nats, postgres) =
            tokio::try_join!(start_nats(home, options), start_postgres(home, options))?;
        let ((nats, urls), (postgres, database)) = (nats, postgres);
        Ok(Self { nats, postgres, urls: Urls { database, ..urls } })
    }

    /// Their processes, by the names that people know them by; none for those that were given.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        let nats = self.nats.as_ref().and_then(NatsServer::pid);
        let postgres = self.postgres.as_ref().and_then(Postgres::pid);
        let pids = [("nats-server", nats), ("postgres", postgres)];
        pids.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect()
    }

    /// Stops an own nats-server in order, and starts it on the same ports with the same data.
    ///
    /// # Errors
    /// It was given, or it does not come up.
    pub async fn restart_nats(&mut self) -> Result<()> {
        self.nats.as_mut().context("this nats-server is not ours")?.restart().await
    }

    /// What an own nats-server says of itself at `path`.
    ///
    /// # Errors
    /// It was given, or it does not answer.
    pub async fn monitor(&self, path: &str) -> Result<serde_json::Value> {
        self.nats.as_ref().context("this nats-server is not ours")?.monitor(path).await
    }

    /// Stops own ones in order.
    pub async fn stop(self) {
        let stop_nats = async {
            if let Some(mut nats) = self.nats {
                nats.stop().await;
            }
        };
        let stop_postgres = async {
            if let Some(mut postgres) = self.postgres {
                postgres.stop().await;
            }
        };
        tokio::join!(stop_nats, stop_postgres);
    }
}

async fn start_nats(home: &Home, options: &Options) -> Result<(Option<NatsServer>, Urls)> {
    if let Some(urls) = options.given.nats() {
        return Ok((None, urls));
    }
    // The ports that it had before, so that other programs find it again.
    let before = home.before.as_ref();
    let again = |url: Option<&String>| address::if_free(url.and_then(|url| address::port_of(url)));
    let server = NatsServer::start(NatsOptions {
        sync: options.sync.into(),
        port: again(before.map(|place| &place.nats_url)),
        monitor_port: again(before.map(|place| &place.nats_monitor_url)),
        ready_within: READY_WITHIN,
        ..NatsOptions::new(home.folder().join("nats"))
    });
    let server = server.await.context("cannot start nats-server")?;
    let urls =
        Urls { nats: server.url(), nats_monitor: server.monitor_url(), database: String::new() };
    Ok((Some(server), urls))
}

async fn start_postgres(home: &Home, options: &Options) -> Result<(Option<Postgres>, String)> {
    if let Some(url) = options.given.database() {
        return Ok((None, url));
    }
    let server = Postgres::start(PostgresOptions {
        fast: options.throwaway,
        ready_within: READY_WITHIN,
        ..PostgresOptions::new(home.folder().join("postgres"))
    });
    let server = server.await.context("cannot start Postgres")?;
    let url = server.create_database(DATABASE).await?;
    Ok((Some(server), url))
}
