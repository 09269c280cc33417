//! What clients asked for and what they heard: one half of what the checker judges by.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nox_contract::{FrameNumber, JobId, JobState, TenantId, UserId};
use serde::Serialize;

/// One call of one client, from the moment it was made to the moment its answer was there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    pub ask: Ask,
    /// Since the recorder began.
    pub invoked: Duration,
    /// `None` while, or if, nothing was ever heard.
    pub heard: Option<(Duration, Heard)>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Submit(Submit),
    Cancel {
        tenant: TenantId,
        job: JobId,
    },
    /// Read one job, naming the frame that the answer must not be older than, if any.
    Read {
        tenant: TenantId,
        job: JobId,
        min_n: Option<FrameNumber>,
    },
}

/// A submit, as far as it can be recognised in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Submit {
    pub tenant: TenantId,
    pub user: UserId,
    pub identity: Identity,
}

/// What makes two submits one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// An `Idempotency-Key`, from which the job's id follows.
    Key(String),
    /// The value of `mark` in the inputs, which no other submit has.
    Mark(String),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key {key}"),
            Self::Mark(mark) => write!(f, "mark {mark}"),
        }
    }
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// The submit will be decided, or was; then `n` says where.
    Admitted { job: JobId, n: Option<FrameNumber> },
    /// The job is canceled by frame `n`; without it, the cancel will be decided.
    Canceled { n: Option<FrameNumber> },
    /// The job as of its frame `n`.
    Seen { n: FrameNumber, state: JobState },
    /// There is no such job.
    NotFound,
    /// It was not done, and will not be.
    Refused { status: u16, code: String },
    /// It may have been done, or not: a lost answer, a time-out, "try again".
    Unknown { why: String },
}

/// Writes calls down, from any number of clients. Clones share what is written.
#[derive(Clone)]
pub struct Recorder {
    began: Instant,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A call whose answer is still to come.
#[derive(Debug)]
#[must_use = "what was heard has to be written down"]
pub struct Pending(usize);

impl Recorder {
    pub fn start() -> Self {
        Self { began: Instant::now(), calls: Arc::default() }
    }

    /// Writes down that a call is about to be made.
    pub fn invoke(&self, ask: Ask) -> Pending {
        let invoked = self.began.elapsed();
        let mut calls = self.lock();
        calls.push(Call { ask, invoked, heard: None });
        Pending(calls.len() - 1)
    }

    /// Writes down what came of it.
    pub fn heard(&self, pending: Pending, heard: Heard) {
        let at = self.began.elapsed();
        self.lock()[pending.0].heard = Some((at, heard));
    }

    /// Everything so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// What is in there stays whole if a writer panics: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
