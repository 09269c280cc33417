//! An executor process: the real session, attempts that take their time, and a process that dies.

use std::collections::BTreeMap;

use nox_contract::{
    AttemptEnd, Capacity, HandBack, Hello, InstanceId, JobError, LostReason, Manifest, Origin,
    ProcessId, RawJson, RegisteredModule, Resources, RetryPolicy, SessionId, StartWork, Usage,
    Work, WorkerId, beat::Held,
};
use nox_protocol::session::{Effect, Session};

use super::{
    faults::{Bug, Fault},
    wire::{Call, Happening, MS, Micros, Party, Publish, Reply, Wire},
};

/// How often a worker speaks of itself.
const BEAT_MS: u64 = 500;

/// An attempt while something of it runs.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// Tells what was meant for it from what was meant for an earlier one.
    serial: u64,
    wall_ms: u64,
    spawned: bool,
    killed: bool,
    /// It takes the executor down when its time comes.
    fatal: bool,
    /// Why it will be handed back, if it will.
    handed_back: Option<LostReason>,
}

pub struct Executor {
    pub id: usize,
    pub worker: WorkerId,
    pub life: u64,
    pub frozen_until: Micros,
    session: Option<Session>,
    /// Counts its sessions, so that a reply to an earlier one is not taken for its own.
    sessions: u64,
    runs: BTreeMap<Held, Run>,
    last_serial: u64,
    wake_at: Option<Micros>,
    begin_again: bool,
    draining: bool,
    left: bool,
    /// Its name is another's, and nothing goes wrong any more: nobody starts it again.
    given_up: bool,
    /// What it offers in this session.
    offered: Vec<Manifest>,
    /// How often its manifests were changed.
    version: u32,
    /// The connection on which the stream of reports was last found to be the same.
    attached: u64,
}

/// What every worker offers.
pub const CAPACITY: Capacity = Capacity { slots: 3, cpu: 4, mem_mb: 1024, gpu: 0 };

/// The modules that workers serve: name, retries, most at a time, and whether by the first alone.
pub const MODULES: &[(&str, u32, Option<u32>, bool)] = &[
    ("noop", 1, None, false),
    ("flaky", 3, None, false),
    ("single", 2, Some(1), false),
    ("rare", 2, None, true),
];

impl Executor {
    pub fn new(id: usize, name: usize) -> Self {
        Self {
            id,
            worker: format!("exec-{name}").parse().expect("a worker's name"),
            life: 0,
            frozen_until: 0,
            session: None,
            sessions: 0,
            runs: BTreeMap::new(),
            last_serial: 0,
            wake_at: None,
            begin_again: false,
            draining: false,
            left: false,
            given_up: false,
            offered: Vec::new(),
            version: 1,
            attached: 0,
        }
    }

    pub fn party(&self) -> Party {
        Party::Executor(self.id)
    }

    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Whether it has nothing to do and nothing to say.
    pub fn is_idle(&self) -> bool {
        let idle = self.session.as_ref().is_some_and(Session::is_idle);
        self.given_up || self.runs.is_empty() && idle
    }

    /// Its process ends, and all attempts with it.
    pub fn die(&mut self, wire: &mut Wire) {
        wire.note(format_args!("{} dies", self.worker));
        if let Some(session) = self.session.take() {
            wire.oracle.session_died(session.id());
        }
        self.runs.clear();
        self.life += 1;
        wire.broker.workers.remove(&(self.worker.clone(), self.id));
        if self.given_up {
            return;
        }
        let span = wire.slowly(10, 6_000);
        wire.schedule(wire.now + span, self.party(), self.life, Happening::Start);
    }

    pub fn drain(&mut self, wire: &mut Wire) {
        let Some(session) = &mut self.session else { return };
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        wire.note(format_args!("{} drains", self.worker));
        session.drain();
        let at = wire.now + wire.slowly(1, 1_000);
        wire.schedule(at, Party::Executor(self.id), self.life, Happening::HandBack);
        self.turn(wire);
    }

    pub fn on(&mut self, happening: Happening, wire: &mut Wire) {
        match happening {
            Happening::Start => {
                if wire.chance(0.1) {
                    self.version += 1;
                }
                self.begin(wire);
                let at = wire.now + wire.slowly(1, BEAT_MS);
                wire.schedule(at, self.party(), self.life, Happening::BeatDue);
            }
            Happening::BeatDue => {
                self.check_reports(wire);
                self.beat(wire);
                let at = wire.now + BEAT_MS * MS * wire.plan.scale;
                wire.schedule(at, self.party(), self.life, Happening::BeatDue);
            }
            Happening::Work(message) => {
                let Some(session) = &mut self.session else { return };
                if message.session == session.id() {
                    for work in &message.work {
                        match work {
                            Work::Superseded => wire.oracle.on_superseded(session.id()),
                            Work::Abandon(held) => wire.oracle.on_abandoned(session.id(), *held),
                            Work::Refused { .. } => wire.oracle.on_refused(session.id()),
                            Work::Start(_)
                            | Work::Stop(_)
                            | Work::Joined
                            | Work::Modules(_)
                            | Work::Unreadable => {}
                        }
                    }
                }
                wire.note(format_args!(
                    "{} receives {:?}",
                    self.worker,
                    message.work.iter().map(brief).collect::<Vec<_>>()
                ));
                session.on_work((*message).clone());
                self.turn(wire);
            }
            Happening::SessionWake => {
                if self.wake_at == Some(wire.now) {
                    self.wake_at = None;
                }
                self.turn(wire);
            }
            Happening::Reply(Call::Report { id, session }, reply) if session == self.sessions => {
                let now = wire.wall();
                let Some(session) = &mut self.session else { return };
                match reply {
                    Reply::Stored(seq) => session.on_report_acked(id, seq),
                    _ => session.on_report_failed(id, now),
                }
                self.turn(wire);
            }
            Happening::Spawned { held, serial } => self.on_spawned(held, serial, wire),
            Happening::Ended { held, serial } => self.on_ended(held, serial, wire),
            Happening::HandBack => self.hand_back(wire),
            Happening::Resume => {
                if let Some(session) = &mut self.session {
                    session.resume();
                }
                self.turn(wire);
            }
            Happening::Leave => self.leave(wire),
            _ => {}
        }
    }

    /// Begins a session.
    fn begin(&mut self, wire: &mut Wire) {
        self.sessions += 1;
        self.begin_again = false;
        self.draining = false;
        self.left = false;
        let number = (self.id as u128 + 1) << 64 | u128::from(self.sessions);
        let id = SessionId(uuid::Uuid::from_u128(number));
        let modules: Vec<_> = MODULES
            .iter()
            .filter(|(.., first_alone)| !first_alone || self.worker.as_str() == "exec-0")
            .map(|(name, attempts_max, running_max, _)| {
                self.manifest(name, *attempts_max, *running_max, wire.plan.scale)
            })
            .collect();
        let origin = Origin {
            instance: InstanceId(uuid::Uuid::from_u128(self.id as u128 + 1)),
            process: ProcessId(uuid::Uuid::from_u128(u128::from(self.life))),
        };
        self.offered.clone_from(&modules);
        let hello = Hello { origin, capacity: CAPACITY, modules, labels: Vec::new() };
        let faults = Bug::of_session(wire.plan.bug);
        let mut session = Session::new(id, hello).with_faults(faults).taking_registered();
        let stream = &wire.broker.reports;
        let attached = session.on_reports_seen(&stream.incarnation(), stream.last(), 0);
        attached.expect("a new session has lost nothing");
        self.session = Some(session);
        self.attached = wire.connection(self.party());
        wire.note(format_args!("{} begins session {}", self.worker, self.sessions));
        wire.oracle.session_lives(id);
        wire.broker.workers.insert((self.worker.clone(), self.id), self.life);
        self.turn(wire);
    }

    fn manifest(
        &self,
        name: &str,
        attempts_max: u32,
        running_max: Option<u32>,
        scale: u64,
    ) -> Manifest {
        Manifest {
            name: name.parse().expect("a module's name"),
            // Of the first module, half of the executors have another version.
            version: if name == MODULES[0].0 { self.id % 2 } else { 0 }.to_string(),
            title: self.version.to_string(),
            input_schema: RawJson::default(),
            output_schema: RawJson::default(),
            resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 10, gpu: 0 },
            retry: RetryPolicy {
                attempts_max,
                backoff_ms: 50 * scale,
                backoff_ms_max: 400 * scale,
                ..RetryPolicy::default()
            },
            running_max,
            starts_per_minute: None,
        }
    }

    /// After every reconnect: the reports are still in the stream that they were stored in. What
    /// was said and is gone can only be made good by a new session.
    fn check_reports(&mut self, wire: &mut Wire) {
        let connection = wire.connection(self.party());
        if self.attached == connection || !wire.is_connected(self.party()) {
            return;
        }
        let Some(session) = &mut self.session else { return };
        let (stream, position) = (&wire.broker.reports, session.reports_up_to());
        match session.on_reports_seen(&stream.incarnation(), stream.last(), position) {
            Ok(()) => self.attached = connection,
            Err(why) => {
                wire.note(format_args!("{} begins anew: {why}", self.worker));
                self.turn(wire);
            }
        }
    }

    fn beat(&mut self, wire: &mut Wire) {
        let Some(session) = self.session.as_ref().filter(|s| s.is_introduced() && !self.left)
        else {
            return;
        };
        let beat = session.beat();
        wire.note(format_args!("{} beats, received {}", self.worker, beat.received_up_to));
        let publish = Publish::Beat { worker: self.worker.clone(), beat };
        wire.publish(self.party(), self.life, Call::Nobody, publish);
    }

    /// Everything that the session wants done now.
    fn turn(&mut self, wire: &mut Wire) {
        let Some(session) = &mut self.session else { return };
        let mut learned = false;
        for effect in session.due(wire.wall()) {
            if wire.strikes(Fault::ExecutorCrash) {
                return self.die(wire);
            }
            learned |= matches!(effect, Effect::Learn(_));
            self.carry_out(effect, wire);
        }
        if learned {
            // What it offers now is to be said at once.
            return self.turn(wire);
        }
        if self.begin_again && self.runs.is_empty() {
            self.begin(wire);
        }
        if self.draining && !self.left && self.runs.is_empty() {
            // What ended is said before the goodbye, in any order of events here.
            let span = wire.slowly(1, 300);
            wire.schedule(wire.now + span, self.party(), self.life, Happening::Leave);
        }
        let Some(session) = &self.session else { return };
        let Some(at) = session.next_wake() else { return };
        let at = (at.as_micros() - wire.plan.begins_at).max(0) as Micros;
        let at = at.max(wire.now + 1);
        if self.wake_at.is_none_or(|earlier| at < earlier || earlier < wire.now) {
            self.wake_at = Some(at);
            wire.schedule(at, self.party(), self.life, Happening::SessionWake);
        }
    }

    fn carry_out(&mut self, effect: Effect, wire: &mut Wire) {
        match effect {
            Effect::Run(start) => self.run(&start, wire),
            Effect::Kill(held) => {
                let Some(run) = self.runs.get_mut(&held) else { return };
                run.killed = true;
                run.spawned = true;
                self.last_serial += 1;
                run.serial = self.last_serial;
                let serial = run.serial;
                let at = wire.now + wire.between(1, 50) * MS;
                wire.schedule(at, self.party(), self.life, Happening::Ended { held, serial });
            }
            Effect::Learn(modules) => self.learn(modules),
            Effect::Publish { id, message } => {
                let payload = serde_json::to_vec(&*message).expect("reports can be serialised");
                let (worker, forged) = (self.worker.clone(), false);
                let publish = Publish::Reports { worker, payload: payload.into(), forged };
                let call = Call::Report { id, session: self.sessions };
                wire.publish(self.party(), self.life, call, publish);
            }
            Effect::NewSession => {
                if let Some(session) = &self.session {
                    wire.oracle.session_died(session.id());
                }
                self.begin_again = true;
            }
            Effect::GiveUp { .. } => {
                // Its place went to a process of its own, whose `hello` was long on its way: that is dead.
                let replaced = self.session.as_ref().is_some_and(Session::is_joined);
                self.given_up = wire.quiet && !replaced;
                self.die(wire);
            }
        }
    }

    /// What was registered is offered beside what it has by itself.
    fn learn(&mut self, modules: Vec<RegisteredModule>) {
        self.offered.extend(modules.into_iter().map(|module| module.manifest));
        if let Some(session) = &mut self.session {
            session.offer(CAPACITY, self.offered.clone(), Vec::new());
        }
    }

    fn run(&mut self, start: &StartWork, wire: &mut Wire) {
        let Some(session) = &self.session else { return };
        wire.note(format_args!("{} runs {}/{}", self.worker, start.job_id, start.attempt));
        wire.oracle.on_run(&self.worker, session.id(), start);
        self.last_serial += 1;
        let serial = self.last_serial;
        let held = Held { job_id: start.job_id, attempt: start.attempt };
        let wall_ms = wire.slowly(0, 400) / MS;
        self.runs.insert(held, Run { serial, wall_ms, ..Run::default() });
        // What a log has lost may still run when it is handed out anew.
        if self.runs.len() > CAPACITY.slots as usize && !wire.oracle.log_lost {
            let worker = &self.worker;
            wire.oracle.fail(format!("{worker} runs {} attempts at a time", self.runs.len()));
        }
        let at = wire.now + wire.between(1, 20) * MS;
        let cannot = wire.strikes(Fault::CannotRun);
        if let Some(run) = self.runs.get_mut(&held).filter(|_| cannot) {
            run.handed_back = Some(LostReason::CannotRun);
        }
        let happening = if cannot || wire.chance(0.05) {
            // It cannot even be started.
            Happening::Ended { held, serial }
        } else {
            Happening::Spawned { held, serial }
        };
        wire.schedule(at, self.party(), self.life, happening);
    }

    fn on_spawned(&mut self, held: Held, serial: u64, wire: &mut Wire) {
        let now = wire.wall();
        let Some(run) = self.runs.get_mut(&held).filter(|run| run.serial == serial) else { return };
        run.spawned = true;
        run.fatal = wire.strikes(Fault::TakesDown);
        let at = wire.now + run.wall_ms * MS;
        wire.schedule(at, self.party(), self.life, Happening::Ended { held, serial });
        if let Some(session) = &mut self.session {
            session.on_spawned(held, now);
        }
        self.turn(wire);
    }

    fn on_ended(&mut self, held: Held, serial: u64, wire: &mut Wire) {
        let Some(run) = self.runs.get(&held).copied().filter(|run| run.serial == serial) else {
            return;
        };
        if run.fatal && !run.killed && !wire.quiet {
            return self.die(wire);
        }
        self.runs.remove(&held);
        if let Some(session) = &mut self.session
            && run.handed_back == Some(LostReason::CannotRun)
        {
            session.pause("no process".to_owned());
            let at = wire.now + wire.slowly(10, 2_000);
            wire.schedule(at, Party::Executor(self.id), self.life, Happening::Resume);
        }
        let end = end_of(run, wire);
        wire.note(format_args!(
            "{} ended {}/{}: {}",
            self.worker,
            held.job_id,
            held.attempt,
            matches!(end, AttemptEnd::Succeeded { .. })
        ));
        let now = wire.wall();
        if let Some(session) = &mut self.session {
            let succeeded = matches!(end, AttemptEnd::Succeeded { .. });
            wire.oracle.on_end(session.id(), held, succeeded);
            let usage = Usage { wall_ms: run.wall_ms, cpu_seconds: run.wall_ms / 1_000 };
            session.on_ended(held, usage, end, now);
        }
        self.turn(wire);
    }

    /// The time of what still runs is over: it is ended, and handed back.
    fn hand_back(&mut self, wire: &mut Wire) {
        if !self.draining {
            return;
        }
        let running: Vec<Held> = self.runs.keys().copied().collect();
        for held in running {
            if let Some(run) = self.runs.get_mut(&held) {
                run.handed_back.get_or_insert(LostReason::Draining);
            }
            self.carry_out(Effect::Kill(held), wire);
        }
    }

    /// Says goodbye, and goes.
    fn leave(&mut self, wire: &mut Wire) {
        let Some(session) = &mut self.session else { return };
        if self.left {
            if session.is_idle() || wire.chance(0.3) {
                self.die(wire);
            } else {
                let at = wire.now + 500 * MS;
                wire.schedule(at, self.party(), self.life, Happening::Leave);
            }
            return;
        }
        if !self.draining || !self.runs.is_empty() {
            return;
        }
        self.left = true;
        session.leave();
        wire.oracle.session_died(session.id());
        let at = wire.now + 500 * MS;
        wire.schedule(at, self.party(), self.life, Happening::Leave);
        self.turn(wire);
    }
}

fn end_of(run: Run, wire: &mut Wire) -> AttemptEnd {
    let failed = |code: &str, retryable, crashed| AttemptEnd::Failed {
        error: JobError { code: code.into(), message: code.into(), exit_status: None },
        retryable,
        crashed,
    };
    match run.handed_back {
        Some(LostReason::CannotRun) => {
            let reason = "no process".to_owned();
            return AttemptEnd::HandedBack(HandBack::CannotRun { reason });
        }
        Some(_) => return AttemptEnd::HandedBack(HandBack::Draining),
        None => {}
    }
    if run.killed {
        return failed("killed", false, false);
    }
    if !run.spawned {
        return failed("spawn", wire.chance(0.5), wire.chance(0.5));
    }
    match wire.between(0, 99) {
        0..70 => AttemptEnd::Succeeded { outputs: RawJson::of(&run.serial).expect("a number") },
        70..85 => failed("exit_status", true, false),
        85..90 => failed("exit_status", false, false),
        _ => failed("crashed", true, true),
    }
}

fn brief(work: &Work) -> String {
    match work {
        Work::Start(start) => format!("start {} {}/{}", start.number, start.job_id, start.attempt),
        Work::Stop(stop) => format!("stop {} {}/{}", stop.number, stop.job_id, stop.attempt),
        Work::Abandon(held) => format!("abandon {}/{}", held.job_id, held.attempt),
        Work::Superseded => "superseded".to_owned(),
        Work::Unreadable => "unreadable".to_owned(),
        Work::Joined => "joined".to_owned(),
        Work::Modules(modules) => format!("modules up to {}", modules.up_to),
        Work::Refused { .. } => "refused".to_owned(),
    }
}
