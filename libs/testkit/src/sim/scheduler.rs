//! A scheduler process: asks for the lease, takes over, leads, dies, and is started again.
//!
//! It drives the real [`Takeover`] and [`Leader`] as `services/scheduler` does, one effect after the
//! other, and may die between any two of them.

use std::time::Duration;

use nox_contract::{Source, Timestamp};
use nox_core::{Rules, State};
use nox_protocol::{
    Leader, LeaderConfig, Now, Takeover,
    appender::Deposed,
    leader::TermEnd,
    takeover::{Attachment, Ready, TakeoverEffect, TakeoverError},
    term::Pace,
};

use super::{
    broker::{Snapshot, Subscription},
    faults::{Bug, Fault},
    invariants::TOKEN_KEY,
    probes::probing,
    term::Term,
    wire::{Ask, Call, Happening, MS, Micros, Party, Publish, Reply, Wire},
};

/// How long the lease lasts without a renewal.
pub const LEASE_MS: u64 = 2_000;
/// Renewals in one lease's time.
const RENEWALS: u64 = 3;
/// How long a silent worker is believed to live.
pub const WORKER_LEASE_MS: u64 = 4_000;

pub enum Status {
    /// Its process does not run.
    Down,
    Standby,
    TakingOver(Box<Takeover>),
    /// What it has of the attachment before the takeover can begin.
    Attaching,
    Leading(Box<Term>),
    /// It stopped loudly; the trace says why.
    Stopped,
}

pub struct Scheduler {
    pub id: usize,
    pub life: u64,
    pub frozen_until: Micros,
    pub status: Status,
    /// Counts its terms, so that replies to an earlier one are dropped.
    term: u64,
    /// When its process began.
    born: Micros,
    /// Tries to renew the lease that failed.
    failures: u64,
    /// An operator's word that a lost input stream is accepted.
    pub accept_reset: bool,
}

impl Scheduler {
    pub fn new(id: usize) -> Self {
        Self {
            id,
            life: 0,
            frozen_until: 0,
            status: Status::Down,
            term: 0,
            born: 0,
            failures: 0,
            accept_reset: false,
        }
    }

    pub fn party(&self) -> Party {
        Party::Scheduler(self.id)
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.status {
            Status::Leading(term) => Some(term.leader()),
            _ => None,
        }
    }

    fn now(&self, wire: &Wire) -> Now {
        let skew = wire.plan.skews[self.id];
        let at = wire.plan.begins_at + skew + wire.now as i64;
        let wall = wire.plan.wall_at(wire.now) + skew + wire.plan.wall_skews[self.id];
        let wall = Timestamp::from_micros(wall);
        let at = Timestamp::from_micros(at);
        Now { at, wall, monotonic: Duration::from_micros(wire.now - self.born) }
    }

    /// What it remembers of the log, and as what: its life and term.
    pub fn memory(&self) -> Option<(u64, (Party, u64, u64))> {
        let n = match &self.status {
            Status::TakingOver(takeover) => takeover.folded_up_to().0,
            Status::Leading(term) => term.leader().acked().0,
            _ => return None,
        };
        Some((n, (self.party(), self.life, self.term)))
    }

    fn name(&self) -> String {
        format!("scheduler-{}/{}/{}", self.id, self.life, self.term)
    }

    /// Its process ends, with everything that it knew.
    pub fn die(&mut self, wire: &mut Wire) {
        if matches!(self.status, Status::Stopped) {
            return;
        }
        wire.note(format_args!("{} dies", self.name()));
        self.end_term(wire);
        self.life += 1;
        self.status = Status::Down;
        let at = wire.now + wire.between(10, 3_000) * MS;
        wire.schedule(at, self.party(), self.life, Happening::Start);
    }

    /// An operator starts it again after it stopped loudly.
    pub fn restart(&mut self, wire: &mut Wire) {
        self.life += 1;
        self.status = Status::Down;
        self.accept_reset = true;
        wire.schedule(wire.now + MS, self.party(), self.life, Happening::Start);
    }

    pub fn on(&mut self, happening: Happening, wire: &mut Wire) {
        match happening {
            Happening::Start => {
                self.born = wire.now;
                self.failures = 0;
                self.status = Status::Standby;
                let at = wire.now + wire.between(0, 50) * MS;
                wire.schedule(at, self.party(), self.life, Happening::LeaseTick);
            }
            Happening::LeaseTick => self.on_lease_tick(wire),
            Happening::Reply(call, reply) => self.on_reply(call, reply, wire),
            Happening::Feed { term, src } if term == self.term => {
                self.lead(wire, |term, now, wire| term.feed(src, now, wire));
            }
            Happening::Wake { term } if term == self.term => {
                self.lead(wire, |term, now, wire| term.wake(now, wire));
            }
            Happening::Beat { term, worker, beat } if term == self.term => {
                self.lead(wire, |term, now, wire| term.on_beat(worker, beat, now, wire));
            }
            _ => {}
        }
    }

    fn on_lease_tick(&mut self, wire: &mut Wire) {
        if matches!(self.status, Status::Down | Status::Stopped) {
            return;
        }
        let lease = LEASE_MS * MS * wire.plan.scale;
        let jitter = wire.between(0, 20) * MS;
        let at = wire.now + lease / RENEWALS + jitter;
        wire.schedule(at, self.party(), self.life, Happening::LeaseTick);
        let mut granted = false;
        if wire.is_connected(self.party()) {
            self.failures = 0;
            let held = wire.broker.lease.filter(|(_, until)| *until > wire.now);
            let mine = held.is_none_or(|(holder, _)| holder == self.id);
            granted = mine || wire.strikes(Fault::SplitLease);
            if mine {
                wire.broker.lease = Some((self.id, wire.now + lease));
            }
        } else {
            self.failures += 1;
        }
        match self.status {
            Status::Standby if granted => {
                self.term += 1;
                self.status = Status::Attaching;
                wire.note(format_args!("{} takes over", self.name()));
                let call = Call::Attach { term: self.term };
                wire.ask(self.party(), self.life, call, Ask::Attachment);
            }
            Status::Attaching | Status::TakingOver(_) | Status::Leading(_)
                if !granted && (self.failures == 0 || self.failures >= RENEWALS) =>
            {
                wire.note(format_args!("{} lost its lease", self.name()));
                self.end_term(wire);
            }
            _ => {}
        }
    }

    /// Leads no more, or tries no more to.
    fn end_term(&mut self, wire: &mut Wire) {
        if !matches!(self.status, Status::Stopped) {
            self.status = Status::Standby;
        }
        if wire.broker.terms.get(&self.id).is_some_and(|s| s.term == self.term) {
            wire.broker.terms.remove(&self.id);
        }
    }

    /// Stops for good, since something is not what it was.
    fn stop(&mut self, why: String, wire: &mut Wire) {
        wire.note(format_args!("{} stops: {why}", self.name()));
        self.end_term(wire);
        if wire.broker.lease.is_some_and(|(holder, _)| holder == self.id) {
            wire.broker.lease = None;
        }
        if !wire.disaster_struck {
            wire.oracle.fail(format!("{} stopped, and nothing was lost: {why}", self.name()));
        }
        self.status = Status::Stopped;
    }

    fn on_reply(&mut self, call: Call, reply: Reply, wire: &mut Wire) {
        match call {
            Call::Attach { term }
                if term == self.term && matches!(self.status, Status::Attaching) =>
            {
                match reply {
                    Reply::Attachment(attachment) => self.begin_takeover(attachment, wire),
                    _ => self.end_term(wire),
                }
            }
            Call::Attach { term }
            | Call::Epoch { term }
            | Call::AppendEpoch { term }
            | Call::ReadLog { term }
                if term == self.term =>
            {
                self.take_over(call, reply, wire);
            }
            Call::Append { term, .. }
            | Call::Tail { term }
            | Call::Inputs { term, .. }
            | Call::Probe { term, .. }
                if term == self.term =>
            {
                self.lead(wire, |term, now, wire| term.on_reply(call, reply, now, wire));
            }
            _ => {}
        }
    }

    // --- taking over ---

    fn begin_takeover(&mut self, attachment: Attachment, wire: &mut Wire) {
        // The newest that the log's own chain agrees with.
        let is_believed = |s: &&Snapshot| wire.broker.chain_at(s.n) == Some(s.chain);
        let snapshot = wire.broker.snapshots.iter().rev().find(is_believed).cloned();
        let snapshot = snapshot.and_then(|snapshot| {
            let mut state: State = serde_json::from_str(&snapshot.state).ok()?;
            state.reindex();
            wire.note(format_args!("{} begins from a snapshot at {}", self.name(), state.n));
            Some((state, snapshot.chain))
        });
        let mut takeover = Takeover::new(
            self.name(),
            self.now(wire).at,
            attachment,
            self.accept_reset.then(|| "operator".to_owned()),
            snapshot,
            Bug::of_protocol(wire.plan.bug),
        );
        let effect = takeover.start();
        self.status = Status::TakingOver(Box::new(takeover));
        self.carry_out(effect, wire);
    }

    fn take_over(&mut self, call: Call, reply: Reply, wire: &mut Wire) {
        let Status::TakingOver(takeover) = &mut self.status else { return };
        let next: Result<Option<TakeoverEffect>, TakeoverError> = match (call, reply) {
            (Call::Epoch { .. }, Reply::Epoch(newest)) => Ok(Some(takeover.on_epoch(newest))),
            (Call::AppendEpoch { .. }, Reply::Stored(seq)) => {
                Ok(Some(takeover.on_epoch_appended(seq)))
            }
            (Call::AppendEpoch { .. }, _) => Ok(Some(takeover.on_epoch_unknown())),
            (Call::ReadLog { .. }, Reply::Log { records, .. }) if !records.is_empty() => {
                takeover.on_log(&records)
            }
            (Call::Attach { .. }, Reply::Attachment(attachment)) => {
                takeover.on_attachment(attachment)
            }
            // The broker cannot be asked: try again later.
            _ => return self.end_term(wire),
        };
        match next {
            Ok(Some(effect)) => self.carry_out(effect, wire),
            Ok(None) => {}
            Err(error) => self.stop(error.to_string(), wire),
        }
    }

    fn carry_out(&mut self, effect: TakeoverEffect, wire: &mut Wire) {
        if wire.strikes(Fault::SchedulerCrash) {
            return self.die(wire);
        }
        let (term, party, life) = (self.term, self.party(), self.life);
        match effect {
            TakeoverEffect::ReadEpoch => wire.ask(party, life, Call::Epoch { term }, Ask::Epoch),
            TakeoverEffect::AppendEpoch { record, expected } => {
                let publish = Publish::Epoch { record, expected };
                wire.publish(party, life, Call::AppendEpoch { term }, publish);
            }
            TakeoverEffect::ReadLog { from, .. } => {
                let max = wire.between(1, 500) as usize;
                wire.ask(party, life, Call::ReadLog { term }, Ask::Log { from, max });
            }
            TakeoverEffect::Attach => {
                wire.ask(party, life, Call::Attach { term }, Ask::Attachment);
            }
            TakeoverEffect::Lead(ready) => self.begin_term(*ready, wire),
        }
    }

    // --- leading ---

    fn begin_term(&mut self, ready: Ready, wire: &mut Wire) {
        wire.note(format_args!(
            "{} leads epoch {} from {}, at {:?}",
            self.name(),
            ready.state.epoch,
            ready.epoch_seq,
            ready.pos
        ));
        self.accept_reset = false;
        let config = LeaderConfig {
            rules: Rules { token_key: TOKEN_KEY, faults: Bug::of_core(wire.plan.bug) },
            window: wire.plan.window,
            frame_bytes: wire.plan.frame_bytes,
            losses_max: wire.plan.losses_max,
            worker_lease: Duration::from_millis(WORKER_LEASE_MS * wire.plan.scale),
            probing: Some(probing(wire.plan.scale)),
            scheduler: wire.plan.configs[self.id].clone(),
            faults: Bug::of_protocol(wire.plan.bug),
        };
        let scale = u32::try_from(wire.plan.scale).unwrap_or(u32::MAX);
        let Pace { tick, sleep_max } = Pace::default();
        let pace = Pace { tick: tick * scale, sleep_max: sleep_max * scale };
        let term = match nox_protocol::Term::begin(ready, config, pace, self.now(wire)) {
            Ok(term) => term,
            Err(end) => return self.on_term_end(end, wire),
        };
        let subscription =
            Subscription { life: self.life, term: self.term, told: [false; 2], beat_at: 0 };
        wire.broker.terms.insert(self.id, subscription);
        let term = Term::new(self.id, self.life, self.term, term, wire);
        self.status = Status::Leading(Box::new(term));
        for src in [Source::Commands, Source::Reports] {
            wire.tell_term(self.id, self.term, src);
        }
        self.lead(wire, |term, now, wire| term.turn(now, wire));
    }

    /// Does one thing as leader, and sees what becomes of the term.
    fn lead(
        &mut self,
        wire: &mut Wire,
        act: impl FnOnce(&mut Term, Now, &mut Wire) -> Result<(), End>,
    ) {
        let now = self.now(wire);
        let Status::Leading(term) = &mut self.status else { return };
        match act(term, now, wire) {
            Ok(()) => {}
            Err(End::Crash) => self.die(wire),
            Err(End::Inputs(why)) => self.stop(why, wire),
            Err(End::Term(end)) => self.on_term_end(end, wire),
        }
    }

    fn on_term_end(&mut self, end: TermEnd, wire: &mut Wire) {
        match end {
            TermEnd::Deposed(deposed @ Deposed::Foreign { .. }) => {
                wire.note(format_args!("{} is deposed: {deposed}", self.name()));
                self.end_term(wire);
                if wire.broker.lease.is_some_and(|(holder, _)| holder == self.id) {
                    wire.broker.lease = None;
                }
            }
            other => self.stop(other.to_string(), wire),
        }
    }
}

/// How a term can end.
pub enum End {
    /// The process dies here.
    Crash,
    /// An input stream is not what it was.
    Inputs(String),
    Term(TermEnd),
}

impl From<TermEnd> for End {
    fn from(end: TermEnd) -> Self {
        Self::Term(end)
    }
}
