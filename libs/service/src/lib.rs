//! What every service needs to run: a stop signal, a clock, ids, readiness, metrics and logs.
//!
//! The only crate that reads clocks and makes ids; everybody else takes them from here or as
//! arguments, so that decisions can be replayed.

pub mod admin;
mod backoff;
mod clock;
mod crash;
pub mod ids;
mod readiness;
mod run;
mod secret;
pub mod telemetry;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Of every program that is built for release: `make release`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use backoff::Backoff;
pub use clock::Clock;
pub use crash::crash_point;
pub use readiness::{Part, Readiness, Snapshot};
pub use run::{GRACE, Running, main, supervise};
pub use secret::Secret;

/// What a service is given to run with. Services in one process share it.
#[derive(Clone)]
pub struct Runtime {
    /// Cancelled when the process is to end; what is in hand may still be finished.
    pub stop: CancellationToken,
    pub clock: Clock,
    /// Where each service registers its metrics.
    pub registry: prometheus::Registry,
    pub readiness: Readiness,
    /// What is shown at the admin address beside the registry.
    pub operator_metrics: admin::OperatorMetrics,
    /// The longest that work in hand may take after the order to stop, in milliseconds.
    grace_ms: Arc<AtomicU64>,
}

impl Runtime {
    pub fn new() -> Self {
        Self {
            stop: CancellationToken::new(),
            clock: Clock::system(),
            registry: prometheus::Registry::new(),
            readiness: Readiness::default(),
            operator_metrics: admin::OperatorMetrics::default(),
            grace_ms: Arc::new(AtomicU64::new(GRACE.as_millis() as u64)),
        }
    }

    /// A service needs this long to end well; never shortens what another needs.
    pub fn allow_grace(&self, grace: Duration) {
        let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.grace_ms.fetch_max(grace, Ordering::Relaxed);
    }

    /// How long the services of this process may take to stop.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms.load(Ordering::Relaxed))
    }
}

impl Runtime {
    /// Says how `part` is, in readiness and in the gauge `metric`: 1 while it is unwell.
    pub fn part(
        &self,
        part: &'static str,
        metric: &str,
        help: &str,
    ) -> prometheus::Result<impl Fn(Result<(), String>) + Send + Sync + 'static> {
        let unwell = prometheus::IntGauge::new(metric, help)?;
        self.registry.register(Box::new(unwell.clone()))?;
        let readiness = self.readiness.clone();
        Ok(move |state: Result<(), String>| {
            unwell.set(i64::from(state.is_err()));
            readiness.set(part, state);
        })
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}
