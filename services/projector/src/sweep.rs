//! Removes files and uploads from the artifact store that nobody can see any more, or that were kept long
//! enough. The projector does: it alone is one at a time, and its rows are what says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{JobId, JobState, Timestamp, upload};
use nox_readmodel::{QueryError, Reader, query::JobStanding};
use nox_service::{Clock, Runtime};
use nox_store::{
    Artifacts,
    sweep::{End, Rows, Rules, Seen, Standing, sweep},
};

use crate::metrics::Metrics;

/// From the start to the first sweep; nothing is in a hurry.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// The rows as a sweep asks them.
pub struct ReadRows {
    pub reader: Reader,
    pub clock: Clock,
}

impl ReadRows {
    /// A leader's clock that was ahead once must not make anything older than it is.
    fn not_ahead(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        at.map(|at| at.min(self.clock.wall()))
    }
}

impl Rows for ReadRows {
    type Error = QueryError;

    async fn standings(
        &self,
        ids: Vec<JobId>,
    ) -> Result<Option<Seen<BTreeMap<JobId, Standing>>>, QueryError> {
        let (at, jobs) = self.reader.standings(&ids).await?;
        let standing = |job: JobStanding| {
            let succeeded = job.status == JobState::Succeeded;
            let end = job.ended_at.filter(|_| job.status.is_ended());
            let end = end.map(|at| End { succeeded, at });
            (job.id, Standing { attempt: job.attempt, end })
        };
        Ok(self
            .not_ahead(at)
            .map(|at| Seen { at, value: jobs.into_iter().map(standing).collect() }))
    }

    async fn referred(&self) -> Result<Option<Seen<BTreeSet<String>>>, QueryError> {
        let named = self.reader.hashes_in_live_inputs().await?;
        let (at, _) = self.reader.standings(&[]).await?;
        let places = named.into_iter().map(|named| {
            let prefix = upload::prefix(&named.tenant, &named.user_id);
            format!("{prefix}/{}", named.sha256)
        });
        Ok(self.not_ahead(at).map(|at| Seen { at, value: places.collect() }))
    }
}

/// Sweeps every so often until the runtime stops.
pub async fn run(
    artifacts: Artifacts,
    rows: ReadRows,
    rules: Rules,
    every: Duration,
    runtime: Runtime,
    metrics: Metrics,
) {
    let mut pause = FIRST_AFTER.min(every);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = runtime.stop.cancelled() => return,
        }
        pause = every;
        let (mut files, mut bytes) = (0_u64, 0_u64);
        let swept = sweep(&artifacts, &rows, rules, false, |gone| {
            tracing::debug!(path = gone.path, reason = gone.reason.as_str(), "Removed a file");
            files += 1;
            bytes += gone.size;
        });
        let outcome = tokio::select! {
            outcome = swept => outcome,
            () = runtime.stop.cancelled() => return,
        };
        metrics.swept_bytes.inc_by(bytes);
        match outcome {
            Ok(()) => tracing::info!(files, bytes, "Swept the artifact store"),
            // It goes on where it is next time.
            Err(error) => {
                tracing::warn!(%error, files, bytes, "Could not sweep all of the artifact store")
            }
        }
    }
}
