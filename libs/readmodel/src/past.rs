//! A job as it was: its entries in the log, folded as its row is.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use nox_contract::{Attempt, Entry, Fact, FrameNumber, JobId, JobState, Timestamp, WaitingCode};

use crate::{
    JobRow,
    batch::{EntryPlace, PlacedEntry},
    project::{self, IllegalEntry, ReservedResources, Treatment},
    query::JobEntry,
    rows::{Rows, StoredJob},
};

/// Up to where history is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// This frame and all before it.
    Frame(FrameNumber),
    /// All that was decided up to then, by log time.
    Instant(Timestamp),
}

/// Text that is no [`AsOf`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the number of a frame, or an instant such as 2026-12-01T06:00:00Z")]
pub struct NoAsOf;

impl FromStr for AsOf {
    type Err = NoAsOf;

    fn from_str(text: &str) -> Result<Self, NoAsOf> {
        match text.parse() {
            Ok(n) => Ok(Self::Frame(FrameNumber(n))),
            Err(_) => text.parse().map(Self::Instant).map_err(|_| NoAsOf),
        }
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(n) => write!(f, "frame {n}"),
            Self::Instant(at) => at.fmt(f),
        }
    }
}

impl AsOf {
    /// Whether it ends before frame `n`; an instant may end anywhere.
    pub fn is_before(self, n: FrameNumber) -> bool {
        matches!(self, Self::Frame(end) if end < n)
    }

    fn covers(self, entry: &JobEntry) -> bool {
        match self {
            Self::Frame(n) => entry.n <= n,
            Self::Instant(at) => entry.at <= at,
        }
    }
}

/// Where a job stood from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Of an attempt that runs, when it started by its worker's word; else when it was decided.
    pub from: Timestamp,
    /// The frame that says so.
    pub n: FrameNumber,
    pub state: JobState,
    /// Why it did not run, while it was queued.
    pub waiting: Option<WaitingCode>,
    pub attempt: Attempt,
}

/// A job as it was, and how it came to that.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub row: JobRow,
    /// One for each change, the first when the job was made; never empty.
    pub standings: Vec<Standing>,
    /// The jobs that it was to wait for when it was made.
    pub followed: Vec<JobId>,
}

/// Why nothing can be said of a job's past.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    #[error("an entry cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error("the entries are not all there")]
    Illegal(#[from] IllegalEntry),
}

/// Folds `entries`, which are those of the job of `present` from its first on, up to `as_of`; `None` if the
/// job was not there yet.
///
/// # Errors
/// An entry cannot be read, or does not follow the one before it: one between them is missing.
pub fn past(
    present: &JobRow,
    entries: &[JobEntry],
    as_of: Option<AsOf>,
) -> Result<Option<Past>, PastError> {
    let mut rows = Rows::default();
    let mut standings = Vec::new();
    let mut followed = Vec::new();
    let mut stored: Option<StoredJob> = None;
    let covered = entries.iter().take_while(|entry| as_of.is_none_or(|as_of| as_of.covers(entry)));
    for entry in covered {
        let read: Entry = serde_json::from_str(entry.entry.get())?;
        let placed = PlacedEntry::of_job(entry.place(), entry.at, &read);
        let changes = project::project(&rows, &[placed], Treatment::Alone)?;
        let Some(change) = changes.jobs.into_iter().next() else { continue };
        for fact in read.known_facts() {
            if let Fact::Submitted(submitted) | Fact::Drafted(submitted) = fact {
                followed.clone_from(&submitted.after);
            }
        }
        let starts = read.known_facts().any(|fact| matches!(fact, Fact::Started { .. }));
        stand(&mut standings, starts, &change.row, entry);
        rows.jobs.insert(change.row.id, change.row.clone());
        stored = Some(change.row);
    }
    Ok(stored.map(|stored| Past { row: row(present, &stored), standings, followed }))
}

/// What an entry changed of where the job stands. A start is told after it happened, and often with the end.
fn stand(standings: &mut Vec<Standing>, starts: bool, after: &StoredJob, entry: &JobEntry) {
    let job = &after.job;
    let now = Standing {
        from: entry.at,
        n: entry.n,
        state: job.state(),
        waiting: job.waiting(),
        attempt: job.attempt,
    };
    let started = job.started_at.filter(|_| starts);
    if let (Some(started), Some(last)) = (started, standings.last()) {
        let from = started.clamp(last.from, entry.at.max(last.from));
        standings.push(Standing { from, state: JobState::Running, waiting: None, ..now });
    }
    let says_more = |last: &Standing| {
        (last.state, last.waiting, last.attempt) != (now.state, now.waiting, now.attempt)
    };
    if standings.last().is_none_or(says_more) {
        standings.push(now);
    }
}

/// The present row, with what has changed since put back.
fn row(present: &JobRow, then: &StoredJob) -> JobRow {
    let job = &then.job;
    let ledger = &then.ledger;
    let status = job.state();
    JobRow {
        status,
        attempt: job.attempt,
        waiting_code: job.waiting(),
        outputs: present.outputs.clone().filter(|_| status == JobState::Succeeded),
        reserved_resources: ledger
            .period
            .map(|_| ReservedResources::new(job.resources(), ledger.reservation)),
        started_at: job.started_at,
        ended_at: job.ended_at,
        due_at: job.due_at,
        error: job.error.as_deref().cloned(),
        n: then.n,
        worker_id: then.worker_id.clone(),
        progress: then.progress.clone(),
        parked: then.parked,
        ..present.clone()
    }
}

impl JobEntry {
    fn place(&self) -> EntryPlace {
        EntryPlace { n: self.n, place: self.place }
    }
}

impl<'a> PlacedEntry<'a> {
    /// An entry of a job without its frame, which nobody asks of it.
    fn of_job(stands: EntryPlace, at: Timestamp, entry: &'a Entry) -> Self {
        static NO_FRAME: Bytes = Bytes::new();
        Self { n: stands.n, place: stands.place, at, fact_first: 0, entry, payload: &NO_FRAME }
    }
}
