//! The jobs' metrics, as the read model holds them.

use std::time::Duration;

use nox_contract::{ModuleName, Position, TenantId, UserId};
use nox_readmodel::{MetricsSnapshot, QueryError, Reader};
use nox_service::Clock;
use prometheus::proto::MetricFamily;
use tokio::sync::Mutex;

use super::{job_families, users::NamedUsers};

/// How long the jobs' metrics are shown as they were read last; whoever asks more often must not
/// cost the database anything.
const METRICS_FRESH: Duration = Duration::from_secs(1);

/// Longest time for one read.
const READ_WAIT: Duration = Duration::from_secs(3);

/// The jobs' metrics as they were read last.
pub struct JobMetrics {
    reader: Reader,
    clock: Clock,
    known: Mutex<Known>,
}

struct Known {
    users: NamedUsers,
    read: Option<Read>,
}

struct Read {
    /// On the monotonic clock.
    at: Duration,
    /// The place in the log that they are of.
    place: Position,
    snapshot: MetricsSnapshot,
    modules: Vec<ModuleName>,
}

impl JobMetrics {
    /// Of which at most `users_max` users have their own names.
    pub fn new(reader: Reader, clock: Clock, users_max: usize) -> Self {
        let known = Known { users: NamedUsers::new(users_max), read: None };
        Self { reader, clock, known: Mutex::new(known) }
    }

    /// All of them; the users that are not `visible` are counted together.
    pub async fn families(
        &self,
        visible: impl Fn(&TenantId, &UserId) -> bool,
    ) -> Vec<MetricFamily> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await;
        let Known { users, read } = &*known;
        let Some(Read { snapshot, modules, .. }) = read else { return Vec::new() };
        let submitted = users.counted(&snapshot.submitted, visible);
        job_families(snapshot, modules, submitted)
    }

    async fn refresh(&self, Known { users, read: known }: &mut Known) {
        let now = self.clock.monotonic();
        if known.as_ref().is_some_and(|known| now.saturating_sub(known.at) < METRICS_FRESH) {
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
                    Some(newer) if place < newer.place => newer.at = now,
                    _ => {
                        let before = known.as_ref().map(|read| &*read.snapshot.submitted);
                        users.rank(before, &at.value.submitted);
                        *known = Some(Read { at: now, place, snapshot: at.value, modules });
                    }
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
