//! Time, chance and the network: everything that a part of the world shares with the others.
//!
//! One heap holds all that is still to happen. A message travels to the broker and its answer back,
//! each way in order, unless this run's faults have it otherwise.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use nox_contract::{
    Beat, EpochRecord, FrameNumber, Place, Source, TenantId, Timestamp, WorkMessage, WorkerId,
    beat::Held, subject,
};
use nox_protocol::{appender::Guard, session::ReportId, takeover::Attachment};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    broker::{Broker, Stored, Subscription},
    faults::{Fault, Plan},
    invariants::Oracle,
    projector::Store,
};

/// Microseconds since the run began.
pub type Micros = u64;

pub const MS: Micros = 1_000;

/// How long a sender waits for an acknowledgement.
const ACK_TIMEOUT: Micros = 200 * MS;
/// By how much a delayed message outlasts its sender's patience, at most.
const DELAYED_MAX: Micros = 3_000 * MS;

/// Whoever something can happen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    Scheduler(usize),
    Executor(usize),
    Client(usize),
    Projector(usize),
    Forger,
}

/// What happens to a party.
#[derive(Debug, Clone)]
pub enum Happening {
    /// It begins to live.
    Start,
    Reply(Call, Reply),
    // A scheduler:
    LeaseTick,
    Feed {
        term: u64,
        src: Source,
    },
    Wake {
        term: u64,
    },
    Beat {
        term: u64,
        worker: WorkerId,
        beat: Beat,
    },
    // An executor:
    Work(Arc<WorkMessage>),
    SessionWake,
    /// What still runs is handed back.
    HandBack,
    /// Attempts can be run again.
    Resume,
    BeatDue,
    Spawned {
        held: Held,
        serial: u64,
    },
    Ended {
        held: Held,
        serial: u64,
    },
    Leave,
    // A client, or the forger:
    Act,
    // A projector:
    Loaded,
    Fetch,
    Commit,
}

/// What a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Attach { term: u64 },
    Epoch { term: u64 },
    AppendEpoch { term: u64 },
    ReadLog { term: u64 },
    Append { term: u64, n: FrameNumber },
    Tail { term: u64 },
    Inputs { term: u64, work: u64 },
    Report { id: ReportId, session: u64 },
    Command { index: usize },
    Nobody,
}

#[derive(Debug, Clone)]
pub enum Reply {
    Stored(u64),
    Refused,
    /// Nobody knows.
    Unknown,
    Attachment(Attachment),
    Epoch(Option<(u64, EpochRecord)>),
    Log {
        last: u64,
        records: Vec<(u64, String, Bytes)>,
    },
}

/// What is published.
#[derive(Debug, Clone)]
pub enum Publish {
    Log { guard: Guard, payload: Bytes },
    Epoch { record: EpochRecord, expected: u64 },
    Commands { tenant: TenantId, payload: Bytes },
    Reports { worker: WorkerId, payload: Bytes, forged: bool },
    Work { worker: WorkerId, message: Arc<WorkMessage> },
    Beat { worker: WorkerId, beat: Beat },
}

/// What is asked of the stream's leader.
#[derive(Debug, Clone)]
pub enum Ask {
    Attachment,
    Epoch,
    Log { from: u64, max: usize },
    Frames(Vec<u64>),
}

#[derive(Debug)]
enum Step {
    Arrival { from: Party, life: u64, call: Call, publish: Publish, acked: bool },
    Asked { from: Party, life: u64, call: Call, ask: Ask },
    To { party: Party, life: u64, happening: Happening },
    BrokerIsBack,
}

#[derive(Debug)]
struct Entry {
    at: Micros,
    order: u64,
    step: Step,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A connection to the broker.
#[derive(Debug, Default, Clone, Copy)]
struct Link {
    /// When the last message arrives, each way.
    up: Micros,
    down: Micros,
    cut_until: Micros,
    /// Whether the client keeps what is published meanwhile and sends it afterwards.
    keeps: bool,
    /// How often it was cut.
    cuts: u64,
}

/// Every step of a run, hashed, and printed where somebody wants to read it.
#[derive(Debug)]
pub struct Trace {
    hasher: blake3::Hasher,
    line: String,
    print: bool,
}

impl Trace {
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex()[..16].to_owned()
    }
}

/// See the head of this file.
pub struct Wire {
    pub now: Micros,
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
    pub rng: ChaCha8Rng,
    pub plan: Plan,
    /// From now on nothing goes wrong any more.
    pub quiet: bool,
    /// Whether what happened is beyond what Nox promises to survive.
    pub disaster_struck: bool,
    /// A stream that lost inputs which were consumed, and how far that was. Once it has grown as long
    /// again with others, nothing tells it from what it was: the known limit of `relaxed`.
    regrown: Option<(Source, u64)>,
    /// Terms that remember more than the log has: party, life, term.
    pub doomed: BTreeSet<(Party, u64, u64)>,
    /// What the log lost and does not have again.
    lost: BTreeMap<u64, Bytes>,
    pub broker: Broker,
    pub store: Store,
    pub oracle: Oracle,
    pub trace: Trace,
    links: BTreeMap<Party, Link>,
}

/// What the world has to deliver.
pub struct Delivery {
    pub party: Party,
    pub life: u64,
    pub happening: Happening,
}

impl Wire {
    pub fn new(plan: Plan, seed: u64, print: bool) -> Self {
        Self {
            now: 0,
            heap: BinaryHeap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x006e_6f78),
            oracle: Oracle::new(&plan),
            plan,
            quiet: false,
            disaster_struck: false,
            regrown: None,
            doomed: BTreeSet::new(),
            lost: BTreeMap::new(),
            broker: Broker::new(),
            store: Store::default(),
            trace: Trace { hasher: blake3::Hasher::new(), line: String::new(), print },
            links: BTreeMap::new(),
        }
    }

    /// The true time.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.plan.begins_at + self.now as i64)
    }

    /// Notes what happens, for the trace.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        let trace = &mut self.trace;
        trace.line.clear();
        let _ = fmt::write(&mut trace.line, format_args!("{:>10.3} {what}", self.now as f64 / 1e3));
        trace.hasher.update(trace.line.as_bytes());
        if trace.print {
            println!("{}", trace.line);
        }
    }

    // --- chance ---

    /// Whether a fault of this run strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        if self.quiet {
            return false;
        }
        let rate = self.plan.rates.get(&fault).copied().unwrap_or(0.0);
        rate > 0.0 && self.rng.random_bool(rate.min(1.0))
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.rng.random_range(low..=high)
    }

    /// A span of people, jobs and leases.
    pub fn slowly(&mut self, low_ms: u64, high_ms: u64) -> Micros {
        self.between(low_ms * MS, high_ms * MS) * self.plan.scale
    }

    // --- what is still to happen ---

    fn push(&mut self, at: Micros, step: Step) {
        self.order += 1;
        self.heap.push(Reverse(Entry { at, order: self.order, step }));
    }

    pub fn schedule(&mut self, at: Micros, party: Party, life: u64, happening: Happening) {
        self.push(at.max(self.now), Step::To { party, life, happening });
    }

    /// Goes on to what happens next, up to `until`; `None` when that is not before. What happens at
    /// the broker happens here, and the inner value says what happens to a party.
    pub fn next(&mut self, until: Micros) -> Option<Option<Delivery>> {
        if self.heap.peek().is_none_or(|Reverse(entry)| entry.at > until) {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        self.oracle.now = entry.at;
        match entry.step {
            Step::To { party, life, happening } => {
                if let Some(happening) = self.cross_back(party, life, happening) {
                    return Some(Some(Delivery { party, life, happening }));
                }
            }
            Step::Arrival { from, life, call, publish, acked } => {
                self.arrive(from, life, call, publish, acked);
            }
            Step::Asked { from, life, call, ask } => self.answer(from, life, call, ask),
            Step::BrokerIsBack => {
                self.broker.up = true;
                self.note(format_args!("broker is back"));
                // Whoever was connected connects again, and looks.
                self.tell_terms(Source::Commands);
                self.tell_terms(Source::Reports);
                self.tell_readers();
            }
        }
        Some(None)
    }

    // --- the network ---

    fn delay(&mut self) -> Micros {
        let delay = self.between(50, 2_000);
        if self.strikes(Fault::SlowNetwork) { delay * 100 } else { delay }
    }

    fn link(&mut self, party: Party) -> &mut Link {
        self.links.entry(party).or_default()
    }

    /// When what is sent now arrives, behind everything that was sent before.
    fn up(&mut self, party: Party) -> Micros {
        let at = self.now + self.delay();
        let link = self.link(party);
        link.up = link.up.max(at);
        link.up
    }

    fn down(&mut self, party: Party) -> Micros {
        let at = self.now + self.delay();
        let link = self.link(party);
        link.down = link.down.max(at);
        link.down
    }

    fn is_cut(&mut self, party: Party) -> bool {
        let now = self.now;
        !self.broker.up || self.link(party).cut_until > now
    }

    /// Whether a party can reach the broker now.
    pub fn is_connected(&mut self, party: Party) -> bool {
        !self.is_cut(party)
    }

    /// Changes whenever the connection was lost in between.
    pub fn connection(&mut self, party: Party) -> u64 {
        self.broker.restarts + self.link(party).cuts
    }

    pub fn cut(&mut self, party: Party, span: Micros) {
        let until = self.now + span;
        let keeps = self.chance(0.5);
        let link = self.link(party);
        *link = Link { cut_until: until, keeps, cuts: link.cuts + 1, ..*link };
    }

    /// The broker's process ends, and is back after `span`.
    pub fn crash_broker(&mut self, span: Micros) {
        self.broker.up = false;
        self.broker.restarts += 1;
        let at = self.now + span;
        self.push(at, Step::BrokerIsBack);
    }

    /// An input stream is deleted and made anew.
    pub fn recreate(&mut self, src: Source) {
        self.broker.input_mut(src).recreate();
        self.broker.restarts += 1;
        self.tell_terms(src);
    }

    /// Power is lost, and with it inputs that were consumed already.
    pub fn roll_back_input(&mut self, src: Source) {
        let consumed = match src {
            Source::Commands => self.oracle.state.pos.commands,
            _ => self.oracle.state.pos.reports,
        };
        let consumed = reached(consumed);
        // So deep that what is under way does not fill it again before anybody has looked.
        let last = self.between(consumed / 8, consumed / 2);
        self.broker.input_mut(src).roll_back(last);
        self.regrown = Some((src, consumed));
        let span = self.between(100, 1_000) * MS;
        self.crash_broker(span);
    }

    /// Whether a stream that was rolled back looks as if it never had been.
    pub fn is_regrown(&self) -> bool {
        self.regrown.is_some_and(|(src, consumed)| self.broker.input(src).last() >= consumed)
    }

    /// Power is lost, and with it the end of the log; returns what is the last message now.
    pub fn roll_back_log(&mut self, messages_max: u64) -> u64 {
        let last = self.broker.log_last();
        let last = last - self.between(1, messages_max).min(last);
        self.lost = self.broker.roll_back_log(last);
        self.oracle.fold_again(&self.broker);
        let span = self.between(100, 1_000) * MS;
        self.crash_broker(span);
        last
    }

    /// Publishes. A `Reply` to `call` follows, except to [`Call::Nobody`].
    pub fn publish(&mut self, from: Party, life: u64, call: Call, publish: Publish) {
        let awaited = call != Call::Nobody;
        if awaited && self.strikes(Fault::PublishLost) {
            return self.give_up(from, life, call, self.now);
        }
        if awaited && self.strikes(Fault::PublishDelayed) {
            self.give_up(from, life, call, self.now);
            let at = self.now + ACK_TIMEOUT + self.between(0, DELAYED_MAX);
            return self.push(at, Step::Arrival { from, life, call, publish, acked: false });
        }
        let acked = awaited && !self.strikes(Fault::AckLost);
        if awaited && !acked {
            self.give_up(from, life, call, self.now);
        }
        let at = self.up(from);
        self.push(at, Step::Arrival { from, life, call, publish, acked });
    }

    /// The sender hears nothing until it waits no longer.
    fn give_up(&mut self, party: Party, life: u64, call: Call, sent: Micros) {
        let happening = Happening::Reply(call, Reply::Unknown);
        self.schedule(sent + ACK_TIMEOUT, party, life, happening);
    }

    pub fn ask(&mut self, from: Party, life: u64, call: Call, ask: Ask) {
        let at = self.up(from);
        self.push(at, Step::Asked { from, life, call, ask });
    }

    fn reply(&mut self, party: Party, life: u64, call: Call, reply: Reply) {
        let at = self.down(party);
        self.schedule(at, party, life, Happening::Reply(call, reply));
    }

    /// Whether what comes from the broker gets through; a lost acknowledgement is an unknown one.
    fn cross_back(&mut self, party: Party, life: u64, happening: Happening) -> Option<Happening> {
        match happening {
            Happening::Reply(_, Reply::Unknown) => Some(happening),
            Happening::Reply(call, _) if self.is_cut(party) => {
                Some(Happening::Reply(call, Reply::Unknown))
            }
            Happening::Beat { .. } | Happening::Work(_) if self.is_cut(party) => None,
            Happening::Beat { term, ref beat, .. } => {
                // With two that lead, nobody here can tell whose word is the one that counts.
                let of_term = |(id, s): (&usize, &Subscription)| {
                    (Party::Scheduler(*id), s.life, s.term) == (party, life, term)
                };
                if self.broker.terms.len() == 1 && self.broker.terms.iter().all(of_term) {
                    self.oracle.on_beat(beat.session);
                }
                Some(happening)
            }
            other => Some(other),
        }
    }

    /// The log as whoever asks finds it. That there is none of a message that was written is a violation.
    pub fn read_joined(&mut self, from: u64, max: usize) -> Option<Vec<(u64, String, Bytes)>> {
        match self.broker.read_joined(from, max) {
            Ok(records) => Some(records),
            Err(n) => {
                self.oracle
                    .fail(format!("message {n} is neither in the log's stream nor archived"));
                None
            }
        }
    }

    /// What the stream lost last is archived as it was written, and a takeover needs none of it.
    pub fn check_cut(&mut self) {
        let before = self.broker.log_first();
        let gone = self.broker.read_log(1, before as usize - 1);
        let is_kept = |(seq, _, payload): &(u64, String, Bytes)| {
            self.broker.archive.message(*seq).is_some_and(|kept| kept.payload == *payload)
        };
        if let Some((seq, ..)) = gone.iter().find(|message| !is_kept(message)) {
            let why = format!("cut before {before}, and {seq} is not in the archive as it was");
            return self.oracle.fail(why);
        }
        let is_believed = |n: u64, chain| n >= before && self.broker.chain_at(n) == Some(chain);
        if !self.broker.snapshots.iter().any(|kept| is_believed(kept.n, kept.chain)) {
            self.oracle.fail(format!("cut before {before}, which a takeover needs"));
        }
    }

    fn answer(&mut self, from: Party, life: u64, call: Call, ask: Ask) {
        if self.is_cut(from) || self.strikes(Fault::ReadFails) {
            return self.give_up(from, life, call, self.now);
        }
        let reply = match ask {
            Ask::Attachment => Reply::Attachment(self.broker.attachment()),
            Ask::Epoch => Reply::Epoch(self.broker.newest_epoch()),
            Ask::Log { from, max } => match self.read_joined(from, max) {
                Some(records) => Reply::Log { last: self.broker.log_last(), records },
                None => Reply::Unknown,
            },
            Ask::Frames(numbers) => {
                let read =
                    numbers.iter().map(|n| self.read_joined(*n, 1)).collect::<Option<Vec<_>>>();
                match read {
                    Some(read) => {
                        let records = read.into_iter().flatten().collect();
                        Reply::Log { last: self.broker.log_last(), records }
                    }
                    None => Reply::Unknown,
                }
            }
        };
        self.reply(from, life, call, reply);
    }

    fn arrive(&mut self, from: Party, life: u64, call: Call, publish: Publish, acked: bool) {
        if self.is_cut(from) {
            let keeps = self.link(from).keeps;
            if acked {
                self.give_up(from, life, call, self.now);
            }
            if keeps && self.broker.up {
                let at = self.link(from).cut_until.max(self.link(from).up);
                self.link(from).up = at;
                self.push(at, Step::Arrival { from, life, call, publish, acked: false });
            }
            return;
        }
        let reply = self.store(from, publish);
        if let (Call::Command { index }, Party::Client(id), Reply::Stored(seq)) =
            (call, from, &reply)
        {
            let incarnation = self.broker.commands.incarnation();
            self.oracle.on_command_stored(&format!("client-{id}.{index}"), incarnation, *seq);
        }
        // What was under way for long and comes too late is what the log had there before.
        if let (Call::Append { term, .. }, Reply::Stored(_), true) = (call, &reply, acked)
            && self.doomed.contains(&(from, life, term))
        {
            self.oracle.fail(format!("{from:?} goes on in a log that lost what it had written"));
        }
        if acked && matches!(call, Call::Append { .. }) && self.strikes(Fault::AckOvertaken) {
            let at = self.now + self.between(1, 30 * MS);
            self.schedule(at, from, life, Happening::Reply(call, reply));
        } else if acked {
            self.reply(from, life, call, reply);
        }
    }

    fn store(&mut self, from: Party, publish: Publish) -> Reply {
        match publish {
            Publish::Log { guard, payload } => {
                let full = self.broker.full_until > self.now;
                let stored = if full || self.strikes(Fault::PublishRefused) {
                    None
                } else {
                    self.broker.append(guard, payload)
                };
                self.note(format_args!(
                    "log: {from:?} appends a frame after {:?}: {stored:?}",
                    guard.last_seq
                ));
                stored.map_or(Reply::Refused, |seq| self.logged(seq))
            }
            Publish::Epoch { record, expected } => {
                let epoch = record.epoch;
                let full = self.broker.full_until > self.now;
                let stored = if full { None } else { self.broker.append_epoch(record, expected) };
                self.note(format_args!("log: {from:?} begins epoch {epoch}: {stored:?}"));
                stored.map_or(Reply::Refused, |seq| self.logged(seq))
            }
            Publish::Commands { .. } | Publish::Reports { .. }
                if self.strikes(Fault::PublishRefused) =>
            {
                Reply::Refused
            }
            Publish::Commands { tenant, payload } => {
                let subject = subject::commands(&tenant);
                let stored = Stored { subject, payload, forged: false };
                let seq = self.broker.store_input(Source::Commands, stored);
                self.note(format_args!("commands: {seq} from {from:?}"));
                self.tell_terms(Source::Commands);
                Reply::Stored(seq)
            }
            Publish::Reports { worker, payload, forged } => {
                let stored = Stored { subject: subject::reports(&worker), payload, forged };
                let seq = self.broker.store_input(Source::Reports, stored);
                self.note(format_args!("reports: {seq} from {from:?}"));
                self.tell_terms(Source::Reports);
                Reply::Stored(seq)
            }
            Publish::Work { worker, message } => {
                self.hand_out(&worker, message);
                Reply::Stored(0)
            }
            Publish::Beat { worker, beat } => {
                self.pass_beat_on(&worker, &beat);
                Reply::Stored(0)
            }
        }
    }

    fn logged(&mut self, seq: u64) -> Reply {
        for (seq, subject, payload) in self.broker.read_log(seq, 1) {
            self.lost.retain(|at, lost| *at != seq || *lost != payload);
            if self.lost.is_empty() {
                // The very same frames were still on their way: nothing is lost any more.
                self.doomed.clear();
            }
            if self.trace.print {
                println!("{:>10} {seq}: {}", "", String::from_utf8_lossy(&payload));
            }
            self.oracle.on_log(&self.broker, seq, &subject, &payload);
        }
        self.tell_readers();
        Reply::Stored(seq)
    }

    fn tell_readers(&mut self) {
        let (now, readers): (_, Vec<_>) =
            (self.now, self.broker.readers.iter().map(|(id, s)| (*id, *s)).collect());
        for (id, reader) in readers {
            if !reader.told[0] {
                self.broker.readers.entry(id).and_modify(|s| s.told[0] = true);
                let at = now + self.delay() + self.between(0, 20 * MS);
                self.schedule(at, Party::Projector(id), reader.life, Happening::Fetch);
            }
        }
    }

    /// Lets the terms that read an input stream know that there is more.
    pub fn tell_terms(&mut self, src: Source) {
        let terms: Vec<_> = self.broker.terms.iter().map(|(id, s)| (*id, *s)).collect();
        for (id, term) in terms {
            self.tell_term(id, term.term, src);
        }
    }

    pub fn tell_term(&mut self, id: usize, term: u64, src: Source) {
        let which = usize::from(src == Source::Reports);
        let Some(reader) = self.broker.terms.get_mut(&id).filter(|s| s.term == term) else {
            return;
        };
        if std::mem::replace(&mut reader.told[which], true) {
            return;
        }
        let life = reader.life;
        let at = self.now + self.delay() + self.between(0, 5 * MS);
        self.schedule(at, Party::Scheduler(id), life, Happening::Feed { term, src });
    }

    /// Work is kept nowhere, and a message of it may get lost, come twice, or late.
    fn hand_out(&mut self, worker: &WorkerId, message: Arc<WorkMessage>) {
        let of_worker = self.broker.workers.iter().filter(|((name, _), _)| name == worker);
        let receivers: Vec<_> = of_worker.map(|((_, id), life)| (*id, *life)).collect();
        for (id, life) in receivers {
            self.hand_to(id, life, message.clone());
        }
    }

    fn hand_to(&mut self, id: usize, life: u64, message: Arc<WorkMessage>) {
        let party = Party::Executor(id);
        if self.strikes(Fault::WorkLost) {
            return;
        }
        let mut at = self.down(party);
        if self.strikes(Fault::WorkOutOfOrder) {
            at = self.now + self.between(1, 500 * MS);
        }
        if self.strikes(Fault::WorkTwice) {
            let again = at + self.between(0, 2_000 * MS);
            self.schedule(again, party, life, Happening::Work(message.clone()));
        }
        self.schedule(at, party, life, Happening::Work(message));
    }

    /// NOX_BEATS: to whoever leads; in order, but not in step with the reports.
    fn pass_beat_on(&mut self, worker: &WorkerId, beat: &Beat) {
        let terms: Vec<_> = self.broker.terms.iter().map(|(id, s)| (*id, *s)).collect();
        for (id, reader) in terms {
            if self.strikes(Fault::BeatLost) {
                continue;
            }
            let mut at = self.now + self.delay();
            if self.strikes(Fault::BeatSlow) {
                at += self.slowly(0, 1_500);
            }
            at = at.max(reader.beat_at);
            self.broker.terms.entry(id).and_modify(|s| s.beat_at = at);
            let (term, worker, beat) = (reader.term, worker.clone(), beat.clone());
            let happening = Happening::Beat { term, worker, beat };
            self.schedule(at, Party::Scheduler(id), reader.life, happening);
        }
    }
}

/// The last message of which something is consumed.
fn reached(place: Place) -> u64 {
    if place.part > 0 { place.seq } else { place.whole() }
}
