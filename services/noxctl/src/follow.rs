//! Stays with a job until it has ended.

use std::time::Duration;

use anyhow::Result;
use nox_contract::{EventNumber, JobId};
use nox_service::Clock;
use serde_json::value::RawValue;

use crate::{
    client::{Client, ClientError},
    views::{Events, Job, LogChunk, Logs},
};

/// Between two looks: short at first, for short jobs; then so that nobody is a burden.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(25);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// How long a gateway that does not answer is asked again: it may be restarting.
const PATIENCE: Duration = Duration::from_secs(30);

/// A job that is looked at again and again.
pub struct Follow<'a> {
    client: &'a Client,
    id: JobId,
    clock: Clock,
    /// Since the gateway last answered.
    silent_since: Option<Duration>,
    pause: Duration,
}

impl<'a> Follow<'a> {
    pub fn new(client: &'a Client, id: JobId) -> Self {
        let clock = Clock::system();
        Self { client, id, clock, silent_since: None, pause: LOOK_AGAIN_MIN }
    }

    /// The job as it is now, with the event `n` in it; `None` if that is not known right now.
    ///
    /// # Errors
    /// There is no such job, or the gateway has been silent for too long.
    pub async fn look(&mut self, n: Option<EventNumber>) -> Result<Option<Job>, ClientError> {
        let query = n.map(|n| format!("?n={n}")).unwrap_or_default();
        let error = match self.client.read(&format!("/jobs/{}{query}", self.id)).await {
            Ok(job) => {
                self.silent_since = None;
                return Ok(Some(job));
            }
            Err(error) => error,
        };
        let passes = match &error {
            ClientError::Refused(problem) => matches!(problem.status, 429 | 503),
            ClientError::Unreachable { .. } => true,
            _ => false,
        };
        let now = self.clock.monotonic();
        let since = *self.silent_since.get_or_insert(now);
        if passes && now.saturating_sub(since) < PATIENCE { Ok(None) } else { Err(error) }
    }

    /// Waits a little; a little longer each time.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(LOOK_AGAIN_MAX);
    }

    /// Looks until the job has ended, and tells `see` each time that it stands otherwise. Ends with
    /// the job as it is when `timeout` is over.
    pub async fn until_ended(
        mut self,
        n: Option<EventNumber>,
        timeout: Option<Duration>,
        mut see: impl AsyncFnMut(&Job, bool) -> Result<()>,
    ) -> Result<Job> {
        let begun = self.clock.monotonic();
        let mut n = n;
        let mut known = None;
        loop {
            if let Some(job) = self.look(n).await? {
                n = None;
                let standing = job.standing();
                let changed = known.as_ref() != Some(&standing);
                if changed {
                    self.pause = LOOK_AGAIN_MIN;
                }
                known = Some(standing);
                see(&job, changed).await?;
                let late = timeout
                    .is_some_and(|timeout| self.clock.monotonic().saturating_sub(begun) >= timeout);
                if job.state.is_ended() || late {
                    return Ok(job);
                }
            }
            self.pause().await;
        }
    }
}

/// All that a job has printed after chunk `after`, and where to go on.
pub async fn logs(
    client: &Client,
    id: JobId,
    mut after: u64,
) -> Result<(Vec<Box<RawValue>>, u64), ClientError> {
    let mut chunks = Vec::new();
    loop {
        let page: Logs = client.read(&format!("/jobs/{id}/logs?after={after}")).await?;
        after = page.next.unwrap_or(after);
        if page.chunks.is_empty() {
            return Ok((chunks, after));
        }
        chunks.extend(page.chunks);
    }
}

/// What of the raw `chunks` is text.
pub fn texts(chunks: &[Box<RawValue>]) -> Result<Vec<LogChunk>, ClientError> {
    let chunks: serde_json::Result<Vec<_>> =
        chunks.iter().map(|chunk| serde_json::from_str(chunk.get())).collect();
    chunks.map_err(|error| ClientError::Unreadable(error.to_string()))
}

/// All events of a job after event `after`, and the number of the last.
pub async fn events(
    client: &Client,
    id: JobId,
    mut after: u64,
) -> Result<(Events, u64), ClientError> {
    let mut all = Events { events: Vec::new(), next: None };
    loop {
        let page: Events = client.read(&format!("/jobs/{id}/events?after={after}")).await?;
        after = page.next.unwrap_or(after);
        if page.events.is_empty() {
            return Ok((all, after));
        }
        all.events.extend(page.events);
    }
}
