//! The parts together: what happens to whom, the blows they take, and the phases of a run.
//!
//! First everything may go wrong. Then nothing more does, and everything has to settle; unless this
//! run met a disaster that nobody can survive, and then whoever remembers has to have stopped.

use nox_contract::{Chain, Source};
use rand::RngExt;
use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::{
    Options, Outcome,
    client::{Client, Forger},
    executor::Executor,
    faults::{Blow, Disaster, Plan},
    kept::{self, Kept},
    projector::Projector,
    scheduler::{LEASE_MS, Scheduler, Status},
    wire::{Delivery, Happening, MS, Micros, Party, Wire},
};

/// Steps between two looks whether everything has settled.
const LOOK_EVERY: u64 = 20;
/// How long everything may take to settle, in milliseconds.
const SETTLE_MS: u64 = 400_000;
/// How long after a disaster whoever remembers more has to have noticed, in milliseconds.
const NOTICE_MS: u64 = 20_000;
/// How often the operator looks after schedulers that stopped, in milliseconds.
const OPERATOR_MS: u64 = 1_000;

pub struct World {
    seed: u64,
    steps_wanted: u64,
    steps: u64,
    wire: Wire,
    schedulers: Vec<Scheduler>,
    executors: Vec<Executor>,
    clients: Vec<Client>,
    projectors: Vec<Projector>,
    /// The step at which the disaster strikes.
    disaster_at: Option<u64>,
    operator_at: Micros,
    violation_at: Option<u64>,
}

impl World {
    pub fn new(options: &Options) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let plan = Plan::new(&mut rng, options.bug, options.disaster);
        let steps = options.steps.max(10);
        let disaster_at = plan.disaster.map(|_| rng.random_range(steps * 3 / 10..=steps * 7 / 10));
        let projectors = if rng.random_bool(0.3) { 2 } else { 1 };
        let mut world = Self {
            seed: options.seed,
            steps_wanted: steps,
            steps: 0,
            schedulers: (0..plan.schedulers).map(Scheduler::new).collect(),
            executors: executors(&plan),
            clients: (0..plan.clients).map(Client::new).collect(),
            projectors: (0..projectors).map(Projector::new).collect(),
            disaster_at,
            operator_at: 0,
            violation_at: None,
            wire: Wire::new(plan, options.seed, options.print),
        };
        if options.print {
            println!("{}", world.wire.plan.describe());
        }
        world.begin();
        world
    }

    fn begin(&mut self) {
        let wire = &mut self.wire;
        let starts = (self.schedulers.iter().map(Scheduler::party))
            .chain(self.executors.iter().map(Executor::party))
            .chain((0..self.projectors.len()).map(Party::Projector));
        for party in starts {
            let at = wire.between(0, 500) * MS;
            wire.schedule(at, party, 0, Happening::Start);
        }
        for id in 0..self.clients.len() {
            let at = wire.between(300, 800) * MS;
            wire.schedule(at, Party::Client(id), 0, Happening::Act);
        }
        wire.schedule(MS, Party::Forger, 0, Happening::Act);
    }

    pub fn outcome(&self, panicked: Option<String>) -> Outcome {
        let violation = panicked.or_else(|| self.wire.oracle.violation().cloned());
        Outcome {
            seed: self.seed,
            steps: self.steps,
            trace: self.wire.trace.hash(),
            plan: self.wire.plan.describe(),
            violation: violation
                .map(|what| format!("step {}: {what}", self.violation_at.unwrap_or(self.steps))),
            stats: self.wire.oracle.stats,
        }
    }

    /// What its streams have, unless a disaster took some of it.
    pub fn kept(&self) -> Vec<Kept> {
        if self.wire.disaster_struck { Vec::new() } else { kept::of(&self.wire.broker) }
    }

    pub fn run(&mut self) {
        while self.steps < self.steps_wanted {
            if self.disaster_at == Some(self.steps) {
                self.strike();
            }
            if self.wire.chance(1.0 / f64::from(self.wire.plan.blow_every)) {
                self.blow();
            }
            if !self.step(Micros::MAX) {
                return;
            }
        }
        let lost = self.wire.plan.disaster.is_some_and(|disaster| !disaster.is_recoverable());
        if lost && self.wire.disaster_struck {
            self.notice();
        } else {
            self.settle();
        }
    }

    /// One step; `false` when something does not hold or nothing happens any more.
    fn step(&mut self, until: Micros) -> bool {
        if self.wire.is_regrown() {
            self.wire.oracle.stats.regrown += 1;
            return false;
        }
        let Some(delivery) = self.wire.next(until) else { return false };
        self.steps += 1;
        if let Some(delivery) = delivery {
            self.deliver(delivery);
        }
        self.look_after_schedulers();
        if self.wire.oracle.violation().is_some() {
            self.violation_at = Some(self.steps);
            return false;
        }
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { party, life, happening } = delivery;
        let wire = &mut self.wire;
        let (lives, frozen_until) = match party {
            Party::Scheduler(id) => (self.schedulers[id].life, self.schedulers[id].frozen_until),
            Party::Executor(id) => (self.executors[id].life, self.executors[id].frozen_until),
            Party::Projector(id) => (self.projectors[id].life, self.projectors[id].frozen_until),
            Party::Client(_) | Party::Forger => (0, 0),
        };
        if lives != life {
            // It was meant for a process that is no more.
            return;
        }
        if frozen_until > wire.now {
            return wire.schedule(frozen_until, party, life, happening);
        }
        if !matches!(happening, Happening::Work(_) | Happening::BeatDue) {
            wire.note(format_args!("{party:?}: {}", brief(&happening)));
        }
        if self.is_at_a_loss(party) && matches!(happening, Happening::Act) {
            return;
        }
        let wire = &mut self.wire;
        match party {
            Party::Scheduler(id) => self.schedulers[id].on(happening, wire),
            Party::Executor(id) => self.executors[id].on(happening, wire),
            Party::Client(id) => self.clients[id].on(happening, wire),
            Party::Projector(id) => self.projectors[id].on(&happening, wire),
            Party::Forger => Forger::on(&happening, wire),
        }
    }

    /// Whoever writes a stream that was rolled back does nothing more: the stream would soon be as
    /// long as before, and then nobody can notice.
    fn is_at_a_loss(&self, party: Party) -> bool {
        let stream = match party {
            Party::Client(_) => Disaster::CommandsRolledBack,
            Party::Forger => Disaster::ReportsRolledBack,
            Party::Scheduler(_) | Party::Executor(_) | Party::Projector(_) => return false,
        };
        self.wire.disaster_struck && self.wire.plan.disaster == Some(stream)
    }

    // --- what goes wrong ---

    fn blow(&mut self) {
        let wire = &mut self.wire;
        let Some(last) = wire.plan.blows.len().checked_sub(1) else { return };
        let mut pick = |count: usize| wire.between(0, count as u64 - 1) as usize;
        let blow = pick(last + 1);
        let scheduler = pick(self.schedulers.len());
        let executor = pick(self.executors.len());
        let projector = pick(self.projectors.len());
        let client = pick(self.clients.len());
        let lease = LEASE_MS * MS * wire.plan.scale;
        let moment = wire.between(1, 3_000) * MS;
        let blow = wire.plan.blows[blow];
        wire.note(format_args!("*** {}", blow.name()));
        match blow {
            Blow::SchedulerDies => self.schedulers[scheduler].die(wire),
            Blow::SchedulerFreezes => {
                let span = wire.between(lease / 4, lease * 3);
                self.schedulers[scheduler].frozen_until = wire.now + span;
            }
            Blow::SchedulerCutOff => wire.cut(Party::Scheduler(scheduler), moment),
            Blow::ExecutorDies => self.executors[executor].die(wire),
            Blow::ExecutorFreezes => {
                // Mostly too short for its lease; else for long enough to be given up.
                let most = if wire.chance(0.3) { 30_000 } else { 8_000 };
                let span = wire.slowly(100, most);
                self.executors[executor].frozen_until = wire.now + span;
            }
            Blow::ExecutorCutOff => wire.cut(Party::Executor(executor), moment),
            Blow::ExecutorDrains => {
                self.executors[executor].drain(wire);
                // Not every planned stop gets to its end.
                if wire.chance(0.3) {
                    self.executors[executor].die(wire);
                }
            }
            Blow::ClientCutOff => wire.cut(Party::Client(client), moment),
            Blow::ProjectorDies => self.projectors[projector].die(wire),
            Blow::ProjectorFreezes => {
                self.projectors[projector].frozen_until = wire.now + moment;
            }
            // Often so shortly that nobody takes it for silence.
            Blow::BrokerDies => {
                let span = if wire.chance(0.5) { moment / 10 } else { moment };
                wire.crash_broker(span);
            }
            Blow::LogFull => wire.broker.full_until = wire.now + moment / 10,
        }
    }

    fn strike(&mut self) {
        let Some(disaster) = self.wire.plan.disaster else { return };
        let wire = &mut self.wire;
        wire.disaster_struck = true;
        wire.oracle.reports_lost =
            matches!(disaster, Disaster::ReportsRecreated | Disaster::ReportsRolledBack);
        wire.note(format_args!("*** {}", disaster.name()));
        match disaster {
            Disaster::CommandsRecreated => wire.recreate(Source::Commands),
            Disaster::ReportsRecreated => wire.recreate(Source::Reports),
            Disaster::CommandsRolledBack => wire.roll_back_input(Source::Commands),
            Disaster::ReportsRolledBack => wire.roll_back_input(Source::Reports),
            Disaster::LogRolledBack | Disaster::LogUnsynced => {
                let messages_max = if disaster == Disaster::LogUnsynced { 3 } else { 60 };
                let last = wire.roll_back_log(messages_max);
                let doomed = self
                    .schedulers
                    .iter()
                    .filter_map(Scheduler::memory)
                    .filter(|(n, _)| *n > last)
                    .map(|(_, term)| term);
                wire.doomed.extend(doomed);
            }
        }
    }

    /// An operator restarts what stopped, with the word that a lost input stream is accepted.
    fn look_after_schedulers(&mut self) {
        let wire = &mut self.wire;
        let recoverable = wire.plan.disaster.is_some_and(Disaster::is_recoverable);
        if !wire.disaster_struck || !recoverable || wire.now < self.operator_at {
            return;
        }
        self.operator_at = wire.now + OPERATOR_MS * MS * wire.plan.scale;
        for scheduler in &mut self.schedulers {
            if matches!(scheduler.status, Status::Stopped) {
                scheduler.restart(wire);
            }
        }
    }

    // --- how it ends ---

    /// Nothing goes wrong any more: everything settles.
    fn settle(&mut self) {
        self.wire.quiet = true;
        let quiet_at = self.wire.now;
        let deadline = quiet_at + SETTLE_MS * MS * self.wire.plan.scale;
        let mut enable_at = self.wire.now;
        loop {
            if self.wire.now >= enable_at {
                enable_at = self.wire.now + 10_000 * MS * self.wire.plan.scale;
                self.clients[0].enable_all(&mut self.wire);
            }
            if self.steps.is_multiple_of(LOOK_EVERY) && self.unsettled().is_none() {
                let settled_in = (self.wire.now - quiet_at) / MS / self.wire.plan.scale;
                let Wire { oracle, broker, store, .. } = &mut self.wire;
                oracle.stats.settled_in_ms = settled_in;
                oracle.check_end(broker, store);
                self.violation_at = Some(self.steps);
                return;
            }
            if !self.step(deadline) {
                if self.wire.oracle.violation().is_none() {
                    let what = self.unsettled().unwrap_or_default();
                    self.wire.oracle.fail(format!("nothing goes wrong, and yet: {what}"));
                    self.violation_at = Some(self.steps);
                }
                return;
            }
        }
    }

    fn unsettled(&self) -> Option<String> {
        let wire = &self.wire;
        if let Some(client) = self.clients.iter().find(|client| !client.is_idle()) {
            return Some(format!("client {} waits for the broker", client.id));
        }
        if let Some(why) = wire.oracle.unsettled(&wire.broker, &wire.store) {
            return Some(why);
        }
        if let Some(executor) = self.executors.iter().find(|executor| !executor.is_idle()) {
            let session = executor.session();
            return Some(format!("{} is not idle: {session:?}", executor.worker));
        }
        let settled = self
            .schedulers
            .iter()
            .filter_map(Scheduler::leader)
            .any(|leader| leader.is_settled() && *leader.state() == *wire.oracle.state());
        (!settled).then(|| "nobody leads with the state that the log has".to_owned())
    }

    /// Whoever remembers what is lost has to stop, and say so.
    fn notice(&mut self) {
        self.wire.quiet = true;
        let deadline = self.wire.now + NOTICE_MS * MS * self.wire.plan.scale;
        while self.step(deadline) {}
        if self.wire.oracle.violation().is_some() || self.wire.is_regrown() {
            return;
        }
        if let Err(what) = self.unnoticed() {
            self.wire.oracle.fail(what);
            self.violation_at = Some(self.steps);
        }
    }

    fn unnoticed(&self) -> Result<(), String> {
        let wire = &self.wire;
        for scheduler in &self.schedulers {
            if let Some((n, term)) = scheduler.memory()
                && wire.doomed.contains(&term)
            {
                return Err(format!("{term:?} still leads, at {n} of a log that lost its end"));
            }
        }
        let inputs = [Disaster::CommandsRolledBack, Disaster::ReportsRolledBack];
        if wire.plan.disaster.is_some_and(|disaster| inputs.contains(&disaster))
            && let Some(leading) = self.schedulers.iter().find(|s| s.leader().is_some())
        {
            return Err(format!("{:?} leads on inputs that were lost", leading.party()));
        }
        let mut chain = Chain::START;
        for (_, _, payload) in wire.broker.read_log(1, wire.store.n().0 as usize) {
            chain = chain.extend(&payload);
        }
        let agrees = wire.store.n().0 <= wire.broker.log_last() && wire.store.chain() == chain;
        if !agrees && self.projectors.iter().any(|projector| projector.stopped.is_none()) {
            return Err("rows of a log that is no more, and the projector goes on".to_owned());
        }
        Ok(())
    }
}

fn executors(plan: &Plan) -> Vec<Executor> {
    let mut executors: Vec<_> = (0..plan.executors).map(|id| Executor::new(id, id)).collect();
    if plan.namesake {
        executors.push(Executor::new(plan.executors, 0));
    }
    executors
}

fn brief(happening: &Happening) -> String {
    match happening {
        Happening::Reply(call, reply) => {
            let mut reply = format!("{reply:?}");
            reply.truncate(60);
            format!("{call:?} {reply}")
        }
        Happening::Beat { worker, beat, .. } => {
            format!("beat of {worker}: {} up to {}", beat.held.len(), beat.received_up_to)
        }
        other => format!("{other:?}"),
    }
}
