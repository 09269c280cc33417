//! Judges a run: what clients heard, what the log tells, what really ran and what the rows show must
//! be one and the same story.
//!
//! It knows the promises and nothing of how they are kept. Every rule has a doctored history in the
//! tests that breaks it, so that a green verdict means something.

mod calls;
mod log;
mod replay;
mod runs;
mod view;

use std::{collections::BTreeSet, fmt};

use nox_contract::{Attempt, FrameNumber, JobId, ModuleName, Timestamp};
use nox_protocol::replay::Recorded;
use nox_readmodel::JobRow;

pub use view::rows;

use super::recorder::Call;

/// All that is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub calls: Vec<Call>,
    /// NOX_EVENTS from its first message to its end.
    pub log: Vec<LogEntry>,
    /// The input streams, and the key of attempts' tokens; without them, nothing is decided again.
    pub inputs: Option<(Recorded, [u8; 32])>,
    /// What was run, as the jobs themselves told a file outside of the system.
    pub runs: Vec<Run>,
    /// The modules whose jobs tell that file.
    pub telling: BTreeSet<ModuleName>,
    /// The rows after everything had settled; without them, nothing is said about rows.
    pub view: Option<View>,
}

/// A message of the log as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub seq: u64,
    pub subject: String,
    pub payload: bytes::Bytes,
}

/// An attempt's own word that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub job: JobId,
    pub attempt: Attempt,
    /// By the machine's wall clock.
    pub at: Timestamp,
}

/// The rows, and what a rebuild from the log makes of them.
#[derive(Debug, Clone)]
pub struct View {
    pub n: FrameNumber,
    pub jobs: Vec<JobRow>,
    /// Balances that are not the sum of their jobs.
    pub ledger_differences: Vec<String>,
    /// Content hashes of the live rows and of rows folded anew.
    pub live: String,
    pub rebuilt: String,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Numbers are gapless and are the stream's sequences.
    NoGap,
    /// Each message names the chain of all before it.
    ChainHolds,
    /// Frames are written by the newest leader, and terms are counted one by one.
    NewestLeaderAlone,
    /// Each part of an input is taken once, those of a stream in their order, and none beyond where the
    /// frame says that the inputs are consumed.
    InputOnce,
    /// Facts follow each other as the life cycle allows.
    LegalFacts,
    /// free + reserved + used = granted in every account, after every entry.
    LedgerBalances,
    /// Entries alone explain every balance: what jobs asked for, used and gave back.
    LedgerExplained,
    /// Every fact follows again from what the log and the input streams say was asked and told.
    FollowsAgain,
    /// What the leader counts is what the jobs say, after every frame.
    CountsAgree,
    /// A job succeeds at most once.
    OneSuccess,
    /// What a worker tells counts for the newest attempt alone.
    NewestAttemptAlone,
    /// A job begins once.
    OneBeginning,
    /// What was admitted is in the log.
    AdmittedIsThere,
    /// What was refused is not.
    RefusedIsNotThere,
    /// One submit makes one job, whoever hears of it.
    SubmitOnce,
    /// The same key gives the same job.
    SameKeySameJob,
    /// The job under the answered id is the one that was asked for.
    AnswerNamesTheJob,
    /// The answered number is one at which the effect is in the log.
    AnswerNamesTheFrame,
    /// Nothing is in the log that nobody asked for.
    NothingInvented,
    /// Every job ends.
    EveryJobEnds,
    /// An acknowledged cancel is in the log.
    CanceledIsThere,
    /// No job is canceled that nobody canceled.
    CancelWasAsked,
    /// A read that names a frame is not older than it.
    ReadNotOlder,
    /// What was acknowledged is never said not to be there.
    ReadFindsAcknowledged,
    /// A read shows the job as it was at the frame that it names.
    ReadShowsTheLog,
    /// An attempt runs only if a worker was told to run it.
    RunWasAssigned,
    /// No earlier than that.
    RunAfterAssigned,
    /// An attempt runs once.
    RunOnce,
    /// What succeeded did run.
    SuccessDidRun,
    /// The rows are a fold of the whole log.
    RowsAreComplete,
    /// Each job's row is what the log tells of it.
    RowIsTheFold,
    /// A job has a row.
    JobHasRow,
    /// A row has a job.
    RowHasJob,
    /// Balances in rows are the sums of their jobs.
    RowsBalance,
    /// Rows folded anew are the same rows.
    RebuildIsEqual,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
    /// The message of the log that it was found at, where there is one.
    pub n: Option<FrameNumber>,
}

/// What the checker found.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    pub counts: Counts,
    /// The message of the log that is being looked at.
    reading: Option<FrameNumber>,
    /// The log around what is wrong with it, a line each.
    excerpt: Vec<String>,
}

/// How much there was to judge: a verdict on nothing is worth nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub calls: usize,
    pub admitted: usize,
    /// Submits of which nobody heard what became, and how many of those are in the log.
    pub unknown: usize,
    pub unknown_landed: usize,
    pub refused: usize,
    pub reads: usize,
    /// Messages of the log, and what their frames say.
    pub messages: usize,
    pub entries: usize,
    /// Facts that follow again, and those whose inputs are gone.
    pub facts_compared: u64,
    pub facts_taken: u64,
    pub terms: usize,
    pub jobs: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub canceled: usize,
    /// Attempts that were given up on: their worker was silent, or began anew, or did not have them.
    pub lost_silent: usize,
    pub lost_restarted: usize,
    pub lost_not_held: usize,
    /// Or it handed them back, or was to stop.
    pub handed_back: usize,
    pub retried: usize,
    pub runs: usize,
    pub rows: usize,
}

impl Verdict {
    fn violated(&mut self, rule: Rule, detail: impl Into<String>) {
        self.violations.push(Violation { rule, detail: detail.into(), n: self.reading });
    }

    /// Whether `rule` was broken.
    pub fn breaks(&self, rule: Rule) -> bool {
        self.violations.iter().any(|violation| violation.rule == rule)
    }

    /// # Panics
    /// Any rule was broken; the message names the first of them.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.violations.is_empty(), "{self}");
    }
}

/// Violations shown; a broken run has thousands that say the same.
const SHOWN_MAX: usize = 20;
/// Places of the log shown, and how many messages around each.
const EXCERPTS_MAX: usize = 5;
const EXCERPT_BEFORE: u64 = 4;
const EXCERPT_BEHIND: u64 = 2;
/// Enough of a message for its head and what it begins with.
const RECORD_CHARS_MAX: usize = 2_000;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} violations in {:?}", self.violations.len(), self.counts)?;
        for Violation { rule, detail, .. } in self.violations.iter().take(SHOWN_MAX) {
            writeln!(f, "  {rule:?}: {detail}")?;
        }
        for line in &self.excerpt {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// Judges a run that has settled.
pub fn check(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let told = log::read(&evidence.log, &mut verdict);
    replay::check(&evidence.log, evidence.inputs.as_ref(), &mut verdict);
    calls::check(&evidence.calls, &told, &mut verdict);
    runs::check(&evidence.runs, &evidence.telling, &told, &mut verdict);
    if let Some(rows) = &evidence.view {
        view::check(rows, &told, &mut verdict);
    }
    verdict.excerpt = excerpt(&evidence.log, &verdict.violations);
    verdict
}

/// The records before and behind what is wrong, as they are in the log, their ends cut off.
fn excerpt(log: &[LogEntry], violations: &[Violation]) -> Vec<String> {
    let places = violations.iter().take(SHOWN_MAX).filter_map(|violation| violation.n);
    let shown: BTreeSet<u64> = places
        .take(EXCERPTS_MAX)
        .flat_map(|n| n.0.saturating_sub(EXCERPT_BEFORE)..=n.0 + EXCERPT_BEHIND)
        .collect();
    log.iter()
        .filter(|entry| shown.contains(&entry.seq))
        .map(|LogEntry { seq, subject, payload }| {
            let text = String::from_utf8_lossy(payload);
            format!("{seq} {subject} {}", text.chars().take(RECORD_CHARS_MAX).collect::<String>())
        })
        .collect()
}
