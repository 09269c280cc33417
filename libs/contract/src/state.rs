//! The canonical words for where a job is and why.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a job is. Each surface of the API has its own words for these; facts and rows have these.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Known, but not yet to be run: its owner still edits it.
    Draft,
    /// Waits to run, with a reason; also while handed out and not yet started (`dispatching`), and
    /// between a failed attempt and the next.
    Queued,
    /// An attempt was reported as started and has not ended.
    Running,
    Succeeded,
    Failed,
    Canceled,
}

impl JobState {
    /// Whether nothing more happens to the job.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no state of a job. It is not quoted: whoever wrote it knows it, and it may be long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be draft, queued, running, succeeded, failed or canceled")]
pub struct UnknownState;

impl FromStr for JobState {
    type Err = UnknownState;

    /// Reads the canonical word or any spelling that a surface of the API uses.
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Ok(match text {
            "draft" => Self::Draft,
            "queued" | "pending" => Self::Queued,
            "running" => Self::Running,
            "succeeded" | "completed" | "success" => Self::Succeeded,
            "failed" | "failure" => Self::Failed,
            "canceled" | "cancelled" => Self::Canceled,
            _ => return Err(UnknownState),
        })
    }
}

/// Why a queued job does not run. A `waiting` fact is written only when the code changes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WaitingCode {
    /// Others are ahead.
    Priority,
    /// A concurrency key is full.
    Concurrency,
    /// The owner runs as much at a time as its limits allow.
    Quota,
    /// Starts are throttled.
    Rate,
    /// No live worker that takes work serves the module.
    NoWorker,
    /// Live workers serve the module, and those that would take work are drained by an operator.
    Drained,
    /// Workers serve the module, but none has room for what is asked.
    Resources,
    /// Workers serve the module, but none could hold what is asked if it ran nothing else: it waits for
    /// another worker.
    Unsatisfiable,
    /// Its worker was lost several times while it ran beside others: it waits for a worker of its own.
    Isolation,
    /// An earlier job has not succeeded yet.
    Dependency,
    /// Starts later (`run_at`).
    Scheduled,
    /// Waits to be tried again.
    Backoff,
    /// The module is disabled.
    Paused,
    /// It is a task, and waits for a worker of its topic to claim it.
    Claim,
    /// Handed to a worker that has not reported the start. Implied by `assigned`, never written.
    Dispatching,
}

impl WaitingCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Concurrency => "concurrency",
            Self::Quota => "quota",
            Self::Rate => "rate",
            Self::NoWorker => "no_worker",
            Self::Drained => "drained",
            Self::Resources => "resources",
            Self::Unsatisfiable => "unsatisfiable",
            Self::Isolation => "isolation",
            Self::Dependency => "dependency",
            Self::Scheduled => "scheduled",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
            Self::Claim => "claim",
            Self::Dispatching => "dispatching",
        }
    }
}

/// Why an attempt is over although it did not end: no word of it will come, or it was handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostReason {
    /// The worker was silent for longer than its lease.
    WorkerSilent,
    /// The worker began a new session, so nothing of the old one runs.
    NewSession,
    /// The worker lives but does not hold the attempt that it was sent.
    NotHeld,
    /// The worker was to stop: it handed the attempt back, or went with it.
    Draining,
    /// The worker could not run it, and handed it back.
    CannotRun,
    /// The worker claimed it, and never heard that.
    Undelivered,
}

/// What the loss of an attempt says of its job. A worker goes down for one reason; only an attempt
/// that is known to have caused it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Nothing: the worker went or gave it back for a reason of its own.
    Nobody,
    /// It may have caused it: it was one of several that the worker was given, nobody heard of its
    /// start, or the worker fell silent. A job that this happens to repeatedly runs in isolation.
    Suspected,
    /// It alone ran on a worker whose process ended, or it ran in isolation: counts as a crash.
    Crashed,
}

/// Why a running attempt is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    Canceled,
}

/// What went wrong in an attempt or made a job fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// Stable and machine-readable: `exit_status`, `wall_time`, `spawn`, `output_missing`,
    /// `output_invalid`, `killed`, `crashed`, `dependency`, `rejected:<problem code>`, …
    pub code: String,
    /// For people.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
}
