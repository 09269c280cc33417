//! What the log tells, and whether it is a log that a correct leader wrote.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Attempt, Chain, Concurrency, Entry, Fact, FactOrUnknown, Frame, FrameNumber, JobId, JobState,
    LostReason, Metadata, ModuleName, Place, Positions, Progress, RawJson, Source, Task, TenantId,
    Timestamp, UserId, WorkerId,
};
use nox_core::{ApplyError, State, job::Job};
use nox_protocol::{ReadError, Reader, Record};

use super::{LogEntry, Rule, Verdict};

/// How many jobs may be looked at in all by checks of the whole state at every single frame; beyond,
/// it is checked at every [`SPARSE`]th.
const WHOLE_CHECK_JOBS_MAX: usize = 500_000;
const SPARSE: u64 = 64;

/// All jobs as the log tells of them.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub jobs: BTreeMap<JobId, Story>,
    /// Jobs by the `mark` in their inputs.
    pub marks: BTreeMap<String, Vec<JobId>>,
    pub last: FrameNumber,
}

/// One job as the log tells of it.
#[derive(Debug)]
pub(super) struct Story {
    pub tenant: TenantId,
    pub user: UserId,
    pub module: ModuleName,
    /// The job's entries, and where each left it.
    pub steps: Vec<Step>,
    /// The place of its first entry in its frame.
    pub submitted_place: u32,
    /// The fold of its facts, as far as they are legal.
    pub job: Option<Job>,
    /// Facts that begin a job; one, if all is well.
    pub beginnings: u32,
    pub rejected: bool,
    pub inputs: RawJson,
    pub fingerprint: Option<String>,
    pub module_version: Option<String>,
    pub worker_labels: BTreeSet<String>,
    pub metadata: Metadata,
    pub concurrency: Option<Concurrency>,
    pub task: Option<Task>,
    pub progress: Option<Progress>,
    pub outputs: Option<RawJson>,
    /// Core seconds that were ever reserved.
    pub reserved: Option<i64>,
    pub assigned: BTreeMap<Attempt, Assigned>,
    pub successes: Vec<Attempt>,
    /// Frames that canceled it; one at most, if all is well.
    pub cancels: Vec<FrameNumber>,
    pub worker: Option<WorkerId>,
    /// Its facts went wrong already; what follows from that is not said again.
    broken: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub n: FrameNumber,
    pub state: JobState,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Assigned {
    pub at: Timestamp,
}

impl Story {
    pub fn state(&self) -> Option<JobState> {
        self.job.as_ref().map(Job::state)
    }

    /// Where the job's newest frame up to and including `n` left it.
    pub fn newest_up_to(&self, n: FrameNumber) -> Option<Step> {
        self.steps.iter().rev().find(|step| step.n <= n).copied()
    }

    pub fn first(&self) -> FrameNumber {
        self.steps.first().map_or(FrameNumber(0), |step| step.n)
    }
}

/// Reads the whole log.
pub(super) fn read(log: &[LogEntry], verdict: &mut Verdict) -> Told {
    let mut told = Told::default();
    let mut pass = Pass::default();
    for entry in log {
        verdict.reading = Some(pass.n.next());
        let record = pass.decode(entry, verdict);
        let n = pass.n;
        verdict.reading = Some(n);
        if entry.seq != n.0 {
            verdict.violated(Rule::NoGap, format!("message {n} has the sequence {}", entry.seq));
        }
        verdict.counts.messages += 1;
        match record {
            Some(Record::Epoch(record)) => {
                verdict.counts.terms += 1;
                if record.epoch != pass.state.epoch.next() {
                    let detail = format!("term {} follows {}", record.epoch, pass.state.epoch);
                    verdict.violated(Rule::NewestLeaderAlone, detail);
                }
                pass.fold(verdict, |state| state.apply_epoch(n, &record));
                pass.check_whole(verdict);
            }
            Some(Record::Frame(frame)) => {
                pass.frame(&frame, verdict);
                pass.fold(verdict, |state| state.begin_frame(frame.n, frame.at));
                for (place, entry) in (0..).zip(&frame.entries) {
                    verdict.counts.entries += 1;
                    told.entry(&frame, place, entry, verdict);
                    pass.fold(verdict, |state| state.apply_entry(entry));
                }
                pass.fold(verdict, |state| state.end_frame(frame.pos));
                pass.check_whole(verdict);
            }
            None => {}
        }
        told.last = pass.n;
    }
    verdict.reading = None;
    for story in told.jobs.values() {
        match story.state() {
            Some(JobState::Succeeded) => verdict.counts.succeeded += 1,
            Some(JobState::Failed) => verdict.counts.failed += 1,
            Some(JobState::Canceled) => verdict.counts.canceled += 1,
            _ => {}
        }
    }
    verdict.counts.jobs = told.jobs.len();
    told
}

/// The log's reader, which goes on after an error so that one does not hide another.
struct Pass {
    n: FrameNumber,
    chain: Chain,
    pos: Positions,
    state: State,
    /// The fold went wrong already.
    broken: bool,
    checked_jobs: usize,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            n: FrameNumber(0),
            chain: Chain::START,
            pos: Positions::default(),
            state: State::default(),
            broken: false,
            checked_jobs: 0,
        }
    }
}

impl Pass {
    /// Whether positions go back is looked at by the checker itself, below.
    fn decode(&mut self, entry: &LogEntry, verdict: &mut Verdict) -> Option<Record> {
        let read = |n| {
            Reader::new(n, self.chain, Positions::default()).read(&entry.subject, &entry.payload)
        };
        let mut record = read(self.n);
        if let Err(ReadError::Gap { found, .. }) = &record {
            let (from, found) = (self.n, *found);
            verdict.violated(Rule::NoGap, format!("message {found} follows {from}"));
            // Whether it follows by its chain is another question.
            self.n = FrameNumber(found.0.saturating_sub(1));
            record = read(self.n);
        }
        self.n = self.n.next();
        self.chain = self.chain.extend(&entry.payload);
        match record {
            Ok(record) => Some(record),
            Err(error) => {
                let broken = matches!(error, ReadError::ChainBroken { .. });
                let rule = if broken { Rule::ChainHolds } else { Rule::LegalFacts };
                verdict.violated(rule, error.to_string());
                serde_json::from_slice(&entry.payload).ok().map(|f| Record::Frame(Box::new(f)))
            }
        }
    }

    fn frame(&mut self, frame: &Frame, verdict: &mut Verdict) {
        let n = frame.n;
        if frame.epoch != self.state.epoch {
            let detail = format!("frame {n} of term {} in term {}", frame.epoch, self.state.epoch);
            verdict.violated(Rule::NewestLeaderAlone, detail);
        }
        let back = !frame.positions_follow(self.pos);
        if back {
            let detail = format!("frame {n} goes back from {:?} to {:?}", self.pos, frame.pos);
            verdict.violated(Rule::InputOnce, detail);
        }
        for src in [Source::Commands, Source::Reports] {
            let (mut from, up_to) = (place(&self.pos, src), place(&frame.pos, src));
            for entry in &frame.entries {
                if entry
                    .known_facts()
                    .any(|f| matches!(f, Fact::InputsReset { src: of, .. } if *of == src))
                {
                    from = Place::default();
                }
                if entry.by.src != src {
                    continue;
                }
                let here = Place { seq: entry.by.seq, part: entry.by.part };
                // Several entries may come of one part.
                if here < from {
                    let detail = format!("frame {n} takes {:?} again, after {from:?}", entry.by);
                    verdict.violated(Rule::InputOnce, detail);
                } else if here >= up_to {
                    let detail = format!("frame {n} takes {:?} and stands at {up_to:?}", entry.by);
                    verdict.violated(Rule::InputOnce, detail);
                }
                from = from.max(here);
            }
        }
        for entry in &frame.entries {
            let stream = matches!(entry.by.src, Source::Commands | Source::Reports);
            if !stream && entry.by.seq >= frame.inputs.len() as u64 {
                let detail = format!("frame {n} does not embed {:?}", entry.by);
                verdict.violated(Rule::InputOnce, detail);
            }
        }
        self.pos = frame.pos;
    }

    fn fold(
        &mut self,
        verdict: &mut Verdict,
        apply: impl FnOnce(&mut State) -> Result<(), ApplyError>,
    ) {
        if self.broken {
            return;
        }
        if let Err(error) = apply(&mut self.state) {
            let rule = match error {
                ApplyError::Ledger { .. } => Rule::LedgerBalances,
                ApplyError::PositionsGoBack { .. } => Rule::InputOnce,
                _ => Rule::LegalFacts,
            };
            verdict.violated(rule, error.to_string());
            self.broken = true;
            return;
        }
        let n = self.n;
        for account in self.state.ledger.accounts() {
            for (period, balance) in &account.periods {
                if !balance.is_balanced() {
                    let detail = format!("after an entry of frame {n}, in {period}: {balance:?}");
                    verdict.violated(Rule::LedgerBalances, detail);
                    self.broken = true;
                }
            }
        }
    }

    fn check_whole(&mut self, verdict: &mut Verdict) {
        if self.broken {
            return;
        }
        let n = self.n;
        let jobs = self.state.jobs().count();
        self.checked_jobs += jobs;
        if self.checked_jobs > WHOLE_CHECK_JOBS_MAX && !n.0.is_multiple_of(SPARSE) {
            return;
        }
        if let Err(error) = self.state.check() {
            verdict.violated(Rule::CountsAgree, format!("after frame {n}: {error}"));
            self.broken = true;
        }
    }
}

impl Told {
    fn entry(&mut self, frame: &Frame, place: u32, entry: &Entry, verdict: &mut Verdict) {
        let (Some(id), Some(user), Some(module)) =
            (entry.job_id, entry.user_id.clone(), entry.module.clone())
        else {
            return;
        };
        let story = self.jobs.entry(id).or_insert_with(|| Story {
            tenant: entry.tenant.clone(),
            user,
            module,
            steps: Vec::new(),
            submitted_place: place,
            job: None,
            beginnings: 0,
            rejected: false,
            inputs: RawJson::default(),
            fingerprint: None,
            module_version: None,
            worker_labels: BTreeSet::new(),
            metadata: Metadata::default(),
            concurrency: None,
            task: None,
            progress: None,
            outputs: None,
            reserved: None,
            assigned: BTreeMap::new(),
            successes: Vec::new(),
            cancels: Vec::new(),
            worker: None,
            broken: false,
        });
        for fact in &entry.facts {
            let FactOrUnknown::Known(fact) = fact else {
                verdict.violated(Rule::LegalFacts, format!("unknown fact in frame {}", frame.n));
                continue;
            };
            story.fact(id, frame, fact, verdict);
            if let Fact::Submitted(_) | Fact::Drafted(_) | Fact::Rejected(_) = fact
                && let Some(mark) = mark(&story.inputs)
            {
                let jobs = self.marks.entry(mark).or_default();
                if !jobs.contains(&id) {
                    jobs.push(id);
                }
            }
        }
        if let Some(state) = story.state() {
            story.steps.push(Step { n: frame.n, state });
        }
    }
}

impl Story {
    fn fact(&mut self, id: JobId, frame: &Frame, fact: &Fact, verdict: &mut Verdict) {
        let n = frame.n;
        let newest = self.assigned.keys().next_back().copied();
        let mut of_newest = |attempt: Attempt| {
            if newest != Some(attempt) {
                let detail = format!(
                    "frame {n}: {} of attempt {attempt} of job {id}, whose newest is {newest:?}",
                    fact.name()
                );
                verdict.violated(Rule::NewestAttemptAlone, detail);
            }
        };
        match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
                self.beginnings += 1;
                self.inputs = submitted.inputs.clone();
                self.fingerprint = submitted.fingerprint.clone();
                self.module_version =
                    Some(submitted.module_version.clone()).filter(|version| !version.is_empty());
                self.worker_labels = submitted.worker_labels.clone();
                self.metadata = submitted.metadata.as_deref().cloned().unwrap_or_default();
                self.concurrency = submitted.concurrency.as_deref().cloned();
                self.task = submitted.task.as_deref().cloned();
            }
            // A promised repetition of what the decider had forgotten: the job stays as it ended.
            Fact::Rejected(_) if self.state().is_some_and(JobState::is_ended) => {}
            Fact::Rejected(rejected) => {
                self.beginnings += 1;
                self.rejected = true;
                self.metadata = rejected.metadata.as_deref().cloned().unwrap_or_default();
                self.inputs = rejected.inputs.clone();
                self.fingerprint = rejected.fingerprint.clone();
            }
            Fact::Progressed { progress, .. } => self.progress = Some(progress.clone()),
            Fact::Assigned { attempt, .. } => {
                self.progress = None;
                self.assigned.insert(*attempt, Assigned { at: frame.at });
            }
            Fact::Started { attempt, .. } => of_newest(*attempt),
            Fact::AttemptFailed { attempt, .. } => of_newest(*attempt),
            Fact::AttemptLost { attempt, reason, .. } => {
                of_newest(*attempt);
                *match reason {
                    LostReason::WorkerSilent => &mut verdict.counts.lost_silent,
                    LostReason::NewSession => &mut verdict.counts.lost_restarted,
                    LostReason::NotHeld => &mut verdict.counts.lost_not_held,
                    LostReason::Draining | LostReason::CannotRun | LostReason::Undelivered => {
                        &mut verdict.counts.handed_back
                    }
                } += 1;
            }
            Fact::RetryScheduled { .. } => verdict.counts.retried += 1,
            Fact::Succeeded { attempt, outputs, .. } => {
                of_newest(*attempt);
                self.outputs = Some(outputs.clone());
                self.successes.push(*attempt);
                if self.successes.len() > 1 {
                    let detail = format!("job {id} by {:?}", self.successes);
                    verdict.violated(Rule::OneSuccess, detail);
                }
            }
            Fact::Canceled { .. } => self.cancels.push(n),
            Fact::Reserved { cpu_seconds, .. } => {
                *self.reserved.get_or_insert(0) += cpu_seconds;
            }
            _ => {}
        }
        let begins = matches!(fact, Fact::Submitted(_) | Fact::Drafted(_) | Fact::Rejected(_));
        if self.beginnings > 1 && begins {
            verdict.violated(Rule::OneBeginning, format!("job {id} begins again at frame {n}"));
        }
        if self.broken {
            return;
        }
        let applied = match &mut self.job {
            Some(job) => job.apply(fact, frame.at),
            none => Job::create(fact, n, frame.at).map(|job| *none = Some(job)),
        };
        if let Err(error) = applied {
            verdict.violated(Rule::LegalFacts, format!("frame {n}, job {id}: {error}"));
            self.broken = true;
        }
        if let Some(worker) = self.job.as_ref().and_then(Job::worker_id) {
            self.worker = Some(worker.clone());
        }
    }
}

/// What tells a submit from all others, where it has no key.
fn mark(inputs: &RawJson) -> Option<String> {
    let inputs: serde_json::Value = serde_json::from_str(inputs.get()).ok()?;
    Some(inputs.get("mark")?.as_str()?.to_owned())
}

fn place(pos: &Positions, src: Source) -> Place {
    match src {
        Source::Commands => pos.commands,
        _ => pos.reports,
    }
}
