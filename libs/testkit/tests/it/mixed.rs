//! A version that is still to come and today's lead in turns: what the one says and the other does not know parks
//! what it is about, hurts nobody else, and is taken up again.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{
    AttemptEnd, Cancel, Capacity, Chain, Command, CommandMessage, Entry, FactOrUnknown, Frame,
    FrameNumber, HandBack, Hello, InstanceId, JobId, Limits, Manifest, Origin, ProblemCode,
    ProcessId, RawJson, Report, ReportMessage, Resources, RetryPolicy, SchedulerConfig, SessionId,
    Submit, TenantId, Timestamp, Token, Usage, UserId, WorkerId,
    limits::UNLIMITED,
    report::{Ended, Started},
};
use nox_core::{Faults, Internal, Rules, State};
use nox_protocol::{
    future,
    sequencer::{Input, Sequencer},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use uuid::Uuid;

const RUNS: u64 = 150;
const TURNS: usize = 8;
const STEPS: usize = 40;
const WORKERS: [&str; 2] = ["one", "two"];
const USERS: [&str; 2] = ["ada", "bob"];

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a good id")
}

/// One log, as whoever knows all of it folds it, and as today's version does.
struct Run {
    rng: ChaCha8Rng,
    rules: Rules,
    all: State,
    today: State,
    chain: Chain,
    now: Timestamp,
    commands: u64,
    reports: u64,
    jobs: Vec<(JobId, UserId)>,
    sessions: BTreeMap<WorkerId, SessionId>,
    /// Jobs that today's version had set aside when it led.
    parked: usize,
    refused: usize,
    /// How often a job ran that had to be alone.
    alone: usize,
}

impl Run {
    fn new(seed: u64, faults: Faults) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            rules: Rules { token_key: [7; 32], faults },
            all: State::default(),
            today: State::default(),
            chain: Chain::START,
            now: id("2026-11-28T09:00:00Z"),
            commands: 0,
            reports: 0,
            jobs: Vec::new(),
            sessions: BTreeMap::new(),
            parked: 0,
            refused: 0,
            alone: 0,
        }
    }

    /// One of the two leads, does some of what can be asked and told, and ends.
    fn turn(&mut self, is_future: bool, steps: usize) -> Result<(), String> {
        let state = if is_future { &self.all } else { &self.today };
        let pos = state.pos;
        let mut leader = Sequencer::new(state.clone(), pos, self.chain, self.rules.clone())
            .with_future(is_future);
        for _ in 0..steps {
            self.now = self.now + Duration::from_millis(self.rng.random_range(1..2_000));
            for input in self.step() {
                let decided = leader.run(&input, self.now).map_err(|error| error.to_string())?;
                self.refused += decided
                    .answers
                    .iter()
                    .filter(|answer| match &answer.outcome {
                        nox_contract::Outcome::Refused(of) => of.code == ProblemCode::Parked,
                        _ => false,
                    })
                    .count();
            }
            if self.rng.random_ratio(1, 3) {
                leader.seal(self.now).map_err(|error| error.to_string())?;
                self.fold(&mut leader, is_future)?;
            }
        }
        leader.seal(self.now).map_err(|error| error.to_string())?;
        self.fold(&mut leader, is_future)
    }

    /// Both fold what was written.
    fn fold(&mut self, leader: &mut Sequencer, is_future: bool) -> Result<(), String> {
        for sealed in leader.take_sealed() {
            let mut frame: Frame = serde_json::from_slice(&sealed.payload).unwrap();
            self.chain = self.chain.extend(&sealed.payload);
            if !is_future && let Some(entry) = frame.entries.iter().find(|of| self.is_parked(of)) {
                return Err(format!("today's version decides of what is parked: {entry:?}"));
            }
            self.today.apply(&frame).map_err(|error| format!("today's version: {error}"))?;
            future::know(&mut frame);
            let is_known = |fact: &FactOrUnknown| matches!(fact, FactOrUnknown::Known(_));
            assert!(frame.entries.iter().all(|entry| entry.facts.iter().all(is_known)));
            self.all.apply(&frame).map_err(|error| format!("the version to come: {error}"))?;
            self.today.check().map_err(|error| format!("today's version: {error}"))?;
            self.all.check().map_err(|error| format!("the version to come: {error}"))?;
        }
        // Whoever begins from a snapshot goes on alike.
        let bytes = serde_json::to_vec(&self.today.to_snapshot()).unwrap();
        let mut again: State = serde_json::from_slice(&bytes).unwrap();
        again.reindex();
        assert!(again == self.today, "a snapshot with something parked is not the fold");
        self.parked = self.parked.max(self.today.parking.jobs().count());
        self.alone += self.all.workers.iter().filter(|(_, of)| of.isolated.is_some()).count();
        Ok(())
    }

    fn is_parked(&self, entry: &Entry) -> bool {
        entry.job_id.is_some_and(|id| self.today.parking.job(id).is_some())
    }

    /// Something that happens. Executors know what they were given, whoever led then.
    fn step(&mut self) -> Vec<Input> {
        match self.rng.random_range(0..12) {
            0..3 => {
                let job_id = JobId(Uuid::from_u128(self.rng.random::<u64>().into()));
                let user: UserId = id(USERS[self.rng.random_range(0..2)]);
                let priority = if self.rng.random_ratio(1, 3) { 9 } else { 5 };
                self.jobs.push((job_id, user.clone()));
                let submit = submit(job_id, user, priority, self.all.n);
                vec![self.command(Command::Submit(Box::new(submit)))]
            }
            3 => {
                if self.jobs.is_empty() {
                    return Vec::new();
                }
                let (job_id, by) = self.jobs[self.rng.random_range(0..self.jobs.len())].clone();
                vec![self.command(Command::Cancel(Cancel { job_id, by, admin: false }))]
            }
            4 => {
                let worker: WorkerId = id(WORKERS[self.rng.random_range(0..2)]);
                vec![self.hello(&worker)]
            }
            5 if self.rng.random_ratio(1, 2) => {
                let worker_id: WorkerId = id(WORKERS[self.rng.random_range(0..2)]);
                let Some(session) = self.sessions.get(&worker_id).copied() else {
                    return Vec::new();
                };
                match self.rng.random_ratio(1, 2) {
                    true => vec![self.say(&worker_id, session, Report::Bye)],
                    false => vec![Input::Internal(Internal::WorkerSilent { worker_id, session })],
                }
            }
            5 | 6 => vec![Input::Internal(Internal::Losses { losses_max: 100 })],
            7 | 8 => vec![matching()],
            _ => {
                let held = self.held();
                if held.is_empty() {
                    return Vec::new();
                }
                let (worker, job, attempt, assigned_n) =
                    held[self.rng.random_range(0..held.len())].clone();
                let how = self.rng.random_range(0..4);
                vec![self.report(&worker, (job, attempt, assigned_n), how)]
            }
        }
    }

    fn held(&self) -> Vec<(WorkerId, JobId, nox_contract::Attempt, FrameNumber)> {
        let workers = self.all.workers.iter();
        let held = workers.flat_map(|(id, worker)| {
            let slots = worker.assignments.iter();
            slots.map(|(job, slot)| (id.clone(), *job, slot.attempt, slot.assigned_n))
        });
        held.collect()
    }

    fn command(&mut self, command: Command) -> Input {
        self.commands += 1;
        let message = CommandMessage::new(Some("me".to_owned()), vec![command]);
        Input::Commands { seq: self.commands, tenant: tenant(), message }
    }

    /// Another process in the place of one that crashed, or the same, which begins anew by itself.
    fn hello(&mut self, worker: &WorkerId) -> Input {
        let number = Uuid::from_u128(self.rng.random::<u64>().into());
        let session = SessionId(number);
        self.sessions.insert(worker.clone(), session);
        let process = match self.rng.random_ratio(1, 2) {
            true => ProcessId(Uuid::from_u128(self.rng.random::<u64>().into())),
            false => ProcessId::default(),
        };
        let hello = Hello {
            origin: Origin { instance: InstanceId::default(), process },
            capacity: Capacity { slots: 3, cpu: 100, mem_mb: 100_000, gpu: 0 },
            modules: vec![manifest()],
            labels: Vec::new(),
        };
        self.say(worker, session, Report::Hello(Box::new(hello)))
    }

    fn report(
        &mut self,
        worker: &WorkerId,
        (job_id, attempt, assigned_n): (JobId, nox_contract::Attempt, FrameNumber),
        how: u32,
    ) -> Input {
        let session = self.all.workers.get(worker).expect("it holds something").session;
        let token = Token::compute(&self.rules.token_key, job_id, attempt, assigned_n);
        let end = match how {
            0 => {
                let started = Started { job_id, attempt, token, elapsed_ms: 1 };
                return self.say(worker, session, Report::Started(started));
            }
            1 => AttemptEnd::HandedBack(HandBack::Draining),
            _ => AttemptEnd::Succeeded { outputs: RawJson::default() },
        };
        let usage = Usage { wall_ms: 1_500, cpu_seconds: 2 };
        let ended = Ended { job_id, attempt, token, started: true, usage, end };
        self.say(worker, session, Report::Ended(Box::new(ended)))
    }

    fn say(&mut self, worker: &WorkerId, session: SessionId, report: Report) -> Input {
        self.reports += 1;
        let message = ReportMessage { session, reports: vec![report] };
        Input::Reports { seq: self.reports, worker_id: worker.clone(), message }
    }

    /// The version to come leads to the end: everything that is left runs and ends.
    fn end(&mut self) -> Result<(), String> {
        let pos = self.all.pos;
        let mut leader =
            Sequencer::new(self.all.clone(), pos, self.chain, self.rules.clone()).with_future(true);
        let workers = WORKERS.map(id::<WorkerId>);
        let mut inputs: Vec<_> = workers.iter().map(|worker| self.hello(worker)).collect();
        for _ in 0..1_000 {
            inputs.push(Input::Internal(Internal::Losses { losses_max: 1_000 }));
            inputs.push(matching());
            for input in inputs.drain(..) {
                leader.run(&input, self.now).map_err(|error| error.to_string())?;
            }
            leader.seal(self.now).map_err(|error| error.to_string())?;
            self.fold(&mut leader, true)?;
            if self.all.jobs().next().is_none() {
                return self.judge();
            }
            inputs = self
                .held()
                .into_iter()
                .map(|(worker, job, attempt, n)| self.report(&worker, (job, attempt, n), 2))
                .collect();
        }
        Err(format!("{} jobs never end", self.all.jobs().count()))
    }

    fn judge(&self) -> Result<(), String> {
        for account in self.all.ledger.accounts() {
            for balance in account.periods.values() {
                if balance.reserved != 0 || !balance.is_balanced() {
                    return Err(format!("what nothing runs of is reserved: {balance:?}"));
                }
            }
        }
        match self.jobs.iter().find(|(job, _)| self.all.ended(*job).is_none()) {
            Some((job, _)) => Err(format!("{job} is lost")),
            None => Ok(()),
        }
    }
}

fn tenant() -> TenantId {
    id("acme")
}

fn matching() -> Input {
    Input::Internal(Internal::Match { placements_max: 50, looks_max: 1_000, behind: None })
}

fn manifest() -> Manifest {
    Manifest {
        name: id("m"),
        version: "1".to_owned(),
        title: String::new(),
        input_schema: RawJson::default(),
        output_schema: RawJson::default(),
        resources: SMALL,
        retry: RetryPolicy { attempts_max: 3, ..RetryPolicy::default() },
        running_max: None,
        starts_per_minute: None,
    }
}

const SMALL: Resources = Resources { cpu: 1, mem_mb: 100, wall_time_s: 60, gpu: 0 };

fn config() -> SchedulerConfig {
    let roomy = Limits {
        cpu_seconds: 1_000_000,
        queued_jobs: 10_000,
        running_jobs: 10_000,
        cpu: 64,
        mem_mb: 100_000,
        drafts: 10_000,
        starts_per_minute: UNLIMITED,
    };
    let roles = BTreeMap::from([("user".to_owned(), roomy)]);
    SchedulerConfig { roles, tenant: roomy, crashes_max: 1_000, ..SchedulerConfig::default() }
}

fn submit(job_id: JobId, user_id: UserId, priority: u8, seen: FrameNumber) -> Submit {
    Submit {
        job_id,
        user_id,
        role: "user".to_owned(),
        module: id("m"),
        module_version: None,
        worker_labels: Default::default(),
        inputs: RawJson::default(),
        requested_resources: SMALL,
        priority,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen,
        pending: false,
        task: None,
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    }
}

/// How many jobs were parked at most, how often somebody was told so, and how often a job ran alone.
fn run(seed: u64, faults: Faults) -> Result<(usize, usize, usize), String> {
    let mut run = Run::new(seed, faults);
    // A log begins with its configuration and a worker.
    let mut leader =
        Sequencer::new(State::default(), Default::default(), Chain::START, run.rules.clone());
    let hello = run.hello(&id("one"));
    for input in [Input::Internal(Internal::Configure { config: config() }), hello] {
        leader.run(&input, run.now).map_err(|error| error.to_string())?;
    }
    leader.seal(run.now).map_err(|error| error.to_string())?;
    run.fold(&mut leader, true)?;
    for turn in 0..TURNS {
        run.turn(turn % 2 == 0, STEPS)?;
    }
    run.end()?;
    Ok((run.parked, run.refused, run.alone))
}

#[test]
fn two_versions_that_lead_in_turns_lose_nothing_and_say_nothing_of_what_one_does_not_know() {
    let (mut parked, mut refused, mut alone) = (0, 0, 0);
    for seed in 0..RUNS {
        let (of_run, told, isolated) = run(seed, Faults::default()).unwrap_or_else(|error| {
            panic!("seed {seed}: {error}");
        });
        parked += of_run;
        refused += told;
        alone += isolated;
    }
    assert!(parked > 5 * RUNS as usize, "{parked} jobs parked: too few to say anything");
    assert!(refused > RUNS as usize, "{refused} cancels of parked jobs");
    assert!(alone > RUNS as usize, "{alone} times a job ran alone");
}

#[test]
fn company_for_a_job_that_has_to_be_alone_is_noticed_though_one_version_has_set_it_aside() {
    let faults = Faults { parked_company_ignored: true, ..Faults::default() };
    let found = (0..RUNS).filter_map(|seed| run(seed, faults).err()).collect::<Vec<_>>();
    assert!(found.iter().any(|error| error.contains("not alone")), "{found:?}");
}

#[test]
fn deciding_of_what_is_parked_is_noticed() {
    let faults = Faults { parked_decided_upon: true, ..Faults::default() };
    let found = (0..RUNS).filter_map(|seed| run(seed, faults).err()).collect::<Vec<_>>();
    assert!(found.len() > RUNS as usize / 2, "{} of {RUNS} runs", found.len());
}
