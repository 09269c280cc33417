//! What the log tells, and whether it is a log that a correct leader wrote.

use std::collections::BTreeMap;

use nox_contract::{
    Attempt, Event, EventNumber, Fact, FactOrUnknown, JobId, JobState, LostReason, ModuleName,
    Positions, RawJson, Source, TenantId, Timestamp, UserId, WorkerId, event::Chain,
};
use nox_core::{ApplyError, State, job::Job};
use nox_protocol::{ReadError, Reader, Record};

use super::{LogEntry, Rule, Verdict};

/// How many jobs may be looked at in all by checks of the whole state at every single event; beyond,
/// it is checked at every [`SPARSE`]th.
const WHOLE_CHECK_JOBS_MAX: usize = 500_000;
const SPARSE: u64 = 64;

/// All jobs as the log tells of them.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub jobs: BTreeMap<JobId, Story>,
    /// Jobs by the `mark` in their inputs.
    pub marks: BTreeMap<String, Vec<JobId>>,
    pub last: EventNumber,
}

/// One job as the log tells of it.
#[derive(Debug)]
pub(super) struct Story {
    pub tenant: TenantId,
    pub user: UserId,
    pub module: ModuleName,
    /// The job's events, and where each left it.
    pub steps: Vec<Step>,
    /// The fold of its facts, as far as they are legal.
    pub job: Option<Job>,
    /// Facts that begin a job; one, if all is well.
    pub beginnings: u32,
    pub rejected: bool,
    pub inputs: RawJson,
    pub fingerprint: Option<String>,
    pub outputs: Option<RawJson>,
    /// Core seconds that were ever reserved.
    pub reserved: Option<i64>,
    pub assigned: BTreeMap<Attempt, Assigned>,
    pub successes: Vec<Attempt>,
    /// Events that canceled it; one at most, if all is well.
    pub cancels: Vec<EventNumber>,
    pub worker: Option<WorkerId>,
    /// Its facts went wrong already; what follows from that is not said again.
    broken: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub n: EventNumber,
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

    /// The job's newest event up to and including `n`.
    pub fn newest_up_to(&self, n: EventNumber) -> Option<Step> {
        self.steps.iter().rev().find(|step| step.n <= n).copied()
    }

    pub fn first(&self) -> EventNumber {
        self.steps.first().map_or(EventNumber(0), |step| step.n)
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
        verdict.counts.events += 1;
        match record {
            Some(Record::Epoch(record)) => {
                verdict.counts.terms += 1;
                if record.epoch != pass.state.epoch.next() {
                    let detail = format!("term {} follows {}", record.epoch, pass.state.epoch);
                    verdict.violated(Rule::NewestLeaderAlone, detail);
                }
                pass.fold(verdict, |state| state.apply_epoch(n, &record));
            }
            Some(Record::Event(event)) => {
                pass.event(&event, verdict);
                told.event(&event, verdict);
                pass.fold(verdict, |state| state.apply(&event));
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
    n: EventNumber,
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
            n: EventNumber(0),
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
            self.n = EventNumber(found.0.saturating_sub(1));
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
                serde_json::from_slice(&entry.payload).ok().map(|e| Record::Event(Box::new(e)))
            }
        }
    }

    fn event(&mut self, event: &Event, verdict: &mut Verdict) {
        let n = event.n;
        if event.epoch != self.state.epoch {
            let detail = format!("event {n} of term {} in term {}", event.epoch, self.state.epoch);
            verdict.violated(Rule::NewestLeaderAlone, detail);
        }
        let consumed = match event.input.src {
            Source::Commands => Some(self.pos.commands),
            Source::Reports => Some(self.pos.reports),
            _ => None,
        };
        let seq = event.input.seq;
        if consumed.is_some_and(|consumed| seq <= consumed) {
            let detail = format!("event {n} takes {:?} {seq} again", event.input.src);
            verdict.violated(Rule::InputOnce, detail);
        }
        let reset = event.known_facts().any(|fact| matches!(fact, Fact::InputsReset { .. }));
        let back = event.pos.commands < self.pos.commands || event.pos.reports < self.pos.reports;
        if back && !reset {
            let detail = format!("event {n} goes back from {:?} to {:?}", self.pos, event.pos);
            verdict.violated(Rule::InputOnce, detail);
        }
        self.pos = event.pos;
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
                    let detail = format!("after event {n}, in {period}: {balance:?}");
                    verdict.violated(Rule::LedgerBalances, detail);
                    self.broken = true;
                }
            }
        }
        let jobs = self.state.jobs().count();
        self.checked_jobs += jobs;
        if self.checked_jobs > WHOLE_CHECK_JOBS_MAX && !n.0.is_multiple_of(SPARSE) {
            return;
        }
        if let Err(error) = self.state.check() {
            verdict.violated(Rule::CountsAgree, format!("after event {n}: {error}"));
            self.broken = true;
        }
    }
}

impl Told {
    fn event(&mut self, event: &Event, verdict: &mut Verdict) {
        let (Some(id), Some(user), Some(module)) =
            (event.job_id, event.user_id.clone(), event.module.clone())
        else {
            return;
        };
        let story = self.jobs.entry(id).or_insert_with(|| Story {
            tenant: event.tenant.clone(),
            user,
            module,
            steps: Vec::new(),
            job: None,
            beginnings: 0,
            rejected: false,
            inputs: RawJson::default(),
            fingerprint: None,
            outputs: None,
            reserved: None,
            assigned: BTreeMap::new(),
            successes: Vec::new(),
            cancels: Vec::new(),
            worker: None,
            broken: false,
        });
        for fact in &event.facts {
            let FactOrUnknown::Known(fact) = fact else {
                verdict.violated(Rule::LegalFacts, format!("unknown fact in event {}", event.n));
                continue;
            };
            story.fact(id, event, fact, verdict);
            if let Fact::Submitted(_) | Fact::Rejected(_) = fact
                && let Some(mark) = mark(&story.inputs)
            {
                let jobs = self.marks.entry(mark).or_default();
                if !jobs.contains(&id) {
                    jobs.push(id);
                }
            }
        }
        if let Some(state) = story.state() {
            story.steps.push(Step { n: event.n, state });
        }
    }
}

impl Story {
    fn fact(&mut self, id: JobId, event: &Event, fact: &Fact, verdict: &mut Verdict) {
        let n = event.n;
        let newest = self.assigned.keys().next_back().copied();
        let mut of_newest = |attempt: Attempt| {
            if newest != Some(attempt) {
                let detail = format!(
                    "event {n}: {} of attempt {attempt} of job {id}, whose newest is {newest:?}",
                    fact.name()
                );
                verdict.violated(Rule::NewestAttemptAlone, detail);
            }
        };
        match fact {
            Fact::Submitted(submitted) => {
                self.beginnings += 1;
                self.inputs = submitted.inputs.clone();
                self.fingerprint = submitted.fingerprint.clone();
            }
            // A promised repetition of what the decider had forgotten: the job stays as it ended.
            Fact::Rejected(_) if self.state().is_some_and(JobState::is_ended) => {}
            Fact::Rejected(rejected) => {
                self.beginnings += 1;
                self.rejected = true;
                self.inputs = rejected.inputs.clone();
                self.fingerprint = rejected.fingerprint.clone();
            }
            Fact::Assigned { attempt, .. } => {
                self.assigned.insert(*attempt, Assigned { at: event.at });
            }
            Fact::Started { attempt, .. } => of_newest(*attempt),
            Fact::AttemptFailed { attempt, .. } => of_newest(*attempt),
            Fact::AttemptLost { attempt, reason, .. } => {
                of_newest(*attempt);
                *match reason {
                    LostReason::WorkerSilent => &mut verdict.counts.lost_silent,
                    LostReason::NewSession => &mut verdict.counts.lost_restarted,
                    LostReason::NotHeld => &mut verdict.counts.lost_not_held,
                    LostReason::Draining | LostReason::CannotRun => &mut verdict.counts.handed_back,
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
        if self.beginnings > 1 && matches!(fact, Fact::Submitted(_) | Fact::Rejected(_)) {
            verdict.violated(Rule::OneBeginning, format!("job {id} begins again at event {n}"));
        }
        if self.broken {
            return;
        }
        let applied = match &mut self.job {
            Some(job) => job.apply(fact, event.at),
            none => Job::create(fact, n, event.at).map(|job| *none = Some(job)),
        };
        if let Err(error) = applied {
            verdict.violated(Rule::LegalFacts, format!("event {n}, job {id}: {error}"));
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
