//! A worker's side: work received, attempts held, reports owed.
//!
//! One [`Session`] is one life of a worker. It decides what to run, what to end and what to say; its
//! driver carries that out. Call [`Session::due`] after everything that is told to it, and at
//! [`Session::next_wake`].

mod inbox;
mod intake;
mod outbox;
mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use nox_contract::{
    AttemptEnd, Beat, Capacity, Hello, Incarnation, Manifest, Origin, Progress, RegisteredModule,
    Report, ReportMessage, SessionId, StartWork, Timestamp, Token, Usage,
    beat::Held,
    report::{Ended, Offer, Progressed, Started, Stopped},
};

use crate::reader::{ReadError, check_position};

use inbox::Inbox;
use outbox::Outbox;

/// How long `started` waits for the end to come first: a short job then needs one report.
pub const STARTED_AFTER: Duration = Duration::from_millis(5);

/// Most versions of a module that were registered and are kept: whoever follows registrations keeps the newest.
pub const REGISTERED_VERSIONS_MAX: usize = 1 + nox_core::versions::OTHERS_MAX;

/// Names a message of reports within its session. Sending it again does not change it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportId(pub u64);

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run this attempt; then [`Session::on_spawned`] and [`Session::on_ended`].
    Run(Box<StartWork>),
    /// End whatever was run for this attempt; [`Session::on_ended`] when nothing of it is left.
    Kill(Held),
    /// Store these reports; then [`Session::on_report_acked`] or [`Session::on_report_failed`].
    Publish { id: ReportId, message: Arc<ReportMessage> },
    /// These modules were registered: offer those that can be run.
    Learn(Vec<RegisteredModule>),
    /// This session is over. When everything was killed, begin another one under a new id.
    NewSession,
    /// This session is over, and no other may begin: another worker of the name lives, or, where this
    /// session had been taken on, another process of this very worker.
    GiveUp { reason: String },
}

impl Effect {
    /// The attempt that it is to run.
    fn run(&self) -> Option<Held> {
        match self {
            Self::Run(start) => Some(Held { job_id: start.job_id, attempt: start.attempt }),
            _ => None,
        }
    }
}

/// Switches that break the session, for the simulation's negative controls: a test that stays green
/// with one of these on proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionFaults {
    /// Forget an attempt when its end is sent, not when it is stored.
    pub forget_before_ack: bool,
    /// Do work again that arrives again.
    pub work_not_deduped: bool,
    /// Count work as received although some before it is missing.
    pub gaps_counted: bool,
    /// Forget a stop that came before its start.
    pub early_stop_forgotten: bool,
    /// Do work that was sent to another session.
    pub other_sessions_heeded: bool,
}

/// One life of a worker, from its `hello`.
#[derive(Debug, Clone)]
pub struct Session {
    id: SessionId,
    origin: Origin,
    faults: SessionFaults,
    inbox: Inbox,
    held: BTreeMap<Held, Attempt>,
    /// Runs and kills that the driver has yet to be told of.
    orders: Vec<Effect>,
    /// When which `started` is to be said, unless the attempt has ended by then.
    starts_due: VecDeque<(Timestamp, Held)>,
    outbox: Outbox,
    /// The life of the stream that its reports are stored in; `None` before that was looked at.
    reports: Option<Incarnation>,
    /// The log has taken it on, and said so.
    joined: bool,
    draining: bool,
    /// Why it cannot run attempts at present.
    paused: Option<String>,
    /// How often that began or ended: the number of the report that said so last.
    pauses: u64,
    /// How often what it offers changed.
    offers: u64,
    /// The number of the newest registered module that it has heard of; `None` if it takes none.
    registered_up_to: Option<u64>,
    over: Over,
    /// Why it was not taken on.
    refused: Option<String>,
}

#[derive(Debug, Clone)]
struct Attempt {
    token: Token,
    phase: Phase,
    /// Asked to stop: its end is `stopped`, however it comes.
    stopping: bool,
    /// Given up by the log: its end is nobody's business.
    abandoned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The driver was not told to run it.
    Waiting,
    /// The driver was told. [`Session::on_spawned`] or [`Session::on_ended`] moves it on.
    Told,
    /// It runs. [`Session::on_ended`] moves it on.
    Running { since: Timestamp, reported: bool },
    /// Its end is owed or in flight. The acknowledgement removes it.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    /// The driver has yet to hear of it.
    Untold,
    Told,
}

impl Session {
    /// Begins with `hello`. `id` is new for every life.
    pub fn new(id: SessionId, hello: Hello) -> Self {
        let (mut outbox, origin) = (Outbox::default(), hello.origin);
        outbox.owe(Report::Hello(Box::new(hello)), Timestamp::default());
        Self {
            id,
            origin,
            faults: SessionFaults::default(),
            inbox: Inbox::default(),
            held: BTreeMap::new(),
            orders: Vec::new(),
            starts_due: VecDeque::new(),
            outbox,
            reports: None,
            joined: false,
            draining: false,
            paused: None,
            pauses: 0,
            offers: 0,
            registered_up_to: None,
            over: Over::No,
            refused: None,
        }
    }

    pub fn with_faults(mut self, faults: SessionFaults) -> Self {
        self.faults = faults;
        self
    }

    /// Asks for the modules that are registered, from the first on.
    pub fn taking_registered(mut self) -> Self {
        self.registered_up_to = Some(0);
        self
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether the `hello` is stored. A beat before that would speak of an unknown session.
    pub fn is_introduced(&self) -> bool {
        self.outbox.was_acked()
    }

    /// Whether the log has taken the session on: from then on nothing is given to an earlier one.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// Whether it is known which stream its reports go to. Nothing is to be published before.
    pub fn is_attached(&self) -> bool {
        self.reports.is_some()
    }

    /// The stream of reports was looked at: to be told before anything is published, and after every
    /// reconnect. `position` is what [`Self::reports_up_to`] was when the broker was asked.
    ///
    /// # Errors
    /// What was said is stored no more, and only another session can make that good: this one is over.
    pub fn on_reports_seen(
        &mut self,
        found: &Incarnation,
        last: u64,
        position: u64,
    ) -> Result<(), ReadError> {
        let expected = self.reports.get_or_insert_with(|| found.clone());
        let checked = check_position(&expected.0, &found.0, position, last);
        if checked.is_err() {
            self.supersede();
        }
        checked
    }

    /// The highest stream sequence under which something of this session is stored.
    pub fn reports_up_to(&self) -> u64 {
        self.outbox.stored_up_to()
    }

    /// Attempts that were taken on and whose end is not yet acknowledged.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.held.keys().copied()
    }

    /// Whether there is nothing left to run and nothing left to say.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.outbox.is_empty()
    }

    /// The attempt's process runs.
    pub fn on_spawned(&mut self, held: Held, now: Timestamp) {
        let Some(attempt) = self.held.get_mut(&held) else { return };
        if attempt.phase == Phase::Told {
            attempt.phase = Phase::Running { since: now, reported: false };
            self.starts_due.push_back((now + STARTED_AFTER, held));
        }
    }

    /// How far the attempt is, by its program's word. The driver sees to it that this is not too often.
    pub fn on_progressed(&mut self, held: Held, progress: Progress, now: Timestamp) {
        let Some(attempt) = self.held.get(&held) else { return };
        // Its first word may be here before the word that it began.
        let runs = matches!(attempt.phase, Phase::Told | Phase::Running { .. });
        if attempt.stopping || attempt.abandoned || !runs {
            return;
        }
        let Held { job_id, attempt: number } = held;
        let token = attempt.token.clone();
        let progressed = Progressed { job_id, attempt: number, token, progress };
        self.outbox.owe_progress(progressed, now);
    }

    /// What the worker offers has changed.
    pub fn offer(&mut self, capacity: Capacity, modules: Vec<Manifest>, labels: Vec<String>) {
        if self.draining || self.over != Over::No {
            return;
        }
        self.offers += 1;
        let offer = Offer { number: self.offers, capacity, modules, labels };
        self.outbox.owe(Report::Offer(Box::new(offer)), Timestamp::default());
    }

    /// Nothing of the attempt runs any more. `end` says how it went; of an attempt that was to be
    /// stopped, only that it did.
    pub fn on_ended(&mut self, held: Held, usage: Usage, end: AttemptEnd, now: Timestamp) {
        let Some(attempt) = self.held.get_mut(&held) else { return };
        let started = match attempt.phase {
            Phase::Ended => return,
            Phase::Running { .. } => true,
            Phase::Waiting | Phase::Told => false,
        };
        if attempt.abandoned {
            self.held.remove(&held);
            return;
        }
        attempt.phase = Phase::Ended;
        let token = attempt.token.clone();
        if attempt.stopping {
            self.owe_stopped(held, token, usage);
            return;
        }
        let Held { job_id, attempt } = held;
        let ended = Ended { job_id, attempt, token, started, usage, end };
        self.outbox.owe(Report::Ended(Box::new(ended)), now);
    }

    fn owe_stopped(&mut self, held: Held, token: Token, usage: Usage) {
        let Held { job_id, attempt } = held;
        let report = Report::Stopped(Stopped { job_id, attempt, token, usage });
        self.outbox.owe(report, Timestamp::default());
    }

    /// The broker has stored the message `id` under `stream_seq`.
    pub fn on_report_acked(&mut self, id: ReportId, stream_seq: u64) {
        if self.over != Over::No {
            return;
        }
        if let Some(message) = self.outbox.acked(id, stream_seq) {
            self.forget(&message);
        }
    }

    /// The broker refused the message `id`, or may have lost it. Either way it is sent again: what
    /// became of an attempt is never dropped.
    pub fn on_report_failed(&mut self, id: ReportId, now: Timestamp) {
        self.outbox.failed(id, now);
    }

    /// Forgets the attempts whose end `message` says.
    fn forget(&mut self, message: &ReportMessage) {
        for report in &message.reports {
            let (job_id, attempt) = match report {
                Report::Ended(ended) => (ended.job_id, ended.attempt),
                Report::Stopped(stopped) => (stopped.job_id, stopped.attempt),
                _ => continue,
            };
            let held = Held { job_id, attempt };
            if self.held.get(&held).is_some_and(|attempt| attempt.phase == Phase::Ended) {
                self.held.remove(&held);
            }
        }
    }

    /// Ends this session: everything is killed, and nothing more is said.
    pub fn supersede(&mut self) {
        if self.over != Over::No {
            return;
        }
        self.over = Over::Untold;
        self.orders.retain(|order| order.run().is_none());
        for (held, attempt) in std::mem::take(&mut self.held) {
            if matches!(attempt.phase, Phase::Told | Phase::Running { .. }) && !attempt.stopping {
                self.orders.push(Effect::Kill(held));
            }
        }
        self.starts_due.clear();
        self.outbox.clear();
    }

    /// Everything that is to be done now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.orders);
        for held in effects.iter().filter_map(Effect::run) {
            if let Some(attempt) = self.held.get_mut(&held) {
                attempt.phase = Phase::Told;
            }
        }
        self.owe_due_starts(now);
        effects.extend(self.publish(now));
        if self.over == Over::Untold {
            self.over = Over::Told;
            effects.push(match self.refused.take() {
                Some(reason) => Effect::GiveUp { reason },
                None => Effect::NewSession,
            });
        }
        effects
    }

    fn owe_due_starts(&mut self, now: Timestamp) {
        while self.starts_due.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, held)) = self.starts_due.pop_front() else { return };
            let Some(attempt) = self.held.get_mut(&held) else { continue };
            let Phase::Running { since, reported: false } = attempt.phase else { continue };
            attempt.phase = Phase::Running { since, reported: true };
            let report = Report::Started(Started {
                job_id: held.job_id,
                attempt: held.attempt,
                token: attempt.token.clone(),
                elapsed_ms: 0,
            });
            self.outbox.owe(report, since);
        }
    }

    fn publish(&mut self, now: Timestamp) -> Option<Effect> {
        let (id, message) = self.outbox.due(self.id, now)?;
        if self.faults.forget_before_ack {
            self.forget(&message);
        }
        Some(Effect::Publish { id, message })
    }

    /// What the worker says about itself now.
    pub fn beat(&self) -> Beat {
        Beat {
            session: self.id,
            origin: Some(self.origin),
            received_up_to: self.inbox.up_to(),
            held: self.held().collect(),
            joined: self.joined,
            reports_up_to: self.reports_up_to(),
            registered_up_to: self.registered_up_to,
        }
    }

    /// When [`Self::due`] will have something to do by the passing of time alone.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let start = self.starts_due.front().map(|(due, _)| *due);
        [start, self.outbox.next_wake()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
