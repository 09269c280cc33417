//! Where and as whom to connect, and why there may be no connection.

use std::fmt;

use crate::{durability::Durability, url::without_password};

/// Where and as whom to connect.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `nats://user:password@host:port`, or several separated by commas; `tls://` for TLS.
    pub url: String,
    /// The name on the connection and in inbox subjects, so that permissions can tell services apart.
    pub service: &'static str,
    /// Where the server tells about itself, `http://host:8222`; of every server, separated by
    /// commas. Strict durability cannot be believed without.
    pub monitor_url: Option<String>,
    /// What the server must promise. `Relaxed` takes either.
    pub sync: Durability,
}

/// The URL may hold a password.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &without_password(&self.url))
            .field("service", &self.service)
            .field("monitor_url", &self.monitor_url)
            .field("sync", &self.sync)
            .finish()
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time: start the broker, or wait longer.
    #[error("broker not reachable: {0}")]
    Unreachable(String),
    /// Wrong user, password or key, or the URL cannot be read.
    #[error("broker refused the connection: {0}")]
    Denied(String),
    /// The server would silently ignore what the log depends on: replace it.
    #[error("the server is {found}, but Nox needs nats-server {needed} or later")]
    TooOld { found: String, needed: String },
    /// Strict durability was wanted and is not there: set `sync_interval: always` on the server, or
    /// choose `relaxed` explicitly.
    #[error("acknowledged writes are not safe from a power cut: {0}")]
    NotDurable(String),
}

impl ConnectError {
    /// Whether another try may go better.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
