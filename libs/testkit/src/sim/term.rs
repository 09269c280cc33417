//! A term: the real loop over a world that misbehaves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nox_contract::{
    Beat, Covers, Epoch, Fact, Frame, SessionId, Source, StartWork, Work, WorkMessage, WorkerId,
};
use nox_protocol::{
    Leader, Now, RecentFrames,
    leader::{Dispatch, Effect},
    reader::check_position,
    term::{self, InputMessage, Io},
};

use super::{
    archive,
    broker::Snapshot,
    faults::{Bug, Fault},
    probes::Questions,
    scheduler::End,
    wire::{Ask, Call, Happening, MS, Micros, Party, Publish, Reply, Wire},
};

/// Bytes of frames that a leader keeps for its archiving: few, so that it has to read some again.
const RECENT_BYTES: usize = 20_000;

pub struct Term {
    term: nox_protocol::Term,
    around: Around,
}

/// What a term needs beside the world.
struct Around {
    id: usize,
    life: u64,
    number: u64,
    epoch: Epoch,
    /// The connection on which the inputs were last found to be what they were.
    attached: u64,
    questions: Questions,
    /// When the next wake-up is due that was asked for.
    wake_at: Option<Micros>,
    /// Work whose inputs are being read.
    reading: BTreeMap<u64, (WorkerId, SessionId, Option<Covers>, Vec<Dispatch>)>,
    last_reading: u64,
    outbox: BTreeMap<(WorkerId, SessionId), Vec<Work>>,
    recent: RecentFrames,
    /// The log cannot be cut without one.
    snapshot_wanted: bool,
}

impl Term {
    pub fn new(
        id: usize,
        life: u64,
        number: u64,
        term: nox_protocol::Term,
        wire: &mut Wire,
    ) -> Self {
        let around = Around {
            id,
            life,
            number,
            epoch: term.leader().state().epoch,
            // The streams may have changed since they were attached to: looks first.
            attached: wire.connection(Party::Scheduler(id)).wrapping_sub(1),
            questions: Questions::new(Party::Scheduler(id), wire),
            wake_at: None,
            reading: BTreeMap::new(),
            last_reading: 0,
            outbox: BTreeMap::new(),
            recent: RecentFrames::new(
                RECENT_BYTES,
                term.leader().acked(),
                Bug::of_protocol(wire.plan.bug),
            ),
            snapshot_wanted: false,
        };
        Self { term, around }
    }

    pub fn leader(&self) -> &Leader {
        self.term.leader()
    }

    /// Takes a group of inputs, or of both kinds.
    pub fn feed(&mut self, src: Source, now: Now, wire: &mut Wire) -> Result<(), End> {
        let Around { id, life, number, .. } = self.around;
        let party = self.around.party();
        if let Some(reader) = wire.broker.terms.get_mut(&id) {
            reader.told[usize::from(src == Source::Reports)] = false;
        }
        if !wire.is_connected(party) || !self.term.takes_inputs() {
            let at = wire.now + 50 * MS;
            wire.schedule(at, party, life, Happening::Feed { term: number, src });
            return Ok(());
        }
        self.check_inputs(wire)?;
        self.take(src, now, wire)?;
        if wire.chance(0.2) {
            let other = if src == Source::Commands { Source::Reports } else { Source::Commands };
            self.take(other, now, wire)?;
        }
        if wire.chance(0.3) {
            self.term.look_at_time();
        }
        self.turn(now, wire)
    }

    /// After every reconnect: both streams are still those that were read.
    fn check_inputs(&mut self, wire: &mut Wire) -> Result<(), End> {
        let connection = wire.connection(self.around.party());
        if self.around.attached == connection || wire.plan.bug == Some(Bug::IncarnationIgnored) {
            return Ok(());
        }
        let leader = self.term.leader();
        let state = leader.state();
        for (src, expected, position) in [
            (Source::Commands, &state.commands, leader.next_command() - 1),
            (Source::Reports, &state.reports, leader.next_report() - 1),
        ] {
            let stream = wire.broker.input(src);
            check_position(&expected.0, &stream.incarnation().0, position, stream.last())
                .map_err(|error| End::Inputs(format!("{src:?}: {error}")))?;
        }
        self.around.attached = connection;
        Ok(())
    }

    fn take(&mut self, src: Source, now: Now, wire: &mut Wire) -> Result<(), End> {
        let mut seq = match src {
            Source::Commands => self.leader().next_command(),
            _ => self.leader().next_report(),
        };
        if wire.strikes(Fault::Redelivery) {
            seq = seq.saturating_sub(wire.between(1, 3)).max(1);
        }
        let group = if wire.chance(0.1) { 60 } else { wire.between(1, 8) };
        let mut share = Vec::new();
        for _ in 0..group {
            let Some(message) = wire.broker.input(src).get(seq).cloned() else { break };
            share.push(InputMessage { seq, subject: message.subject, payload: message.payload });
            seq += 1;
        }
        self.term.on_inputs(src, share, || now)?;
        if wire.broker.input(src).last() >= seq {
            wire.tell_term(self.around.id, self.around.number, src);
        }
        Ok(())
    }

    pub fn wake(&mut self, now: Now, wire: &mut Wire) -> Result<(), End> {
        if self.around.wake_at == Some(wire.now) {
            self.around.wake_at = None;
        }
        self.turn(now, wire)
    }

    pub fn on_beat(
        &mut self,
        worker: WorkerId,
        beat: Beat,
        now: Now,
        wire: &mut Wire,
    ) -> Result<(), End> {
        self.term.on_beat(worker, beat, now);
        self.turn(now, wire)
    }

    pub fn on_reply(
        &mut self,
        call: Call,
        reply: Reply,
        now: Now,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let told = match (call, reply) {
            (Call::Append { n, .. }, Reply::Stored(seq)) => term::Reply::Stored { n, seq },
            (Call::Append { .. }, _) => term::Reply::Unknown,
            (Call::Tail { .. }, Reply::Log { last, records }) => {
                let records = records.into_iter().map(|(seq, _, payload)| (seq, payload)).collect();
                term::Reply::Tail { last, records }
            }
            (Call::Tail { .. }, _) => term::Reply::TailFailed,
            (Call::Probe { question, .. }, reply) => {
                let Self { term, around } = self;
                around.questions.look_at_connection(term, now, wire);
                around.questions.on_reply(question, &reply, term, now);
                return self.turn(now, wire);
            }
            (Call::Inputs { work, .. }, reply) => {
                self.around.send_read(work, reply, wire);
                return self.turn(now, wire);
            }
            _ => return self.turn(now, wire),
        };
        self.term.on_reply(told)?;
        self.turn(now, wire)
    }

    /// The end of a turn, and everything that follows.
    pub fn turn(&mut self, now: Now, wire: &mut Wire) -> Result<(), End> {
        let Self { term, around } = self;
        around.questions.look_at_connection(term, now, wire);
        if around.snapshot_wanted {
            term.want_fold();
        }
        term.turn(now, &mut World { around, wire })?;
        around.ask_to_be_woken(term.sleep(now), wire);
        Ok(())
    }
}

/// The world as a term's loop sees it.
struct World<'t> {
    around: &'t mut Around,
    wire: &'t mut Wire,
}

impl Io for World<'_> {
    type End = End;

    fn carry_out(&mut self, effect: Effect) -> Result<(), End> {
        if self.wire.strikes(Fault::SchedulerCrash) {
            return Err(End::Crash);
        }
        self.around.carry_out(effect, self.wire);
        Ok(())
    }

    fn end_turn(&mut self, leader: &Leader) -> Result<(), End> {
        let Self { around, wire } = self;
        around.hand_out(wire);
        around.recent.acked(leader.acked());
        if wire.is_connected(around.party()) {
            around.snapshot_wanted |= archive::keep(leader.acked(), &mut around.recent, wire);
        }
        around.keep_snapshot(leader, wire);
        Ok(())
    }
}

impl Around {
    fn party(&self) -> Party {
        Party::Scheduler(self.id)
    }

    fn hand_out(&mut self, wire: &mut Wire) {
        for ((worker, session), mut work) in std::mem::take(&mut self.outbox) {
            while !work.is_empty() {
                let count = wire.between(1, work.len() as u64) as usize;
                let rest = work.split_off(count);
                send(self.party(), self.life, &worker, session, None, work, wire);
                work = rest;
            }
        }
    }

    fn ask_to_be_woken(&mut self, sleep: Duration, wire: &mut Wire) {
        // A turn that ends with more to do at once is followed by another, later than now.
        let at = wire.now + (sleep.as_micros() as u64).max(1);
        if self.wake_at.is_none_or(|earlier| at < earlier) {
            self.wake_at = Some(at);
            let term = self.number;
            wire.schedule(at, self.party(), self.life, Happening::Wake { term });
        }
    }

    fn keep_snapshot(&mut self, leader: &Leader, wire: &mut Wire) {
        // What is not in the log yet counts for nothing if it never gets there.
        let Some((state, chain)) = leader.fold() else { return };
        if leader.is_settled() && wire.oracle.is_due_for_comparison() {
            wire.oracle.compare(state);
        }
        if !self.snapshot_wanted && !wire.strikes(Fault::Snapshot) {
            return;
        }
        self.snapshot_wanted = false;
        wire.note(format_args!("a snapshot at {}", state.n));
        let json = serde_json::to_string(&state.to_snapshot()).expect("a state can be serialised");
        wire.broker.snapshots.push(Snapshot { n: state.n.0, chain, state: json });
    }

    fn carry_out(&mut self, effect: Effect, wire: &mut Wire) {
        let (party, life, term) = (self.party(), self.life, self.number);
        match effect {
            Effect::Append { guard, frame } => {
                self.recent.sent(frame.n, &frame.payload);
                let publish = Publish::Log { guard, payload: frame.payload };
                wire.publish(party, life, Call::Append { term, n: frame.n }, publish);
            }
            Effect::ReadTail { from } => {
                wire.ask(party, life, Call::Tail { term }, Ask::Log { from, max: usize::MAX });
            }
            Effect::Answer { reply_to, message } => {
                wire.note(format_args!("answer to {reply_to}"));
                wire.oracle.on_answer(&wire.broker, self.epoch, &reply_to, &message);
            }
            Effect::Dispatch { worker_id, session, work: Dispatch::Ready(work) } => {
                self.outbox.entry((worker_id, session)).or_default().push(work);
            }
            Effect::Dispatch { worker_id, session, work } => {
                self.read_inputs(worker_id, session, None, vec![work], wire);
            }
            Effect::Probe { worker_id, session, probe } => {
                let question = self.questions.add(worker_id.clone(), session, probe);
                let call = Call::Probe { term, question };
                wire.ask(party, life, call, Ask::Listener(worker_id));
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
        Fact::Submitted(job) | Fact::Drafted(job) => Some(job.inputs.clone()),
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
