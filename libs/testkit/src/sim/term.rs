//! A term: feeds inputs to the real [`Leader`] and carries out what it says.

use std::{collections::BTreeMap, sync::Arc};

use nox_contract::{
    Beat, Covers, Fact, Frame, SessionId, Source, StartWork, Work, WorkMessage, WorkerId,
};
use nox_protocol::{
    Leader, Now,
    leader::{Dispatch, Effect},
    reader::check_position,
};

use super::{
    archive,
    broker::Snapshot,
    faults::Fault,
    scheduler::End,
    wire::{Ask, Call, Happening, MS, Micros, Party, Publish, Reply, Wire},
};

/// Frames that are not in the log, beyond which no inputs are read.
const BACKLOG_MAX: usize = 8;
/// Shortest and longest time between two looks at what is due.
const TICK_MS: u64 = 10;
const SLEEP_MAX_MS: u64 = 500;

pub struct Term {
    id: usize,
    life: u64,
    number: u64,
    pub leader: Leader,
    /// The connection on which the inputs were last found to be what they were.
    attached: u64,
    /// When the next wake-up is due that was asked for.
    wake_at: Option<Micros>,
    /// Work whose inputs are being read.
    reading: BTreeMap<u64, (WorkerId, SessionId, Option<Covers>, Vec<Dispatch>)>,
    last_reading: u64,
    outbox: BTreeMap<(WorkerId, SessionId), Vec<Work>>,
    /// The log cannot be cut without one.
    snapshot_wanted: bool,
}

impl Term {
    pub fn new(id: usize, life: u64, number: u64, leader: Leader, wire: &mut Wire) -> Self {
        Self {
            id,
            life,
            number,
            leader,
            // The streams may have changed since they were attached to: looks first.
            attached: wire.connection(Party::Scheduler(id)).wrapping_sub(1),
            wake_at: None,
            reading: BTreeMap::new(),
            last_reading: 0,
            outbox: BTreeMap::new(),
            snapshot_wanted: false,
        }
    }

    fn party(&self) -> Party {
        Party::Scheduler(self.id)
    }

    /// Takes a group of inputs, or of both kinds.
    pub fn feed(&mut self, src: Source, now: Now, wire: &mut Wire) -> Result<(), End> {
        if let Some(reader) = wire.broker.terms.get_mut(&self.id) {
            reader.told[usize::from(src == Source::Reports)] = false;
        }
        if !wire.is_connected(self.party()) || self.leader.backlog() >= BACKLOG_MAX {
            let at = wire.now + 50 * MS;
            let term = self.number;
            wire.schedule(at, self.party(), self.life, Happening::Feed { term, src });
            return Ok(());
        }
        self.check_inputs(wire)?;
        self.take(src, now, wire)?;
        if wire.chance(0.2) {
            let other = if src == Source::Commands { Source::Reports } else { Source::Commands };
            self.take(other, now, wire)?;
        }
        if wire.chance(0.3) {
            self.leader.tick(now)?;
        }
        self.turn(now, wire)
    }

    /// After every reconnect: both streams are still those that were read.
    fn check_inputs(&mut self, wire: &mut Wire) -> Result<(), End> {
        let connection = wire.connection(self.party());
        if self.attached == connection || wire.plan.bug == Some(super::Bug::IncarnationIgnored) {
            return Ok(());
        }
        let state = self.leader.state();
        for (src, expected, position) in [
            (Source::Commands, &state.commands, self.leader.next_command() - 1),
            (Source::Reports, &state.reports, self.leader.next_report() - 1),
        ] {
            let stream = wire.broker.input(src);
            check_position(&expected.0, &stream.incarnation().0, position, stream.last())
                .map_err(|error| End::Inputs(format!("{src:?}: {error}")))?;
        }
        self.attached = connection;
        Ok(())
    }

    fn take(&mut self, src: Source, now: Now, wire: &mut Wire) -> Result<(), End> {
        let mut seq = match src {
            Source::Commands => self.leader.next_command(),
            _ => self.leader.next_report(),
        };
        if wire.strikes(Fault::Redelivery) {
            seq = seq.saturating_sub(wire.between(1, 3)).max(1);
        }
        let group = if wire.chance(0.1) { 60 } else { wire.between(1, 8) };
        for _ in 0..group {
            let Some(message) = wire.broker.input(src).get(seq).cloned() else { break };
            self.leader.on_input(src, seq, &message.subject, &message.payload, now)?;
            seq += 1;
        }
        if wire.broker.input(src).last() >= seq {
            wire.tell_term(self.id, self.number, src);
        }
        Ok(())
    }

    pub fn wake(&mut self, now: Now, wire: &mut Wire) -> Result<(), End> {
        if self.wake_at == Some(wire.now) {
            self.wake_at = None;
        }
        self.leader.tick(now)?;
        self.turn(now, wire)
    }

    pub fn on_beat(
        &mut self,
        worker: WorkerId,
        beat: Beat,
        now: Now,
        wire: &mut Wire,
    ) -> Result<(), End> {
        self.leader.on_beat(worker, beat, now);
        self.leader.tick(now)?;
        self.turn(now, wire)
    }

    pub fn on_reply(
        &mut self,
        call: Call,
        reply: Reply,
        now: Now,
        wire: &mut Wire,
    ) -> Result<(), End> {
        match (call, reply) {
            (Call::Append { n, .. }, Reply::Stored(seq)) => self.leader.on_stored(n, seq),
            (Call::Append { .. }, _) => self.leader.on_unknown(),
            (Call::Tail { .. }, Reply::Log { last, records }) => {
                let tail: Vec<_> =
                    records.into_iter().map(|(seq, _, payload)| (seq, payload)).collect();
                self.leader.on_tail(last, &tail)?;
            }
            (Call::Tail { .. }, _) => self.leader.on_tail_failed(),
            (Call::Inputs { work, .. }, reply) => self.send_read(work, reply, wire),
            _ => {}
        }
        self.turn(now, wire)
    }

    /// The end of a turn, and everything that follows.
    pub fn turn(&mut self, now: Now, wire: &mut Wire) -> Result<(), End> {
        self.leader.end_turn(now)?;
        while let Some(effect) = self.leader.poll()? {
            if wire.strikes(Fault::SchedulerCrash) {
                return Err(End::Crash);
            }
            self.carry_out(effect, wire);
        }
        for ((worker, session), mut work) in std::mem::take(&mut self.outbox) {
            while !work.is_empty() {
                let count = wire.between(1, work.len() as u64) as usize;
                let rest = work.split_off(count);
                send(self.party(), self.life, &worker, session, None, work, wire);
                work = rest;
            }
        }
        if wire.is_connected(self.party()) {
            self.snapshot_wanted |= archive::keep(self.leader.acked().0, wire);
        }
        self.keep_snapshot(wire);
        self.ask_to_be_woken(now, wire);
        Ok(())
    }

    fn ask_to_be_woken(&mut self, now: Now, wire: &mut Wire) {
        let sleep = self.leader.next_wake(now).map_or(u64::MAX, |span| span.as_micros() as u64);
        let least = TICK_MS * MS * wire.plan.scale;
        let most = SLEEP_MAX_MS * MS * wire.plan.scale;
        let at = wire.now + sleep.clamp(least, most);
        if self.wake_at.is_none_or(|earlier| at < earlier) {
            self.wake_at = Some(at);
            let term = self.number;
            wire.schedule(at, self.party(), self.life, Happening::Wake { term });
        }
    }

    fn keep_snapshot(&mut self, wire: &mut Wire) {
        // What is not in the log yet counts for nothing if it never gets there.
        let Some((state, chain)) = self.leader.fold() else { return };
        if self.leader.is_settled() && wire.oracle.is_due_for_comparison() {
            wire.oracle.compare(state);
        }
        if !self.snapshot_wanted && !wire.strikes(Fault::Snapshot) {
            return;
        }
        self.snapshot_wanted = false;
        wire.note(format_args!("a snapshot at {}", state.n));
        let json = serde_json::to_string(state).expect("a state can be serialised");
        wire.broker.snapshots.push(Snapshot { n: state.n.0, chain, state: json });
    }

    fn carry_out(&mut self, effect: Effect, wire: &mut Wire) {
        let (party, life, term) = (self.party(), self.life, self.number);
        match effect {
            Effect::Append { guard, frame } => {
                let publish = Publish::Log { guard, payload: frame.payload };
                wire.publish(party, life, Call::Append { term, n: frame.n }, publish);
            }
            Effect::ReadTail { from } => {
                wire.ask(party, life, Call::Tail { term }, Ask::Log { from, max: usize::MAX });
            }
            Effect::Answer { reply_to, message } => {
                wire.note(format_args!("answer to {reply_to}"));
                let epoch = self.leader.state().epoch;
                wire.oracle.on_answer(&wire.broker, epoch, &reply_to, &message);
            }
            Effect::Dispatch { worker_id, session, work: Dispatch::Ready(work) } => {
                self.outbox.entry((worker_id, session)).or_default().push(work);
            }
            Effect::Dispatch { worker_id, session, work } => {
                self.read_inputs(worker_id, session, None, vec![work], wire);
            }
            Effect::Redeliver { worker_id, session, covers, work } => {
                self.read_inputs(worker_id, session, Some(covers), work, wire);
            }
        }
    }

    /// Reads what of the work is not at hand, then sends it in one message.
    fn read_inputs(
        &mut self,
        worker: WorkerId,
        session: SessionId,
        covers: Option<Covers>,
        work: Vec<Dispatch>,
        wire: &mut Wire,
    ) {
        let missing: Vec<u64> = work
            .iter()
            .filter_map(|piece| match piece {
                Dispatch::ReadInputs { submitted_n, .. } => Some(submitted_n.0),
                Dispatch::Ready(_) => None,
            })
            .collect();
        self.last_reading += 1;
        let call = Call::Inputs { term: self.number, work: self.last_reading };
        self.reading.insert(self.last_reading, (worker, session, covers, work));
        wire.ask(self.party(), self.life, call, Ask::Frames(missing));
    }

    fn send_read(&mut self, number: u64, reply: Reply, wire: &mut Wire) {
        let Some((worker, session, covers, work)) = self.reading.remove(&number) else { return };
        // The worker's next beat asks for it again.
        let Reply::Log { records, .. } = reply else { return };
        let mut records = records.into_iter();
        let work: Option<Vec<Work>> = work
            .into_iter()
            .map(|piece| match piece {
                Dispatch::Ready(work) => Some(work),
                Dispatch::ReadInputs { start, .. } => {
                    let (_, _, payload) = records.next()?;
                    with_inputs(*start, &payload)
                }
            })
            .collect();
        match work {
            Some(work) => send(self.party(), self.life, &worker, session, covers, work, wire),
            // Who leads on a log that lost its end is about to find out.
            None if wire.oracle.log_lost => {}
            None => wire.oracle.fail("the inputs of a job are not where it was submitted".into()),
        }
    }
}

fn with_inputs(start: StartWork, payload: &[u8]) -> Option<Work> {
    let frame: Frame = serde_json::from_slice(payload).ok()?;
    let of_job = frame.entries.iter().filter(|entry| entry.job_id == Some(start.job_id));
    let inputs = of_job.flat_map(|entry| entry.known_facts()).find_map(|fact| match fact {
        Fact::Submitted(submitted) => Some(submitted.inputs.clone()),
        _ => None,
    })?;
    Some(Work::Start(Box::new(StartWork { inputs, ..start })))
}

fn send(
    party: Party,
    life: u64,
    worker: &WorkerId,
    session: SessionId,
    covers: Option<Covers>,
    work: Vec<Work>,
    wire: &mut Wire,
) {
    let message = Arc::new(WorkMessage { session, covers, work });
    let publish = Publish::Work { worker: worker.clone(), message };
    wire.publish(party, life, Call::Nobody, publish);
}
