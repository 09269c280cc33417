//! A reader never misses an acknowledged write.
//!
//! What is found is shown at once. Only the word "there is no such thing" needs the projection to
//! have folded everything that was asked for before: else it would be said of jobs that exist.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nox_contract::{EventNumber, ProblemCode, subject};
use nox_readmodel::{Progress, Reader};
use nox_streams::Broker;

use crate::{
    problem::{ApiError, FieldError},
    progress::{Behind, ProgressWatch},
    shared::Shared,
};

/// How long a reader waits for the projection.
const BARRIER_WAIT: Duration = Duration::from_secs(2);

/// Waits for the projection, for all readers together.
pub struct Barrier {
    progress: ProgressWatch,
    commands: Shared<Result<u64, String>>,
    reports: Shared<Result<u64, String>>,
    events: Shared<Result<u64, String>>,
    /// The newest place in the log that this gateway has heard of.
    seen: AtomicU64,
}

impl Barrier {
    pub fn start(reader: Reader, broker: &Broker) -> Arc<Self> {
        let last = |stream: &'static str| {
            let broker = broker.clone();
            Shared::new(move || {
                let broker = broker.clone();
                async move { broker.last_sequence(stream).await.map_err(|e| e.to_string()) }
            })
        };
        let progress = ProgressWatch::new(move || {
            let reader = reader.clone();
            async move { reader.progress().await.map_err(|e| format!("{e:#}")) }
        });
        Arc::new(Self {
            progress,
            commands: last(subject::COMMANDS),
            reports: last(subject::REPORTS),
            events: last(subject::EVENTS),
            seen: AtomicU64::new(0),
        })
    }

    /// Waits until the event `n` is folded, which somebody has heard of.
    pub async fn event(&self, n: EventNumber) -> Result<Progress, ApiError> {
        let waited = self.until(BARRIER_WAIT, |at| at.n >= n, format!("event {n}")).await;
        let Err(error) = waited else { return waited };
        // Asked only now, for those that are late: trying again would be no good advice to who names
        // an event that the log doesn't have. The log is never purged, so its last sequence is its
        // last event.
        if error.code() == ProblemCode::Lagging
            && let Ok(last) = self.last(&self.events).await
            && n.0 > last
        {
            let detail = format!("the log has no event {n} yet");
            return Err(ApiError::invalid(vec![FieldError::new("?n", detail)]));
        }
        Err(error)
    }

    /// Gives the view time to show the event `n`, which a request has just caused, so that whoever reads
    /// after the answer sees it on every gateway. The event stands without the view: a reader that
    /// names its number sees it all the same.
    pub async fn written(&self, n: EventNumber) {
        self.saw(n);
        if let Err(error) = self.until(BARRIER_WAIT, |at| at.n >= n, format!("event {n}")).await {
            tracing::warn!(%n, reason = %error.code(), "Answered before the view shows it");
        }
    }

    /// Waits until every command that was acknowledged before this call is decided and folded.
    pub async fn commands(&self) -> Result<Progress, ApiError> {
        let last = self.last(&self.commands).await?;
        let what = format!("command {last}");
        self.until(BARRIER_WAIT, |at| at.pos.commands >= last, what).await
    }

    /// As [`commands`](Self::commands), of commands and reports: modules come by both.
    pub async fn commands_and_reports(&self) -> Result<Progress, ApiError> {
        let (commands, reports) =
            tokio::try_join!(self.last(&self.commands), self.last(&self.reports))?;
        let what = format!("command {commands} and report {reports}");
        let wanted = |at: &Progress| at.pos.commands >= commands && at.pos.reports >= reports;
        self.until(BARRIER_WAIT, wanted, what).await
    }

    /// How far the projection is, looked up now.
    pub async fn now(&self) -> Result<Progress, ApiError> {
        self.until(BARRIER_WAIT, |_| true, String::new()).await
    }

    /// The last event of the log, as the broker has it now; the view may be behind.
    pub async fn log_end(&self) -> Result<EventNumber, ApiError> {
        Ok(EventNumber(self.last(&self.events).await?))
    }

    /// The last message of the stream of commands, as the broker has it now.
    pub async fn last_command(&self) -> Result<u64, ApiError> {
        self.last(&self.commands).await
    }

    /// The newest place in the log that this gateway has heard of, for the stamps of submits.
    pub fn seen(&self) -> EventNumber {
        EventNumber(self.seen.load(Ordering::Relaxed))
    }

    /// This gateway has heard of event `n`.
    pub fn saw(&self, n: EventNumber) {
        self.seen.fetch_max(n.0, Ordering::Relaxed);
    }

    async fn last(&self, question: &Shared<Result<u64, String>>) -> Result<u64, ApiError> {
        let unavailable = |why: String| ApiError::unavailable("the broker", anyhow::anyhow!(why));
        match tokio::time::timeout(BARRIER_WAIT, question.get()).await {
            Ok(Some(last)) => last.map_err(unavailable),
            Ok(None) => Err(unavailable("nobody asks it any more".to_owned())),
            Err(_) => Err(unavailable("no answer in time".to_owned())),
        }
    }

    async fn until(
        &self,
        limit: Duration,
        wanted: impl Fn(&Progress) -> bool,
        what: String,
    ) -> Result<Progress, ApiError> {
        match self.progress.until(limit, wanted).await {
            Ok(at) => {
                self.saw(at.n);
                Ok(at)
            }
            Err(Behind::At(at)) => Err(ApiError::new(
                ProblemCode::Lagging,
                format!("the view has events up to {}, but {what} is not in it yet", at.n),
            )),
            Err(Behind::Unknown(why)) => {
                Err(ApiError::unavailable("the database", anyhow::anyhow!(why)))
            }
        }
    }
}
