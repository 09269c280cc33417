//! Time, chance and the network: everything that a part of the world shares with the others.
//!
//! One heap holds all that is still to happen. A message travels to the broker and its answer back,
//! each way in order, unless this run's faults have it otherwise.

mod arrival;
mod message;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt,
};

use bytes::Bytes;
use nox_contract::{Place, Source, Timestamp};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    broker::{Broker, Subscription},
    faults::{Fault, Plan},
    invariants::Oracle,
    projector::Store,
};

pub use message::{Ask, Call, Happening, Party, Publish, Reply};

/// Microseconds since the run began.
pub type Micros = u64;

pub const MS: Micros = 1_000;

/// How long a sender waits for an acknowledgement.
const ACK_TIMEOUT: Micros = 200 * MS;
/// By how much a delayed message outlasts its sender's patience, at most.
const DELAYED_MAX: Micros = 3_000 * MS;
/// How long after the broker an executor is there again, at most.
const CONNECTS_WITHIN: Micros = 3_000 * MS;

/// A worker that is connected is heard of within it: it beats as often.
const HEARD_WITHIN: Micros = 600 * MS;

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
    /// When it was lost last.
    lost_at: Micros,
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

    /// What true wall clocks say, by which schedules go: in some runs their time passes faster.
    pub fn calendar_time(&self) -> Timestamp {
        Timestamp::from_micros(self.plan.wall_at(self.now))
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
        let (now, heard_within) = (self.now, HEARD_WITHIN * self.plan.scale);
        let link = self.link(party);
        // Whoever was just back after the broker's death was not heard of yet.
        let is_back = link.cut_until == 0 || link.cut_until + heard_within < now;
        let lost_at = if is_back { now } else { link.lost_at };
        link.lost_at = lost_at;
        if let Party::Executor(id) = party {
            self.oracle.on_cut(id, lost_at, until);
        }
        let keeps = self.chance(0.5);
        let link = self.link(party);
        *link = Link { cut_until: until, keeps, cuts: link.cuts + 1, ..*link };
    }

    /// The broker's process ends, and is back after `span`; executors may need longer to connect again.
    pub fn crash_broker(&mut self, span: Micros) {
        self.broker.up = false;
        self.broker.restarts += 1;
        let at = self.now + span;
        let executors: Vec<_> = self.broker.workers.keys().map(|(_, id)| *id).collect();
        for id in executors {
            let connects_at = at + self.between(0, CONNECTS_WITHIN);
            let now = self.now;
            let link = self.link(Party::Executor(id));
            if link.cut_until < now {
                link.lost_at = now;
            }
            link.cut_until = link.cut_until.max(connects_at);
        }
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
            Source::Commands => self.oracle.state().pos.commands,
            _ => self.oracle.state().pos.reports,
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
}

/// The last message of which something is consumed.
fn reached(place: Place) -> u64 {
    if place.part > 0 { place.seq } else { place.whole() }
}
