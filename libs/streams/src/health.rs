//! Whether the broker still writes: as it says itself, and as it acknowledges.
//!
//! A stream whose disk was full for a moment is frozen: the server answers no write any more, keeps the
//! connection up and its questions answered, and does not begin again when there is room. Only a
//! restart helps, so somebody has to be told.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    Broker,
    monitor::{self, Varz},
    url::is_loopback,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What the server says of a stream that it cannot write. Everything else that it may be unhappy about,
/// such as a replica that catches up, does no harm.
const WRITE_FAILURES: [&str; 4] =
    ["write error", "no space left", "read-only file system", "input/output error"];

/// Room on the disk of the broker's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub free: u64,
    pub total: u64,
}

/// `/healthz`
#[derive(Deserialize)]
struct Healthz {
    #[serde(default)]
    error: String,
}

impl Broker {
    /// Looks every two seconds whether the broker writes, and tells; for ever.
    pub async fn watch_health(self, tell: impl Fn(Result<(), String>)) {
        loop {
            tell(self.health().await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether the broker writes; if not, what there is to do.
    pub async fn health(&self) -> Result<(), String> {
        for url in self.monitors() {
            let Ok(Healthz { error }) = monitor::ask(url, "healthz").await else { continue };
            let said = error.to_ascii_lowercase();
            if WRITE_FAILURES.iter().any(|failure| said.contains(failure)) {
                return Err(format!(
                    "the broker's disk is full or broken, and it takes no writes: {error}; make \
                     room there and restart nats-server, which does not begin again by itself"
                ));
            }
        }
        match self.inner.mux.unanswered() {
            0 => Ok(()),
            count => Err(format!(
                "the broker is connected and has answered none of the last {count} writes, as it \
                 does when its disk is full: look at its log, make room and restart nats-server"
            )),
        }
    }

    /// Room on the disk of the broker's streams; `None` where it cannot be seen, for the broker is on
    /// another machine or in a container of its own.
    pub async fn disk_space(&self) -> Option<DiskSpace> {
        if !is_loopback(&self.inner.url) {
            return None;
        }
        let url = self.monitors().next()?;
        let varz: Varz = monitor::ask(url, "varz").await.ok()?;
        let folder = varz.jetstream.config.store_dir;
        if !folder.is_dir() {
            return None;
        }
        let found = rustix::fs::statvfs(&folder).ok()?;
        Some(DiskSpace {
            free: found.f_bavail * found.f_frsize,
            total: found.f_blocks * found.f_frsize,
        })
    }

    fn monitors(&self) -> impl Iterator<Item = &str> {
        self.inner.monitor_url.iter().flat_map(|urls| monitor::each(urls))
    }
}
