//! A term of office: decides inputs, gets what follows into the log, and only then answers and
//! hands out work.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use nox_contract::{
    AnswerMessage, Attempt, Beat, Covers, EventNumber, Fact, FactOrUnknown, JobId, ModuleName,
    Positions, RawJson, Resources, SchedulerConfig, SessionId, Source, StartWork, TenantId,
    Timestamp, Token, UserId, WaitingCode, Work, WorkNumber, WorkerId, event::Chain,
    work::StopWork,
};
use nox_core::{Internal, Rules, State};

use crate::{
    appender::{AppendEffect, Appender, Deposed, Guard, Pace},
    faults::Faults,
    liveness::{Liveness, Verdict},
    sequencer::{Decided, Input, LogMessage, SequenceError, Sequencer},
    takeover::{Ready, decode_input},
};

/// Most jobs that one match places: enough to fill any worker, few enough to stay short.
const PLACEMENTS_MAX: u32 = 1_000;
/// Most reasons that one look brings up to date.
const REASONS_MAX: u32 = 500;
/// How often reasons are looked at; they are for people.
const REASONS_INTERVAL: Duration = Duration::from_millis(200);
/// Shortest span between two marks of groups without a fact. Each is a message of the log, which
/// keeps them for ever: a loop of refused requests must not be able to fill it.
const MARK_INTERVAL: Duration = Duration::from_millis(100);
/// Most pieces of work that are handed out again in one message; with the largest inputs they fit.
const REDELIVERED_MAX: usize = 40;
/// Inputs of jobs that are kept for their dispatch, in bytes. What is not here is read from the log.
const HOT_INPUTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Gaps in the order of these jobs, beyond as many as there are jobs, that are not yet closed; so
/// that closing them costs little for each job.
const HOT_GAPS_MAX: usize = 1_024;

/// What a term is to be led by.
#[derive(Debug, Clone)]
pub struct LeaderConfig {
    pub rules: Rules,
    pub pace: Pace,
    /// How long a silent worker is believed to live.
    pub worker_lease: Duration,
    pub scheduler: SchedulerConfig,
    pub faults: Faults,
}

/// The two clocks of a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What the log records, unless it is ahead. Never decreases.
    pub at: Timestamp,
    /// The wall clock, for `run_at` alone.
    pub wall: Timestamp,
    /// Since the process began, for leases.
    pub monotonic: Duration,
}

/// What to do for the leader.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Append {
        tag: u64,
        guard: Guard,
        messages: Vec<LogMessage>,
    },
    ReadTail {
        from: u64,
    },
    Answer {
        reply_to: String,
        message: AnswerMessage,
    },
    Dispatch {
        worker_id: WorkerId,
        session: SessionId,
        work: Dispatch,
    },
    /// Hand out again, in one message, for what it covers is settled only by all of it.
    Redeliver {
        worker_id: WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    },
}

/// Work to hand out.
#[derive(Debug, Clone, PartialEq)]
pub enum Dispatch {
    Ready(Work),
    /// Its inputs have to be read from the event `submitted_n` first.
    ReadInputs {
        submitted_n: EventNumber,
        start: Box<StartWork>,
    },
}

/// Why a term ends.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TermEnd {
    #[error(transparent)]
    Deposed(#[from] Deposed),
    #[error(transparent)]
    Broken(#[from] SequenceError),
}

/// See the head of this file.
#[derive(Debug)]
pub struct Leader {
    config: LeaderConfig,
    sequencer: Sequencer,
    appender: Appender,
    liveness: Liveness,
    hot_inputs: HotInputs,
    /// What may leave once the log has everything up to the number.
    held_back: VecDeque<(EventNumber, Effect)>,
    /// The last event when the group of inputs before this one ended.
    group_end: EventNumber,
    /// When a mark was written last.
    marked_at: Option<Duration>,
    /// Of the present group of inputs, until its end is known.
    group_answers: Vec<(String, AnswerMessage)>,
    /// What rests on no fact of its own, so that only a write can prove that this leader may do it.
    unproven: Vec<Effect>,
    /// The first work number of each worker that was not handed out yet, so that a resend does not
    /// overtake the log; and the session in which it counts, for numbers begin anew with each.
    undispatched: BTreeMap<WorkerId, (SessionId, WorkNumber)>,
    effects: VecDeque<Effect>,
    match_due: bool,
    reasons_at: Option<Duration>,
    /// By how much the log's time is ahead of this process's clock.
    ahead: Duration,
}

impl Leader {
    /// Begins a term from what the takeover found.
    pub fn begin(ready: Ready, config: LeaderConfig, now: Now) -> Result<Self, TermEnd> {
        let (epoch_seq, pos) = (ready.epoch_seq, ready.acked_pos());
        let resets = ready.resets.clone();
        let (sequencer, finished) = ready.begin(config.rules.clone())?;
        let mut leader = Self {
            appender: Appender::new(epoch_seq, pos, config.pace, config.faults),
            liveness: Liveness::new(
                sequencer.state(),
                config.worker_lease,
                config.faults.beat_judged_early,
                now.monotonic,
            ),
            sequencer,
            config,
            hot_inputs: HotInputs::default(),
            held_back: VecDeque::new(),
            group_end: EventNumber(0),
            marked_at: None,
            group_answers: Vec::new(),
            unproven: Vec::new(),
            undispatched: BTreeMap::new(),
            effects: VecDeque::new(),
            match_due: true,
            reasons_at: None,
            ahead: Duration::ZERO,
        };
        // A leader before may have had a clock that was ahead. Log time never runs backwards; it must
        // not stand still either until this clock has caught up, for backoffs, budgets and what is
        // to be forgotten go by it. So it goes on from where it is, at the pace of this clock.
        leader.ahead = leader.state().at.since(now.at);
        let now = leader.in_log_time(now);
        if let Some((input, decided)) = finished {
            leader.absorb(&input, decided);
        }
        for reset in resets {
            leader.decide(&Input::Internal(reset), now)?;
        }
        let config = leader.config.scheduler.clone();
        leader.decide(&Input::Internal(Internal::Configure { config }), now)?;
        leader.close_group(now)?;
        Ok(leader)
    }

    fn in_log_time(&self, now: Now) -> Now {
        Now { at: now.at + self.ahead, ..now }
    }

    pub fn state(&self) -> &State {
        self.sequencer.state()
    }

    /// Where to read on in the input streams: everything before is decided.
    pub fn next_command(&self) -> u64 {
        self.sequencer.pos().commands + 1
    }

    pub fn next_report(&self) -> u64 {
        self.sequencer.pos().reports + 1
    }

    /// Messages that are decided and not in the log yet; stop reading inputs when this grows.
    pub fn backlog(&self) -> usize {
        self.appender.backlog()
    }

    /// The state and the chain after its last message, for a snapshot. It is worth something only
    /// once the log has that message, see [`Self::acked`].
    pub fn fold(&self) -> (&State, Chain) {
        (self.sequencer.state(), self.sequencer.chain())
    }

    /// The last message that is known to be in the log.
    pub fn acked(&self) -> EventNumber {
        EventNumber(self.appender.acked())
    }

    /// How far the log says that the inputs are consumed: what may be removed of them.
    pub fn acked_pos(&self) -> Positions {
        self.appender.acked_pos()
    }

    /// Whether the log has all that was decided and consumed.
    pub fn is_settled(&self) -> bool {
        self.appender.backlog() == 0 && !self.sequencer.needs_mark()
    }

    /// A message of an input stream. One that cannot be decoded is consumed without a fact.
    pub fn on_input(
        &mut self,
        src: Source,
        seq: u64,
        subject: &str,
        payload: &[u8],
        now: Now,
    ) -> Result<(), TermEnd> {
        let next = match src {
            Source::Commands => self.next_command(),
            _ => self.next_report(),
        };
        if seq < next {
            // Delivered again.
            return Ok(());
        }
        let input = decode_input(src, seq, subject, payload).unwrap_or_else(|| empty(src, seq));
        self.decide(&input, self.in_log_time(now))?;
        Ok(())
    }

    /// Ends a group of inputs: matches, marks what caused no fact, and lets the answers go once all
    /// of it is in the log. A group without any fact may wait for the next ones, see
    /// `MARK_INTERVAL`.
    pub fn end_group(&mut self, now: Now) -> Result<(), TermEnd> {
        self.close_group(self.in_log_time(now))
    }

    /// Ends the last group of a term that is about to stop: nothing waits for others any more.
    pub fn finish(&mut self, now: Now) -> Result<(), TermEnd> {
        self.prove_group(self.in_log_time(now))
    }

    fn close_group(&mut self, now: Now) -> Result<(), TermEnd> {
        self.match_queued(now)?;
        let has_facts = self.sequencer.state().n > self.group_end;
        if !has_facts && self.unproven.is_empty() && !self.mark_wait(now).is_zero() {
            // One mark serves all that comes until then.
            return Ok(());
        }
        self.prove_group(now)
    }

    /// How long answers that rest on no fact still wait for others to share a mark with.
    fn mark_wait(&self, now: Now) -> Duration {
        let since = self.marked_at.map(|at| now.monotonic.saturating_sub(at));
        let wait = since.map_or(Duration::ZERO, |since| MARK_INTERVAL.saturating_sub(since));
        if self.sequencer.needs_mark() { wait } else { Duration::ZERO }
    }

    fn prove_group(&mut self, now: Now) -> Result<(), TermEnd> {
        if self.sequencer.needs_mark() || !self.unproven.is_empty() {
            // Even an answer that changes nothing has to prove that this leader still leads.
            self.decide(&Input::Internal(Internal::Mark), now)?;
            self.marked_at = Some(now.monotonic);
        }
        let end = self.sequencer.state().n;
        self.group_end = end;
        for (reply_to, message) in std::mem::take(&mut self.group_answers) {
            let answer = Effect::Answer { reply_to, message };
            self.held_back.push_back((end, answer));
        }
        self.held_back.extend(self.unproven.drain(..).map(|effect| (end, effect)));
        self.release();
        Ok(())
    }

    pub fn on_beat(&mut self, worker_id: WorkerId, beat: Beat, now: Now) {
        self.liveness.on_beat(worker_id, beat, now.monotonic);
    }

    /// Does what is due by time. Follow with [`Self::end_group`].
    pub fn tick(&mut self, now: Now) -> Result<(), TermEnd> {
        let now = self.in_log_time(now);
        let due = self.due(now);
        if !due.is_empty() {
            self.decide(&Input::Internal(Internal::Timer { due }), now)?;
        }
        let reports = self.sequencer.pos().reports;
        for verdict in self.liveness.judge(self.sequencer.state(), reports, now.monotonic) {
            match verdict {
                Verdict::Input(internal) => {
                    self.decide(&Input::Internal(internal), now)?;
                }
                Verdict::Resend { worker_id, session, above } => {
                    self.resend(&worker_id, session, above);
                }
                Verdict::Abandon { worker_id, session, held } => {
                    for held in held {
                        self.tell(worker_id.clone(), session, Work::Abandon(held));
                    }
                }
                Verdict::Superseded { worker_id, session } => {
                    self.tell(worker_id, session, Work::Superseded);
                }
                Verdict::Joined { worker_id, session } => {
                    self.tell(worker_id, session, Work::Joined);
                }
                Verdict::Refused { worker_id, session } => {
                    let reason = format!(
                        "another executor named {worker_id}, with a data folder of its own, is at \
                         work; a name is taken over when its holder has left or was silent for its \
                         lease"
                    );
                    self.tell(worker_id, session, Work::Refused { reason });
                }
            }
        }
        let reasons_due =
            self.reasons_at.is_none_or(|at| now.monotonic.saturating_sub(at) >= REASONS_INTERVAL);
        if reasons_due && self.sequencer.state().has_waiting() {
            self.reasons_at = Some(now.monotonic);
            self.match_due = true;
            self.match_queued(now)?;
            let reasons = Internal::Reasons { reasons_max: REASONS_MAX };
            self.decide(&Input::Internal(reasons), now)?;
        }
        Ok(())
    }

    /// Jobs whose instant has come: `run_at` by the wall clock, a backoff by the log's own.
    fn due(&self, now: Now) -> Vec<JobId> {
        let latest = now.at.max(now.wall);
        let state = self.sequencer.state();
        state
            .timers()
            .take_while(|(due_at, _)| *due_at <= latest)
            .filter(|(due_at, id)| *due_at <= self.clock(*id, now))
            .map(|(_, id)| id)
            .take(PLACEMENTS_MAX as usize)
            .collect()
    }

    /// The clock that a waiting job goes by.
    fn clock(&self, id: JobId, now: Now) -> Timestamp {
        match self.state().job(id).and_then(|job| job.job.waiting()) {
            Some(WaitingCode::Scheduled) => now.wall,
            _ => now.at,
        }
    }

    /// How long nothing is due, if nothing arrives: at most until the next look at reasons. Where
    /// the wall clock was set, a job behind the first may be due a little sooner.
    pub fn next_wake(&self, now: Now) -> Option<Duration> {
        let now = self.in_log_time(now);
        let state = self.sequencer.state();
        // By its own clock: by the later of the two, a wait for the earlier would be no wait at all.
        let timer = state.timers().next().map(|(due_at, id)| due_at.since(self.clock(id, now)));
        let lease = self.liveness.next_wake().map(|at| at.saturating_sub(now.monotonic));
        let reasons = state.has_waiting().then_some(if self.match_due {
            Duration::ZERO
        } else {
            REASONS_INTERVAL
        });
        let mark = self.sequencer.needs_mark().then(|| self.mark_wait(now));
        [timer, lease, reasons, mark].into_iter().flatten().min()
    }

    pub fn on_stored(&mut self, tag: u64, seq: u64) {
        self.appender.on_stored(tag, seq);
        self.release();
    }

    /// An append was refused, timed out, or the connection was lost.
    pub fn on_unknown(&mut self) {
        self.appender.on_unknown();
    }

    pub fn on_tail_failed(&mut self) {
        self.appender.on_tail_failed();
    }

    pub fn on_tail(&mut self, last: u64, tail: &[(u64, Bytes)]) -> Result<(), TermEnd> {
        self.appender.on_tail(last, tail)?;
        self.release();
        Ok(())
    }

    /// What to do next; ask until there is nothing.
    pub fn poll(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        self.appender.poll().map(|effect| match effect {
            AppendEffect::Append { tag, guard, messages } => {
                Effect::Append { tag, guard, messages }
            }
            AppendEffect::ReadTail { from } => Effect::ReadTail { from },
        })
    }

    /// Decides one input; says how many messages followed.
    fn decide(&mut self, input: &Input, now: Now) -> Result<usize, TermEnd> {
        let decided = self.sequencer.run(input, now.at)?;
        let count = decided.messages.len();
        self.absorb(input, decided);
        Ok(count)
    }

    fn absorb(&mut self, input: &Input, decided: Decided) {
        if let Input::Commands { message, .. } = input
            && let Some(reply_to) = &message.reply_to
            && !decided.answers.is_empty()
        {
            let answers = AnswerMessage { answers: decided.answers };
            self.group_answers.push((reply_to.clone(), answers));
        }
        for message in &decided.messages {
            self.note(message);
        }
        self.appender.push(decided.messages);
    }

    /// Takes from an event what has to be done once it is in the log.
    fn note(&mut self, message: &LogMessage) {
        let event = &message.event;
        for fact in &event.facts {
            let FactOrUnknown::Known(fact) = fact else { continue };
            match fact {
                Fact::Submitted(submitted) => {
                    if let Some(id) = event.job_id {
                        self.hot_inputs.insert(id, submitted.inputs.clone());
                    }
                }
                Fact::Assigned { worker_id, session, attempt, work } => {
                    if let Some(id) = event.job_id {
                        let dispatch = self.start_work(id, event.n, *attempt, *work);
                        self.hold_back_work(event.n, worker_id, *session, *work, dispatch);
                    }
                }
                Fact::StopRequested { worker_id, attempt, work, .. } => {
                    let worker = self.state().workers.get(worker_id);
                    if let (Some(job_id), Some(worker)) = (event.job_id, worker) {
                        let session = worker.session;
                        let assigned = worker.assignments.get(&job_id).map(|s| s.assigned_n);
                        let stop = assigned.map(|n| self.stop_work(job_id, n, *attempt, *work));
                        self.hold_back_work(event.n, worker_id, session, *work, stop);
                    }
                }
                Fact::Canceled { .. } | Fact::Failed { .. } => {
                    if let Some(id) = event.job_id {
                        // It is not handed out any more.
                        self.hot_inputs.take(id);
                    }
                    self.match_due = true;
                }
                Fact::WorkerJoined { session, .. } => {
                    if let Some(worker_id) = event.worker_id.clone() {
                        let work = Dispatch::Ready(Work::Joined);
                        let effect = Effect::Dispatch { worker_id, session: *session, work };
                        self.held_back.push_back((event.n, effect));
                    }
                    self.match_due = true;
                }
                // Something was freed or queued: the queue may move.
                Fact::Waiting { .. }
                | Fact::RetryScheduled { .. }
                | Fact::AttemptLost { .. }
                | Fact::AttemptFailed { .. }
                | Fact::Stopped { .. }
                | Fact::Succeeded { .. }
                | Fact::WorkerResumed { .. }
                | Fact::ModuleDeclared { .. }
                | Fact::ModuleSwitched { .. }
                | Fact::Reserved { .. }
                | Fact::LimitsSet { .. } => self.match_due = true,
                Fact::Rejected(_)
                | Fact::Started { .. }
                | Fact::Settled { .. }
                | Fact::Released { .. }
                | Fact::Granted { .. }
                | Fact::QuotaViolated { .. }
                | Fact::WorkerDraining { .. }
                | Fact::WorkerPaused { .. }
                | Fact::WorkerLeft { .. }
                | Fact::Configured { .. }
                | Fact::Mark
                | Fact::InputsReset { .. } => {}
            }
        }
    }

    /// Tells a session where it stands, once this leader has proved that it leads.
    fn tell(&mut self, worker_id: WorkerId, session: SessionId, work: Work) {
        let work = Dispatch::Ready(work);
        self.unproven.push(Effect::Dispatch { worker_id, session, work });
    }

    fn hold_back_work(
        &mut self,
        n: EventNumber,
        worker_id: &WorkerId,
        session: SessionId,
        number: WorkNumber,
        work: Option<Dispatch>,
    ) {
        let Some(work) = work else { return };
        let first = self.undispatched.entry(worker_id.clone()).or_insert((session, number));
        if first.0 != session {
            *first = (session, number);
        }
        let effect = Effect::Dispatch { worker_id: worker_id.clone(), session, work };
        self.held_back.push_back((n, effect));
    }

    /// The message that tells a worker to run an attempt.
    fn start_work(
        &mut self,
        job_id: JobId,
        assigned_n: EventNumber,
        attempt: Attempt,
        number: WorkNumber,
    ) -> Option<Dispatch> {
        let hot = self.hot_inputs.take(job_id);
        let job = self.state().job(job_id)?;
        let token = Token::compute(&self.config.rules.token_key, job_id, attempt, assigned_n);
        let start = start(
            number,
            (job_id, attempt, token),
            (&job.tenant, &job.user_id, &job.module),
            job.job.requested_resources,
            hot.clone().unwrap_or_default(),
        );
        let submitted_n = job.job.submitted_n;
        Some(match hot {
            Some(_) => Dispatch::Ready(Work::Start(Box::new(start))),
            None => Dispatch::ReadInputs { submitted_n, start: Box::new(start) },
        })
    }

    /// The message that tells a worker to end an attempt. It carries the token too: the worker may
    /// never have seen the start.
    fn stop_work(
        &self,
        job_id: JobId,
        assigned_n: EventNumber,
        attempt: Attempt,
        number: WorkNumber,
    ) -> Dispatch {
        let token = Token::compute(&self.config.rules.token_key, job_id, attempt, assigned_n);
        Dispatch::Ready(Work::Stop(StopWork { number, job_id, attempt, token }))
    }

    /// Hands out again what did not arrive, as far as it was handed out at all, and says which
    /// numbers are settled by that.
    fn resend(&mut self, worker_id: &WorkerId, session: SessionId, above: WorkNumber) {
        let Some(worker) = self.state().workers.get(worker_id) else { return };
        let undispatched = self.undispatched.get(worker_id).filter(|(of, _)| *of == session);
        let below = undispatched.map_or(worker.next_work, |(_, first)| *first);
        let Some(newest) = below.0.checked_sub(1).map(WorkNumber).filter(|n| *n > above) else {
            return;
        };
        let lost = |number: WorkNumber| number > above && number <= newest;
        let mut numbered = BTreeMap::new();
        for (job_id, slot) in &worker.assignments {
            let (number, stop) = match slot.stop {
                // What is to be stopped need not be started first.
                Some(stop) => (stop, true),
                None => (slot.work, false),
            };
            if lost(number) {
                numbered.insert(number, (*job_id, slot.assigned_n, slot.attempt, stop));
            }
        }
        let mut work = Vec::new();
        let mut after = above;
        let count = numbered.len();
        for (place, (number, (job_id, assigned_n, attempt, stop))) in (1..).zip(numbered) {
            if stop {
                work.push(self.stop_work(job_id, assigned_n, attempt, number));
            } else {
                work.extend(self.start_work(job_id, assigned_n, attempt, number));
            }
            if work.len() >= REDELIVERED_MAX && place < count {
                let covers = Covers { after, up_to: number };
                self.redeliver(worker_id, session, covers, std::mem::take(&mut work));
                after = number;
            }
        }
        self.redeliver(worker_id, session, Covers { after, up_to: newest }, work);
    }

    fn redeliver(
        &mut self,
        worker_id: &WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    ) {
        let worker_id = worker_id.clone();
        self.unproven.push(Effect::Redeliver { worker_id, session, covers, work });
    }

    fn match_queued(&mut self, now: Now) -> Result<(), TermEnd> {
        if std::mem::take(&mut self.match_due) && self.sequencer.state().has_waiting() {
            let placements = Internal::Match { placements_max: PLACEMENTS_MAX };
            let placed = self.decide(&Input::Internal(placements), now)?;
            self.match_due |= placed >= PLACEMENTS_MAX as usize;
        }
        Ok(())
    }

    /// Lets go what the log now has the reason for.
    fn release(&mut self) {
        let acked = EventNumber(self.appender.acked());
        let early = self.config.faults.answer_before_ack;
        while let Some((n, _)) = self.held_back.front() {
            if *n > acked && !early {
                break;
            }
            let Some((_, effect)) = self.held_back.pop_front() else { break };
            if let Effect::Dispatch { worker_id, session, work } = &effect
                && let Some((of, next)) = self.undispatched.get_mut(worker_id)
                && of == session
            {
                *next = (*next).max(work.number().next());
            }
            self.effects.push_back(effect);
        }
        if self.held_back.is_empty() {
            self.undispatched.clear();
        }
    }
}

impl Dispatch {
    fn number(&self) -> WorkNumber {
        match self {
            Self::Ready(Work::Start(start)) => start.number,
            Self::Ready(Work::Stop(stop)) => stop.number,
            Self::Ready(
                Work::Abandon(_)
                | Work::Superseded
                | Work::Joined
                | Work::Refused { .. }
                | Work::Unreadable,
            ) => WorkNumber(0),
            Self::ReadInputs { start, .. } => start.number,
        }
    }
}

fn start(
    number: WorkNumber,
    (job_id, attempt, token): (JobId, Attempt, Token),
    (tenant, user_id, module): (&TenantId, &UserId, &ModuleName),
    resources: Resources,
    inputs: RawJson,
) -> StartWork {
    StartWork {
        number,
        job_id,
        attempt,
        token,
        tenant: tenant.clone(),
        user_id: user_id.clone(),
        module: module.clone(),
        inputs,
        resources,
        traceparent: None,
    }
}

/// What is consumed where a message could not be decoded.
fn empty(src: Source, seq: u64) -> Input {
    match src {
        Source::Commands => Input::Commands {
            seq,
            tenant: TenantId::system(),
            message: nox_contract::CommandMessage { reply_to: None, commands: Vec::new() },
        },
        _ => Input::Reports {
            seq,
            worker_id: WorkerId::nobody(),
            message: nox_contract::ReportMessage {
                session: SessionId(Default::default()),
                reports: Vec::new(),
            },
        },
    }
}

/// Inputs of jobs that were submitted lately, bounded by bytes.
#[derive(Debug, Default)]
struct HotInputs {
    by_job: BTreeMap<JobId, RawJson>,
    order: VecDeque<JobId>,
    bytes: usize,
}

impl HotInputs {
    fn insert(&mut self, job: JobId, inputs: RawJson) {
        self.bytes += inputs.get().len();
        self.by_job.insert(job, inputs);
        self.order.push_back(job);
        // Whoever was handed out meanwhile leaves a gap behind whoever waits for long.
        if self.order.len() > 2 * self.by_job.len() + HOT_GAPS_MAX {
            self.order.retain(|id| self.by_job.contains_key(id));
        }
        while self.bytes > HOT_INPUTS_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.take(oldest);
        }
    }

    fn take(&mut self, job: JobId) -> Option<RawJson> {
        let inputs = self.by_job.remove(&job)?;
        self.bytes -= inputs.get().len();
        Some(inputs)
    }
}

#[cfg(test)]
mod tests;
