//! A reader never misses an acknowledged write, and never goes back.
//!
//! Whatever is said of rows is said from one snapshot: of how far the rows were in it, and of nothing
//! that another read has seen, for two connections may reach two databases. What is found is shown at
//! once. Only the word "there is no such thing" needs a snapshot that has folded everything that was
//! asked for before: else it would be said of jobs that exist.

use std::{
    cmp::Ordering::Less,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nox_contract::{FrameNumber, Position, ProblemCode, subject};
use nox_readmodel::{At, Progress, QueryError, Reader};
use nox_streams::Broker;

use crate::{
    problem::{ApiError, FieldError},
    read::{
        progress::{Behind, ProgressWatch},
        required::Required,
        shared::Shared,
    },
};

/// How long a reader waits for the projection.
const BARRIER_WAIT: Duration = Duration::from_secs(2);

/// Longest time of one read, after which a server is taken to be away that says nothing. Postgres itself
/// ends a statement after ten seconds.
const READ_WAIT: Duration = Duration::from_secs(11);

/// Where a stream ends, asked for many at once.
type End = Shared<Result<Position, String>>;

/// How long those rest who follow rows of which nobody can say where they are.
const MOVED_PAUSE: Duration = Duration::from_millis(500);

/// Waits for the projection, for all readers together.
pub struct Barrier {
    progress: ProgressWatch,
    commands: End,
    reports: End,
    log: End,
    /// The newest place in the log that this gateway has heard of, in the life of the log that the
    /// newest snapshot was of.
    seen: Mutex<Position>,
    /// The newest place in the log that an answer was of: no later answer is of an earlier one.
    answered: Mutex<Position>,
}

/// Which inputs may tell of a thing.
#[derive(Debug, Clone, Copy)]
pub enum Sources {
    Commands,
    CommandsAndReports,
}

impl Barrier {
    pub fn start(reader: Reader, broker: &Broker) -> Arc<Self> {
        let end = |stream: &'static str| {
            let broker = broker.clone();
            Shared::new(move || {
                let broker = broker.clone();
                async move { broker.extent(stream).await.map(Position::from).map_err(|e| e.to_string()) }
            })
        };
        let progress = ProgressWatch::new(move || {
            let reader = reader.clone();
            async move { reader.progress().await.map_err(|e| format!("{e:#}")) }
        });
        Arc::new(Self {
            progress,
            commands: end(subject::COMMANDS),
            reports: end(subject::REPORTS),
            log: end(subject::EVENTS),
            seen: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// Reads until the snapshot that was read has all that is `required`, and is not older than one that
    /// was answered from.
    pub async fn read<T, E, R>(
        &self,
        required: &Required,
        read: impl Fn() -> R,
    ) -> Result<At<T>, ApiError>
    where
        E: Into<anyhow::Error>,
        R: Future<Output = Result<At<T>, E>>,
    {
        let first = once(&read).await?;
        if self.may_answer(required, &first.progress) {
            return Ok(first);
        }
        let mut last = first.progress;
        let waiting = async {
            loop {
                let newer = |at: &Progress| required.is_met(at) && !self.is_behind(at);
                if let Err(Behind::Unknown(why)) = self.progress.until(BARRIER_WAIT, newer).await {
                    return Err(database_away(anyhow::anyhow!(why)));
                }
                let at = once(&read).await?;
                if self.may_answer(required, &at.progress) {
                    return Ok(at);
                }
                last = at.progress;
            }
        };
        match tokio::time::timeout(BARRIER_WAIT, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.lagging(required, &last).await),
        }
    }

    /// As [`read`](Self::read), of one thing: that it is not there is said from a snapshot that has
    /// everything that was acknowledged before.
    pub async fn find<T, R>(
        &self,
        mut required: Required,
        sources: Sources,
        read: impl Fn() -> R,
    ) -> Result<At<Option<T>>, ApiError>
    where
        R: Future<Output = Result<At<Option<T>>, QueryError>>,
    {
        let found = self.read(&required, &read).await?;
        if found.value.is_some() {
            return Ok(found);
        }
        required.commands = Some(self.end(&self.commands).await?);
        if let Sources::CommandsAndReports = sources {
            required.reports = Some(self.end(&self.reports).await?);
        }
        self.read(&required, read).await
    }

    /// Waits until frame `n` is folded, which somebody has heard of.
    pub async fn frame(&self, n: FrameNumber) -> Result<Progress, ApiError> {
        self.until(&Required::frame(Some(n))).await
    }

    /// Gives the view time to show frame `n`, which a request has just caused, so that whoever reads
    /// after the answer sees it on every gateway. The frame stands without the view: a reader that
    /// names its number sees it all the same.
    pub async fn written(&self, n: FrameNumber) {
        self.saw(n);
        if let Err(error) = self.frame(n).await {
            tracing::warn!(%n, reason = %error.code(), "Answered before the view shows it");
        }
    }

    /// Waits until the rows are of another place than `at`, at most for `limit`, or until nobody can say where
    /// they are.
    pub async fn moved(&self, at: &Progress, limit: Duration) {
        if let Err(Behind::Unknown(_)) = self.progress.until(limit, |now| now != at).await {
            tokio::time::sleep(MOVED_PAUSE).await;
        }
    }

    /// Every command that was acknowledged before this call.
    pub async fn all_commands(&self) -> Result<Required, ApiError> {
        let commands = Some(self.end(&self.commands).await?);
        Ok(Required { commands, ..Required::default() })
    }

    /// Every command and every report that was acknowledged before this call.
    pub async fn all_inputs(&self) -> Result<Required, ApiError> {
        let (commands, reports) = tokio::join!(self.end(&self.commands), self.end(&self.reports));
        Ok(Required { commands: Some(commands?), reports: Some(reports?), n: None })
    }

    /// The last frame of the log, as the broker has it now; the view may be behind.
    pub async fn log_end(&self) -> Result<Position, ApiError> {
        self.end(&self.log).await
    }

    /// The last message of the stream of commands, as the broker has it now.
    pub async fn last_command(&self) -> Result<Position, ApiError> {
        self.end(&self.commands).await
    }

    /// The newest place in the log that this gateway has heard of.
    pub fn seen(&self) -> Position {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a place is in the log that this gateway has heard of last.
    pub fn is_of(&self, place: &Position) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.incarnation == place.incarnation
    }

    /// This gateway has heard of frame `n`, of the log that there is.
    pub fn saw(&self, n: FrameNumber) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.seq = seen.seq.max(n.0);
    }

    /// This gateway has seen rows that are a fold of the log up to there.
    pub fn saw_rows(&self, place: Position) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Of another life of the log, an earlier place is the newer one.
        if !seen.reaches(&place) {
            *seen = place;
        }
    }

    async fn until(&self, required: &Required) -> Result<Progress, ApiError> {
        match self.progress.until(BARRIER_WAIT, |at| required.is_met(at)).await {
            Ok(at) => {
                self.saw_rows(at.place());
                Ok(at)
            }
            Err(Behind::At(at)) => Err(self.lagging(required, &at).await),
            Err(Behind::Unknown(why)) => Err(database_away(anyhow::anyhow!(why))),
        }
    }

    /// Whether a snapshot may be answered from; if so, no older one may from now on.
    fn may_answer(&self, required: &Required, at: &Progress) -> bool {
        if !required.is_met(at) {
            return false;
        }
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let place = at.place();
        if place.partial_cmp(&answered) == Some(Less) {
            return false;
        }
        *answered = place.clone();
        drop(answered);
        self.saw_rows(place);
        true
    }

    fn is_behind(&self, at: &Progress) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        at.place().partial_cmp(&answered) == Some(Less)
    }

    /// Why there is no answer, when the projection has not come so far in time.
    async fn lagging(&self, required: &Required, at: &Progress) -> ApiError {
        // Asked only now, for those that are late: the log is cut from its beginning only, so its last
        // sequence is its last frame. Trying again would be no good advice to who names one that it does not have.
        let end = self.end(&self.log).await.ok();
        if let (Some(n), Some(end)) = (required.n, &end)
            && n.0 > end.seq
        {
            let detail = format!("the log has no frame {n} yet");
            return ApiError::invalid(vec![FieldError::new("?n", detail)]);
        }
        // An answer was of a log that was put back since: then it is no measure any more.
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_some_and(|end| !end.reaches(&answered)) {
            *answered = Position::default();
        }
        drop(answered);
        let missing = required.missing(at);
        let detail = format!("the view has frames up to {}, but {missing}", at.n);
        ApiError::new(ProblemCode::Lagging, detail)
    }

    async fn end(&self, question: &End) -> Result<Position, ApiError> {
        let unavailable = |why: String| ApiError::unavailable("the broker", anyhow::anyhow!(why));
        match tokio::time::timeout(BARRIER_WAIT, question.get()).await {
            Ok(Some(end)) => end.map_err(unavailable),
            Ok(None) => Err(unavailable("nobody asks it any more".to_owned())),
            Err(_) => Err(unavailable("no answer in time".to_owned())),
        }
    }
}

async fn once<T, E, R>(read: impl Fn() -> R) -> Result<At<T>, ApiError>
where
    E: Into<anyhow::Error>,
    R: Future<Output = Result<At<T>, E>>,
{
    match tokio::time::timeout(READ_WAIT, read()).await {
        Ok(at) => at.map_err(unread),
        Err(_) => Err(database_away(anyhow::anyhow!("no answer in time"))),
    }
}

/// Rows that are not as they must be are a defect; everything else can pass.
fn unread(error: impl Into<anyhow::Error>) -> ApiError {
    let error = error.into();
    let shared = error.downcast_ref::<Arc<QueryError>>().map(|error| &**error);
    match error.downcast_ref::<QueryError>().or(shared) {
        Some(QueryError::Broken(_)) => ApiError::internal(error),
        _ => database_away(error),
    }
}

fn database_away(cause: impl Into<anyhow::Error>) -> ApiError {
    ApiError::unavailable("the database", cause)
}
