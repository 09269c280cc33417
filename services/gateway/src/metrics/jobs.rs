//! The jobs' metrics, as the read model holds them.

use std::time::Duration;

use nox_contract::{ModuleName, Position};
use nox_readmodel::{MetricsSnapshot, QueryError, Reader, metrics::Submitted};
use nox_service::Clock;
use prometheus::proto::MetricFamily;
use tokio::sync::Mutex;

use super::job_families;

/// How long the jobs' metrics are shown as they were read last; whoever asks more often must not
/// cost the database anything.
const METRICS_FRESH: Duration = Duration::from_secs(1);

/// Longest time for one read.
const READ_WAIT: Duration = Duration::from_secs(3);

/// The jobs' metrics as they were read last.
pub struct JobMetrics {
    reader: Reader,
    clock: Clock,
    known: Mutex<Option<Known>>,
}

struct Known {
    /// On the monotonic clock.
    read_at: Duration,
    /// The place in the log that they are of.
    place: Position,
    snapshot: MetricsSnapshot,
    modules: Vec<ModuleName>,
}

impl JobMetrics {
    pub fn new(reader: Reader, clock: Clock) -> Self {
        Self { reader, clock, known: Mutex::default() }
    }

    /// All of them; the users that are not `named` are counted together.
    pub async fn families(&self, named: impl Fn(&Submitted) -> bool) -> Vec<MetricFamily> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await;
        let families =
            known.as_ref().map(|known| job_families(&known.snapshot, &known.modules, named));
        families.unwrap_or_default()
    }

    async fn refresh(&self, known: &mut Option<Known>) {
        let now = self.clock.monotonic();
        if known.as_ref().is_some_and(|known| now.saturating_sub(known.read_at) < METRICS_FRESH) {
            return;
        }
        let read = async {
            let modules = self.reader.modules().await?.value;
            let modules: Vec<_> = modules.into_iter().map(|module| module.name).collect();
            Ok::<_, QueryError>((self.reader.metrics().await?, modules))
        };
        match tokio::time::timeout(READ_WAIT, read).await {
            Ok(Ok((at, modules))) => {
                let place = at.progress.place();
                match known {
                    // Counters must not go back where another database answers.
                    Some(newer) if place < newer.place => newer.read_at = now,
                    _ => *known = Some(Known { read_at: now, place, snapshot: at.value, modules }),
                }
            }
            // Nor jump to nothing while it is away.
            outcome => {
                let error = outcome.map_or_else(
                    |e| e.to_string(),
                    |o| o.map_or_else(|e| e.to_string(), |_| String::new()),
                );
                tracing::warn!(error, "The jobs' metrics cannot be read");
            }
        }
    }
}
