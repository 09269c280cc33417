//! What must hold, checked against what really happened.
//!
//! The oracle sees every message that reaches the log, everything that executors really do and every
//! answer that leaves. It folds the log itself, decides every input again, part by part, and compares.

mod end;
mod facts;
mod log;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    AnswerMessage, Attempt, Cause, Command, CommandMessage, Epoch, FrameNumber, Incarnation,
    InstanceId, JobId, JobState, Outcome, Positions, ProblemCode, RawJson, SessionId, StartWork,
    Submit, TenantId, Timestamp, Token, WorkNumber, WorkerId, beat::Held,
};
use nox_core::{Rules, State, job::Job};
use nox_protocol::{LedgerProof, Reader, Replay};

use super::{
    broker::Broker,
    faults::{Bug, Plan},
    probes::probing,
    scheduler::WORKER_LEASE_MS,
    wire::{MS, Micros},
};

/// The key of the attempts' tokens.
pub const TOKEN_KEY: [u8; 32] = [42; 32];

/// Frames between two full checks of the state, which cost as much as the state is large.
const CHECK_EVERY: u64 = 64;
/// Frames between two comparisons with a leader's state.
const COMPARE_EVERY: u64 = 40;
/// A few beats, each of which would say that a worker is there again.
const ABSENCE_ENDS_MS: u64 = 3_000;

/// A job as the log tells it, and at every frame since.
#[derive(Debug)]
struct Trail {
    inputs: RawJson,
    /// Submitted, not rejected.
    admitted: bool,
    succeeded: u32,
    /// Crashes of its own: charged with the end of its worker, or reported of it alone.
    charged: u32,
    versions: Vec<(FrameNumber, Job)>,
}

impl Trail {
    /// The job as it was after frame `n`.
    fn at(&self, n: FrameNumber) -> Option<&Job> {
        let behind = self.versions.partition_point(|(at, _)| *at <= n);
        self.versions[..behind].last().map(|(_, job)| job)
    }
}

/// An attempt as the log tells it.
#[derive(Debug, Clone)]
struct Assigned {
    n: FrameNumber,
    worker: WorkerId,
    session: SessionId,
    /// It runs alone, for having been suspected before.
    isolated: bool,
    started: bool,
    over: bool,
}

/// A session as the log tells it.
#[derive(Debug)]
struct Joined {
    instance: InstanceId,
    next_work: WorkNumber,
    /// It was to stop.
    draining: bool,
    left: Option<Left>,
}

impl Joined {
    fn is_over(&self) -> bool {
        self.left.is_some()
    }
}

/// The end of a session.
#[derive(Debug, Clone, Copy)]
struct Left {
    by: Cause,
    /// How many attempts it held.
    company: usize,
}

/// A time without a connection.
#[derive(Debug, Clone, Copy)]
struct Cut {
    executor: usize,
    from: Micros,
    until: Micros,
}

/// What an executor really did with an attempt.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    ended: bool,
    succeeded: bool,
}

#[derive(Debug)]
struct SentCommands {
    tenant: TenantId,
    message: CommandMessage,
    acked: bool,
    /// Parts that were answered with a refusal which another time may not bring.
    refused: BTreeSet<u32>,
    /// Where it is stored; several times if it was published again.
    stored: Vec<(Incarnation, u64)>,
}

/// See the head of this file.
pub struct Oracle {
    violation: Option<String>,
    // The log as it is read.
    reader: Reader,
    epoch: Epoch,
    /// How far the leader of each epoch has proved to have come.
    pos_of_epoch: BTreeMap<Epoch, Positions>,
    /// The fold of the log, whose every entry is decided again.
    replay: Replay,
    ledger: LedgerProof,
    /// Commands that were refused: incarnation, sequence, part.
    refused: BTreeSet<(Incarnation, u64, u32)>,
    trails: BTreeMap<JobId, Trail>,
    book: schedules::Book,
    assigned: BTreeMap<Held, Assigned>,
    sessions: BTreeMap<SessionId, Joined>,
    /// The session of each worker that came to its end last.
    left_last: BTreeMap<WorkerId, SessionId>,
    // What really happened.
    living: BTreeSet<SessionId>,
    /// When beats of each session reached the only leader's process, frozen or not.
    beats: BTreeMap<SessionId, BTreeSet<Micros>>,
    /// When executors had no connection, for a reason of their own.
    cuts: Vec<Cut>,
    /// The wall time at the beginning, if all clocks agree on it.
    begins_at: Option<i64>,
    truths: BTreeMap<(SessionId, Held), Truth>,
    sent: BTreeMap<String, SentCommands>,
    /// The log has lost what it had: what is compared with it proves nothing any more.
    pub log_lost: bool,
    pub now: Micros,
    /// How long a worker has to be silent to be given up, at least.
    silence_min: Micros,
    /// How long it has to be without a connection, at least, to be given up sooner, and how long after that the
    /// decision may fall.
    absence_min: Micros,
    absence_ends: Micros,
    /// Two workers have one name.
    namesake: bool,
    /// Reports were lost that workers know to be stored.
    pub reports_lost: bool,
    checked_at: u64,
    compared_at: u64,
    /// What is planted in the decider.
    bug: Option<Bug>,
    pub stats: Stats,
}

/// What a run has seen, to tell whether it was worth anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub frames: u64,
    /// Those that end within an input, and those without entries.
    pub cut: u64,
    pub empty: u64,
    pub entries: u64,
    pub epochs: u64,
    /// Inputs that one leader began and another one went on with.
    pub completed_by_another: u64,
    pub jobs: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub canceled: u64,
    pub lost: u64,
    /// Losses that nobody is charged with although the attempt had started, that make suspects, and
    /// that count as crashes.
    pub excused: u64,
    pub suspected: u64,
    pub crashed: u64,
    pub refused: u64,
    pub answers: u64,
    pub snapshots_compared: u64,
    /// Segments that were archived, and cuts of the log's stream.
    pub archived: u64,
    pub log_cuts: u64,
    /// Runs that ended because a rolled back input stream had grown as long again, unnoticed.
    pub regrown: u64,
    /// Longest that everything took to settle, in milliseconds of people's time.
    pub settled_in_ms: u64,
    /// Jobs whose submit was answered with a refusal, and which exist by a copy of the same message.
    pub refused_and_admitted: u64,
    /// Occurrences of schedules that were submitted, and not for a job of an earlier one; schedules that were paused
    /// because of their keys.
    pub occurred: u64,
    pub held_back: u64,
    pub keyless: u64,
}

impl Stats {
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.cut += other.cut;
        self.empty += other.empty;
        self.entries += other.entries;
        self.epochs += other.epochs;
        self.completed_by_another += other.completed_by_another;
        self.jobs += other.jobs;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.canceled += other.canceled;
        self.lost += other.lost;
        self.excused += other.excused;
        self.suspected += other.suspected;
        self.crashed += other.crashed;
        self.refused += other.refused;
        self.answers += other.answers;
        self.snapshots_compared += other.snapshots_compared;
        self.archived += other.archived;
        self.log_cuts += other.log_cuts;
        self.regrown += other.regrown;
        self.settled_in_ms = self.settled_in_ms.max(other.settled_in_ms);
        self.refused_and_admitted += other.refused_and_admitted;
        self.occurred += other.occurred;
        self.held_back += other.held_back;
        self.keyless += other.keyless;
    }
}

impl Oracle {
    pub fn new(plan: &Plan) -> Self {
        Self {
            violation: None,
            reader: Reader::default(),
            epoch: Epoch(0),
            pos_of_epoch: BTreeMap::new(),
            replay: replay(plan.bug),
            ledger: LedgerProof::default(),
            bug: plan.bug,
            refused: BTreeSet::new(),
            trails: BTreeMap::new(),
            book: schedules::Book::default(),
            assigned: BTreeMap::new(),
            sessions: BTreeMap::new(),
            left_last: BTreeMap::new(),
            living: BTreeSet::new(),
            beats: BTreeMap::new(),
            cuts: Vec::new(),
            begins_at: (plan.skews == [0, 0]).then_some(plan.begins_at),
            truths: BTreeMap::new(),
            sent: BTreeMap::new(),
            log_lost: false,
            now: 0,
            silence_min: WORKER_LEASE_MS * MS * plan.scale / 2,
            absence_min: probing(plan.scale).unreachable_after.as_micros() as Micros,
            absence_ends: ABSENCE_ENDS_MS * MS * plan.scale,
            namesake: plan.namesake,
            reports_lost: false,
            checked_at: 0,
            compared_at: 0,
            stats: Stats::default(),
        }
    }

    /// The fold of the log.
    pub fn state(&self) -> &State {
        self.replay.state()
    }

    /// Records that something does not hold. The first one counts.
    pub fn fail(&mut self, what: String) {
        if self.violation.is_none() {
            self.violation = Some(what);
        }
    }

    pub fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    // --- executors ---

    pub fn session_lives(&mut self, session: SessionId) {
        self.living.insert(session);
    }

    pub fn session_died(&mut self, session: SessionId) {
        self.living.remove(&session);
    }

    pub fn on_beat(&mut self, session: SessionId) {
        self.beats.entry(session).or_default().insert(self.now);
    }

    /// How long before `at` the leader could last hear of a session.
    fn silence(&self, session: &SessionId, at: Timestamp) -> Option<Micros> {
        let at = u64::try_from(at.as_micros() - self.begins_at?).ok()?;
        Some(at - self.beats.get(session)?.range(..=at).next_back()?)
    }

    pub fn on_cut(&mut self, executor: usize, from: Micros, until: Micros) {
        // The one before ends here, whether or not it would have.
        let before = self.cuts.iter_mut().rev().find(|cut| cut.executor == executor);
        let from = match before {
            Some(cut) if cut.until >= from => cut.from,
            _ => from,
        };
        self.cuts.push(Cut { executor, from, until });
    }

    /// Whether an executor was without a connection for so long, shortly before `at`, that its worker may be
    /// given up. Any of them: two may bear one name.
    fn was_absent(&self, at: Timestamp) -> bool {
        let at =
            self.begins_at.and_then(|begins_at| u64::try_from(at.as_micros() - begins_at).ok());
        at.is_some_and(|at| {
            self.cuts.iter().any(|cut| {
                cut.until - cut.from >= self.absence_min
                    && cut.from + self.absence_min <= at
                    && at <= cut.until + self.absence_ends
            })
        })
    }

    /// An executor begins to run an attempt.
    pub fn on_run(&mut self, worker: &WorkerId, session: SessionId, start: &StartWork) {
        let held = Held { job_id: start.job_id, attempt: start.attempt };
        let what = format!("{worker} runs {}/{}", start.job_id, start.attempt);
        let again = self.truths.insert((session, held), Truth::default()).is_some();
        if self.log_lost {
            return;
        }
        if again {
            return self.fail(format!("{what} for the second time in one session"));
        }
        let Some(assigned) = self.assigned.get(&held) else {
            return self.fail(format!("{what}, which the log does not assign"));
        };
        let token = Token::compute(&TOKEN_KEY, start.job_id, start.attempt, assigned.n);
        if assigned.worker != *worker || assigned.session != session || token != start.token {
            return self.fail(format!("{what}, which the log assigns to {assigned:?}"));
        }
        if self.trails.get(&start.job_id).is_none_or(|trail| trail.inputs != start.inputs) {
            self.fail(format!("{what} with inputs that are not the job's"));
        }
    }

    /// Nothing of the attempt runs any more.
    pub fn on_end(&mut self, session: SessionId, held: Held, succeeded: bool) {
        if let Some(truth) = self.truths.get_mut(&(session, held)) {
            *truth = Truth { ended: true, succeeded };
        }
    }

    /// A session hears that the log has given it up.
    pub fn on_superseded(&mut self, session: SessionId) {
        // A leader that has yet to notice that the reports are others takes one position for the other.
        let comparable = !self.log_lost && !self.reports_lost;
        // Whoever was refused while another had its name begins anew when that one has gone.
        let over = self.sessions.get(&session).map_or(self.namesake, Joined::is_over);
        if comparable && !over {
            self.fail(format!("session {session} is superseded, but not in the log"));
        }
    }

    /// A session hears that another worker has its name, or another process of its own has its place.
    pub fn on_refused(&mut self, session: SessionId) {
        let comparable = !self.log_lost && !self.reports_lost;
        if comparable && self.sessions.get(&session).is_some_and(|joined| !joined.is_over()) {
            self.fail(format!("session {session} is refused, which the log has taken on"));
        }
    }

    /// A session hears that the log does not give it an attempt (any more).
    pub fn on_abandoned(&mut self, session: SessionId, held: Held) {
        let given = self.assigned.get(&held).filter(|a| a.session == session && !a.over);
        if !self.log_lost && given.is_some() {
            self.fail(format!("{held:?} is to be abandoned, but the log gives it: {given:?}"));
        }
    }

    /// An attempt that a living session was given, and the token of an earlier one of its job.
    pub fn some_assignment(
        &self,
        pick: usize,
    ) -> Option<(WorkerId, SessionId, Held, Option<Token>)> {
        let open: Vec<_> = self.assigned.iter().filter(|(_, a)| !a.over).collect();
        let (held, assigned) = open.get(pick % open.len().max(1))?;
        let earlier = held.attempt.0.checked_sub(1).map(Attempt).and_then(|attempt| {
            let before = self.assigned.get(&Held { attempt, ..**held })?;
            Some(Token::compute(&TOKEN_KEY, held.job_id, attempt, before.n))
        });
        Some((assigned.worker.clone(), assigned.session, **held, earlier))
    }

    // --- clients ---

    pub fn on_command_sent(&mut self, tenant: &TenantId, message: &CommandMessage) {
        let Some(reply_to) = message.reply_to.clone() else { return };
        let (tenant, message) = (tenant.clone(), message.clone());
        let sent = SentCommands {
            tenant,
            message,
            acked: false,
            refused: BTreeSet::new(),
            stored: Vec::new(),
        };
        self.sent.insert(reply_to, sent);
    }

    pub fn on_command_stored(&mut self, reply_to: &str, incarnation: Incarnation, seq: u64) {
        if let Some(sent) = self.sent.get_mut(reply_to) {
            sent.stored.push((incarnation, seq));
        }
    }

    pub fn on_command_acked(&mut self, message: &CommandMessage) {
        let reply_to = message.reply_to.as_deref().unwrap_or_default();
        if let Some(sent) = self.sent.get_mut(reply_to) {
            sent.acked = true;
        }
    }

    /// A leader answers.
    pub fn on_answer(
        &mut self,
        broker: &Broker,
        epoch: Epoch,
        reply_to: &str,
        message: &AnswerMessage,
    ) {
        self.stats.answers += 1;
        if self.log_lost {
            return;
        }
        let Some(sent) = self.sent.get(reply_to) else {
            return self.fail(format!("an answer to {reply_to}, whom nobody knows"));
        };
        // The leader's own word is in the log, behind all of what it answers.
        let proved = self.pos_of_epoch.get(&epoch).map_or(0, |pos| pos.commands.whole());
        if !sent.stored.iter().any(|(_, seq)| *seq <= proved) {
            return self.fail(format!("epoch {epoch} answers {reply_to} before it is in the log"));
        }
        let refused: Vec<u32> = message
            .answers
            .iter()
            .filter(|answer| match &answer.outcome {
                Outcome::Refused(refusal) => refusal.code != ProblemCode::IdempotencyConflict,
                Outcome::Accepted(_) => false,
            })
            .map(|answer| answer.part)
            .collect();
        for answer in &message.answers {
            let Some(command) = sent.message.commands.get(answer.part as usize) else {
                return self.fail(format!("an answer to part {} of {reply_to}", answer.part));
            };
            if let Err(why) = self.check_answer(broker, command, &answer.outcome) {
                return self.fail(format!("answer to {reply_to}/{}: {why}", answer.part));
            }
        }
        if let Some(sent) = self.sent.get_mut(reply_to) {
            sent.refused.extend(refused);
        }
    }

    fn check_answer(
        &self,
        broker: &Broker,
        command: &Command,
        outcome: &Outcome,
    ) -> Result<(), String> {
        match outcome {
            Outcome::Accepted(accepted) => {
                if accepted.n.0 > broker.log_last() || accepted.n.0 == 0 {
                    return Err(format!("accepted with {}, which is not in the log", accepted.n));
                }
                let job = accepted.job_id.map(|id| self.trails.get(&id)?.at(accepted.n));
                match (command, job) {
                    (_, Some(None)) => Err(format!("accepted, but no job at {}", accepted.n)),
                    (Command::Cancel(_), Some(Some(job))) if job.state() != JobState::Canceled => {
                        Err(format!("canceled, but {:?} at {}", job.phase, accepted.n))
                    }
                    (Command::SubmitBatch(batch), _) => {
                        let there = |job: &Submit| {
                            let trail = self.trails.get(&job.job_id);
                            trail.and_then(|trail| trail.at(accepted.n)).is_some()
                        };
                        match batch.jobs.iter().all(there) {
                            true => Ok(()),
                            false => Err(format!("accepted, but not all jobs at {}", accepted.n)),
                        }
                    }
                    _ => Ok(()),
                }
            }
            Outcome::Refused(refusal) => {
                // Another job has the id; the gateway promises nothing where that can be.
                let unsaid = refusal.code == ProblemCode::IdempotencyConflict;
                match command {
                    Command::Submit(submit)
                        if submit.pending
                            && !unsaid
                            && !self.trails.contains_key(&submit.job_id) =>
                    {
                        Err("a promised job was refused and is none".to_owned())
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    // --- readers ---

    /// Rows were committed as of `n`.
    pub fn on_projected(&mut self, n: FrameNumber, rows: &BTreeMap<JobId, Job>) {
        if self.log_lost {
            return;
        }
        for (id, row) in rows {
            if self.trails.get(id).and_then(|trail| trail.at(n)) != Some(row) {
                return self.fail(format!("the row of {id} is not the job at {n}"));
            }
        }
    }

    pub fn is_due_for_comparison(&self) -> bool {
        !self.log_lost && self.reader.n().0 >= self.compared_at + COMPARE_EVERY
    }

    /// A leader's state, as of a message that is in the log.
    pub fn compare(&mut self, state: &State) {
        if state.n != self.state().n {
            return;
        }
        self.compared_at = state.n.0;
        self.stats.snapshots_compared += 1;
        if *state != *self.state() {
            self.fail(format!("a leader's state at {} is not the fold of the log", state.n));
        }
    }
}

/// A broken decider is to be found by what must hold, not by comparing it with a whole one.
fn replay(bug: Option<Bug>) -> Replay {
    Replay::new(Rules { token_key: TOKEN_KEY, faults: Bug::of_core(bug) })
}
