//! What workers tell: executor → NOX_REPORTS → scheduler.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, Capacity, InstanceId, JobError, JobId, Manifest, ProcessId, Progress, RawJson,
    SessionId, Token,
    tolerance::{self, Part},
};

/// One message of NOX_REPORTS (the subject names the worker): reports of one session, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportMessage {
    pub session: SessionId,
    /// Each is a part of the input, counted from 0.
    #[serde(deserialize_with = "tolerance::parts")]
    pub reports: Vec<Report>,
}

/// Something a worker tells. It is a claim: only the scheduler's fact makes it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A session begins. Always the first report of a session.
    Hello(Box<Hello>),
    /// The attempt's process runs.
    Started(Started),
    /// How far the attempt is. At most one a second of an attempt.
    Progressed(Progressed),
    /// The attempt is over, well or badly.
    Ended(Box<Ended>),
    /// The attempt was ended because it was asked for, and nothing of it runs any more.
    Stopped(Stopped),
    /// The worker is to stop: it takes no more work, and what it holds goes on or is handed back.
    Draining,
    /// The worker lives and cannot run attempts, for such a reason: it takes no work until `resumed`.
    /// These two are numbered together within a session, from 1: a copy that the broker stored late
    /// changes nothing.
    Paused { number: u64, reason: String },
    /// The worker takes work again.
    Resumed { number: u64 },
    /// What the worker offers is this from now on.
    Offer(Box<Offer>),
    /// The worker has nothing left and goes.
    Bye,
    /// What only a newer version can read. Never written.
    #[serde(skip)]
    Unreadable,
}

impl Part for Report {
    const UNREADABLE: Self = Self::Unreadable;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    pub origin: Origin,
    pub capacity: Capacity,
    /// One that cannot be read is not served, as far as the reader knows; the others are.
    #[serde(deserialize_with = "tolerance::readable")]
    pub modules: Vec<Manifest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// What a worker offers, when that changes within its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// Counts the offers of a session, from 1: a copy that the broker stored late changes nothing.
    pub number: u64,
    pub capacity: Capacity,
    #[serde(deserialize_with = "tolerance::readable")]
    pub modules: Vec<Manifest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Whose session it is. Of two sessions under one name, a later one of the same instance replaces the
/// earlier, for no two processes hold one data folder (an earlier one that lives all the same ends, for
/// its folder was copied); one of another instance is refused as long as the earlier lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    pub instance: InstanceId,
    pub process: ProcessId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    /// Milliseconds between the start and this report, on the worker's monotonic clock.
    pub elapsed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progressed {
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    pub progress: Progress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    /// Whether the process ever ran: an end before the start is no crash.
    pub started: bool,
    pub usage: Usage,
    pub end: AttemptEnd,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    pub usage: Usage,
}

/// What an attempt used, by the worker's measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// From start to end on the worker's monotonic clock, in milliseconds.
    pub wall_ms: u64,
    /// Core seconds charged: cores held times wall time, rounded up.
    pub cpu_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// `{"files": […], "metrics": {…}, "scalars": {…}}`.
    Succeeded { outputs: RawJson },
    /// `retryable` is the worker's word for "another attempt may go better". `crashed` says that nobody
    /// knows how the program ended, because its supervisor went with it: it is tried again as often as
    /// crashes are, whatever its module says of failures.
    Failed { error: JobError, retryable: bool, crashed: bool },
    /// The worker did not run it to its end, for a reason of its own. Nobody is charged for that, and
    /// the job is queued again at once.
    HandedBack(HandBack),
}

/// Why a worker gives an attempt back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandBack {
    /// It is to stop.
    Draining,
    /// It could not run it: no process, no thread, no room. It takes no work before that is mended.
    CannotRun { reason: String },
}
