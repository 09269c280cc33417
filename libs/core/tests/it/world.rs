//! Verbs for scenarios: who asks, who works, what time it is. Whatever the watch minds is a panic.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{
    ApiKey, Attempt, AttemptEnd, Cancel, Capacity, Command, Concurrency, DeliveryId, DrainWorker,
    Fact, FrameNumber, HandBack, Hello, InstanceId, JobError, JobId, JobState, JobTemplate, Limits,
    Manifest, ModuleName, Origin, Outcome, Overlap, ProcessId, RawJson, Refusal, Report, Resources,
    RetryPolicy, ScheduleSpec, SchedulerConfig, SessionId, SetLimits, SetModule, Submit,
    SubmitBatch, SubmitDraft, TenantId, Timestamp, Token, Usage, UserId, WaitingCode, WebhookSpec,
    WorkerId,
    beat::Held,
    limits::UNLIMITED,
    report::{Ended, Started, Stopped},
};
use nox_core::{Internal, ledger::Balance};

use crate::{
    log::{Log, Said, TOKEN_KEY, explaining, placing},
    oracle,
};

pub const NOON: &str = "2026-11-21T12:00:00Z";

pub fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a good id")
}

pub fn job_id(number: u32) -> JobId {
    id(&format!("0193a000-0000-7000-8000-{number:012}"))
}

/// As it derives from an idempotency key.
pub fn keyed_job_id(number: u32) -> JobId {
    id(&format!("0193a000-0000-8000-8000-{number:012}"))
}

pub fn session_id(number: u32) -> SessionId {
    id(&format!("5e550000-0000-4000-8000-{number:012}"))
}

pub fn acme() -> TenantId {
    id("acme")
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn error(code: &str) -> JobError {
    JobError { code: code.to_owned(), message: format!("it was {code}"), exit_status: Some(1) }
}

/// One core for a minute.
pub const SMALL: Resources = Resources { cpu: 1, mem_mb: 100, wall_time_s: 60, gpu: 0 };

/// Limits that no scenario meets unless it is about them.
pub const ROOMY: Limits = Limits {
    cpu_seconds: 1_000_000,
    queued_jobs: 10_000,
    running_jobs: 10_000,
    cpu: 64,
    mem_mb: 100_000,
    drafts: 10_000,
    starts_per_minute: UNLIMITED,
};

pub fn config() -> SchedulerConfig {
    SchedulerConfig {
        roles: BTreeMap::from([("user".to_owned(), ROOMY)]),
        tenant: Limits { cpu_seconds: 10_000_000, ..ROOMY },
        crashes_max: 3,
        ageing_ms: 60_000,
        ..SchedulerConfig::default()
    }
}

/// The same for every user of the one role.
pub fn config_of(user: Limits) -> SchedulerConfig {
    SchedulerConfig { roles: BTreeMap::from([("user".to_owned(), user)]), ..config() }
}

pub fn manifest(name: &str) -> Manifest {
    Manifest {
        name: id(name),
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

pub fn key() -> ApiKey {
    ApiKey {
        name: "ci".to_owned(),
        user_id: id("ada"),
        role: "user".to_owned(),
        scopes: Default::default(),
        expires_at: None,
        hash: String::new(),
    }
}

pub fn webhook() -> WebhookSpec {
    WebhookSpec {
        url: "https://hooks.example.org/".to_owned(),
        description: String::new(),
        filter: Default::default(),
        of_tenant: false,
        enabled: true,
    }
}

pub fn delivery() -> DeliveryId {
    id("0193a000-0000-7000-8000-00000000d001")
}

/// A small job of module `m`, whenever somebody says that it is due; too late after an hour.
pub fn spec(overlap: Overlap) -> ScheduleSpec {
    ScheduleSpec {
        name: "nightly".to_owned(),
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        overlap,
        catch_up_s: 3_600,
        job: JobTemplate {
            module: id("m"),
            module_version: None,
            worker_labels: Default::default(),
            inputs: RawJson::default(),
            requested_resources: SMALL,
            priority: 5,
            labels: Default::default(),
            release_id: None,
            concurrency: None,
        },
    }
}

pub fn slots(slots: u32) -> Capacity {
    Capacity { slots, cpu: 1_000, mem_mb: 1_000_000, gpu: 100 }
}

/// What a scenario submits; ada's small job of module `m`, unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Ask {
    pub tenant: TenantId,
    pub user: UserId,
    pub role: String,
    pub module: ModuleName,
    pub resources: Resources,
    pub priority: u8,
    pub run_at: Option<Timestamp>,
    pub after: Vec<JobId>,
    pub fingerprint: Option<String>,
    pub seen: Option<FrameNumber>,
    pub pending: bool,
    pub job: Option<JobId>,
    pub version: Option<String>,
    pub labels: Vec<&'static str>,
    pub concurrency: Option<Concurrency>,
    pub draft: bool,
}

pub fn ask() -> Ask {
    Ask {
        tenant: acme(),
        user: id("ada"),
        role: "user".to_owned(),
        module: id("m"),
        resources: SMALL,
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: None,
        pending: false,
        job: None,
        version: None,
        labels: Vec::new(),
        concurrency: None,
        draft: false,
    }
}

pub fn by(user: &str) -> Ask {
    Ask { user: id(user), ..ask() }
}

pub fn of_module(module: &str) -> Ask {
    Ask { module: id(module), ..ask() }
}

pub fn after(jobs: &[JobId]) -> Ask {
    Ask { after: jobs.to_vec(), ..ask() }
}

/// What a worker holds, as the log assigned it.
#[derive(Debug, Clone)]
pub struct Holding {
    pub worker: WorkerId,
    pub session: SessionId,
    pub attempt: Attempt,
    pub token: Token,
}

impl Holding {
    pub fn started(&self, job_id: JobId) -> Report {
        let (attempt, token) = (self.attempt, self.token.clone());
        Report::Started(Started { job_id, attempt, token, elapsed_ms: 1 })
    }

    pub fn stopped(&self, job_id: JobId, wall_ms: u64) -> Report {
        let (attempt, token) = (self.attempt, self.token.clone());
        Report::Stopped(Stopped { job_id, attempt, token, usage: usage(wall_ms) })
    }

    pub fn ended(&self, job_id: JobId, started: bool, wall_ms: u64, end: AttemptEnd) -> Report {
        let (attempt, token) = (self.attempt, self.token.clone());
        let usage = usage(wall_ms);
        Report::Ended(Box::new(Ended { job_id, attempt, token, started, usage, end }))
    }
}

fn usage(wall_ms: u64) -> Usage {
    Usage { wall_ms, cpu_seconds: wall_ms.div_ceil(1_000) }
}

pub fn succeeded() -> AttemptEnd {
    AttemptEnd::Succeeded { outputs: RawJson::default() }
}

pub fn failed() -> AttemptEnd {
    AttemptEnd::Failed { error: error("exit_status"), retryable: true, crashed: false }
}

pub fn crashed() -> AttemptEnd {
    AttemptEnd::Failed { error: error("killed"), retryable: true, crashed: true }
}

pub fn handed_back(why: HandBack) -> AttemptEnd {
    AttemptEnd::HandedBack(why)
}

/// Every session is another process on the one folder of its worker.
pub fn origin(session: SessionId) -> Origin {
    Origin { instance: InstanceId::default(), process: ProcessId(session.0) }
}

impl Said {
    /// The names of all facts, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().flat_map(|entry| entry.known_facts()).map(Fact::name).collect()
    }

    /// The facts about one job.
    pub fn of(&self, job: JobId) -> Vec<&Fact> {
        let about = self.entries.iter().filter(|entry| entry.job_id == Some(job));
        about.flat_map(|entry| entry.known_facts()).collect()
    }

    pub fn refusal(&self) -> &Refusal {
        match &self.answer {
            Some(Outcome::Refused(refusal)) => refusal,
            other => panic!("expected a refusal, not {other:?} and {:?}", self.names()),
        }
    }

    pub fn accepted(&self) -> &nox_contract::Accepted {
        match &self.answer {
            Some(Outcome::Accepted(accepted)) => accepted,
            other => panic!("expected consent, not {other:?}"),
        }
    }
}

pub struct World {
    pub log: Log,
    jobs: u32,
    sessions: u32,
}

impl World {
    /// Configured, at noon, and empty.
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: SchedulerConfig) -> Self {
        let mut world = Self { log: Log::new(id(NOON)), jobs: 0, sessions: 0 };
        world.log.epoch().unwrap();
        world.configure(config);
        world
    }

    /// With a worker `w` of so many slots for module `m`, and an account for ada.
    pub fn working(slots: u32) -> Self {
        Self::working_with(slots, config())
    }

    pub fn working_with(slots: u32, config: SchedulerConfig) -> Self {
        let mut world = Self::with(config);
        world.join("w", self::slots(slots), &[manifest("m")]);
        world.open("ada");
        world
    }

    /// Opens a user's account, with a job that comes and goes.
    pub fn open(&mut self, user: &str) {
        let job = self.submit(by(user));
        self.cancel(job);
        if self.log.state.job(job).is_some() {
            self.stop(job, 0);
        }
    }

    pub fn configure(&mut self, config: SchedulerConfig) -> Said {
        self.internal(Internal::Configure { config })
    }

    pub fn pass(&mut self, span: Duration) {
        self.log.now = self.log.now + span;
    }

    // --- users ---

    /// Asks, whatever the answer.
    pub fn ask(&mut self, ask: &Ask) -> (JobId, Said) {
        let submit = self.request(ask);
        (submit.job_id, self.command(&ask.tenant, Command::Submit(Box::new(submit))))
    }

    /// Asks for all or none, whatever the answer.
    pub fn ask_together(&mut self, asks: &[Ask]) -> (Vec<JobId>, Said) {
        let jobs: Vec<_> = asks.iter().map(|ask| self.request(ask)).collect();
        let ids = jobs.iter().map(|job| job.job_id).collect();
        (ids, self.command(&asks[0].tenant, Command::SubmitBatch(SubmitBatch { jobs })))
    }

    /// What a gateway makes of it.
    pub fn request(&mut self, ask: &Ask) -> Submit {
        self.jobs += 1;
        let job = ask.job.unwrap_or_else(|| match ask.fingerprint {
            Some(_) => keyed_job_id(self.jobs),
            None => job_id(self.jobs),
        });
        Submit {
            module_version: ask.version.clone(),
            worker_labels: ask.labels.iter().map(|label| (*label).to_owned()).collect(),
            job_id: job,
            user_id: ask.user.clone(),
            role: ask.role.clone(),
            module: ask.module.clone(),
            inputs: RawJson::default(),
            requested_resources: ask.resources,
            priority: ask.priority,
            run_at: ask.run_at,
            after: ask.after.clone(),
            fingerprint: ask.fingerprint.clone(),
            seen: ask.seen.unwrap_or(self.log.last()),
            pending: ask.pending,
            task: None,
            metadata: None,
            concurrency: ask.concurrency.clone().map(Box::new),
            draft: ask.draft,
            traceparent: None,
        }
    }

    /// Submits what has to be admitted.
    pub fn submit(&mut self, ask: Ask) -> JobId {
        let (job, said) = self.ask(&ask);
        assert!(!said.accepted().repeated, "{said:?}");
        job
    }

    /// Keeps a draft, which has to be taken.
    pub fn draft(&mut self, ask: Ask) -> JobId {
        self.submit(Ask { draft: true, ..ask })
    }

    /// Its owner submits a draft.
    pub fn submit_draft(&mut self, job: JobId) -> Said {
        let story = &self.log.watch.stories[&job];
        let (tenant, by) = (story.tenant.clone(), story.user_id.clone());
        let submit = SubmitDraft { job_id: job, by, role: "user".to_owned() };
        self.command(&tenant, Command::SubmitDraft(submit))
    }

    pub fn cancel(&mut self, job: JobId) -> Said {
        let story = &self.log.watch.stories[&job];
        let (tenant, by) = (story.tenant.clone(), story.user_id.clone());
        self.command(&tenant, Command::Cancel(Cancel { job_id: job, by, admin: false }))
    }

    pub fn switch(&mut self, module: &str, enabled: bool) -> Said {
        let set = SetModule { module: id(module), enabled, by: id("root") };
        self.command(&acme(), Command::SetModule(set))
    }

    /// An admin sets the limits of an account, or resets them.
    pub fn limit(&mut self, account: &str, limits: Option<Limits>) -> Said {
        let (account, by, reason) = (account.to_owned(), id("root"), "asked for".to_owned());
        let set = SetLimits { account, limits, by, reason };
        self.command(&acme(), Command::SetLimits(Box::new(set)))
    }

    pub fn drain_worker(&mut self, worker: &str, drained: bool) -> Said {
        let drain = DrainWorker { worker_id: id(worker), drained, by: id("root") };
        self.command(&acme(), Command::DrainWorker(drain))
    }

    pub fn command(&mut self, tenant: &TenantId, command: Command) -> Said {
        self.log.command(tenant, &command).unwrap_or_else(|e| panic!("{e}"))
    }

    // --- workers ---

    /// A worker begins a session.
    pub fn join(&mut self, worker: &str, capacity: Capacity, modules: &[Manifest]) -> SessionId {
        self.sessions += 1;
        let session = session_id(self.sessions);
        self.hello(worker, session, capacity, modules);
        session
    }

    /// A worker of module `m` with these labels.
    pub fn join_labelled(&mut self, worker: &str, labels: &[&str]) {
        self.sessions += 1;
        let session = session_id(self.sessions);
        let hello = Hello {
            origin: origin(session),
            capacity: slots(9),
            modules: vec![manifest("m")],
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        self.report(&id(worker), session, Report::Hello(Box::new(hello)));
    }

    pub fn hello(
        &mut self,
        worker: &str,
        session: SessionId,
        capacity: Capacity,
        modules: &[Manifest],
    ) -> Said {
        self.hello_from(origin(session), worker, session, capacity, modules)
    }

    pub fn hello_from(
        &mut self,
        origin: Origin,
        worker: &str,
        session: SessionId,
        capacity: Capacity,
        modules: &[Manifest],
    ) -> Said {
        let hello = Hello { origin, capacity, modules: modules.to_vec(), labels: Vec::new() };
        self.report(&id(worker), session, Report::Hello(Box::new(hello)))
    }

    pub fn report(&mut self, worker: &WorkerId, session: SessionId, report: Report) -> Said {
        let said = self.log.report(worker, session, &report).unwrap_or_else(|e| panic!("{e}"));
        self.lose(said)
    }

    /// Loses all that sessions which are over held, as the leader does.
    fn lose(&mut self, mut said: Said) -> Said {
        while self.log.state.workers.has_departed() {
            said.entries.extend(self.losses(1_000).entries);
        }
        said
    }

    /// So many attempts of sessions that are over are lost.
    pub fn losses(&mut self, losses_max: u32) -> Said {
        self.log.internal(&Internal::Losses { losses_max }).unwrap_or_else(|e| panic!("{e}"))
    }

    /// What the holder of a job was told.
    pub fn holding(&self, job: JobId) -> Holding {
        let state = &self.log.state;
        let active = state.job(job).unwrap_or_else(|| panic!("{job} is over"));
        let worker = active.job.worker_id().unwrap_or_else(|| panic!("{active:?} is not held"));
        let at = state.workers.get(worker).expect("a holder is there");
        let slot = &at.assignments[&job];
        Holding {
            worker: worker.clone(),
            session: at.session,
            attempt: slot.attempt,
            token: Token::compute(&TOKEN_KEY, job, slot.attempt, slot.assigned_n),
        }
    }

    pub fn start(&mut self, job: JobId) -> Said {
        let holding = self.holding(job);
        self.report(&holding.worker, holding.session, holding.started(job))
    }

    pub fn end(&mut self, job: JobId, wall_ms: u64, end: AttemptEnd) -> Said {
        let holding = self.holding(job);
        let report = holding.ended(job, true, wall_ms, end);
        self.report(&holding.worker, holding.session, report)
    }

    /// The attempt ended before it started.
    pub fn end_unstarted(&mut self, job: JobId, end: AttemptEnd) -> Said {
        let holding = self.holding(job);
        let report = holding.ended(job, false, 0, end);
        self.report(&holding.worker, holding.session, report)
    }

    pub fn succeed(&mut self, job: JobId) -> Said {
        self.end(job, 1_000, succeeded())
    }

    pub fn stop(&mut self, job: JobId, wall_ms: u64) -> Said {
        let holding = self.holding(job);
        self.report(&holding.worker, holding.session, holding.stopped(job, wall_ms))
    }

    pub fn silent(&mut self, worker: &str) -> Said {
        let worker_id: WorkerId = id(worker);
        let session = self.log.state.workers.get(&worker_id).expect("a live worker").session;
        self.internal(Internal::WorkerSilent { worker_id, session })
    }

    pub fn missing(&mut self, worker: &str, session: SessionId, missing: Vec<Held>) -> Said {
        self.internal(Internal::AttemptsMissing { worker_id: id(worker), session, missing })
    }

    // --- the leader ---

    pub fn internal(&mut self, input: Internal) -> Said {
        let said = self.log.internal(&input).unwrap_or_else(|e| panic!("{e}"));
        self.lose(said)
    }

    /// Places whoever can be placed.
    pub fn place(&mut self) -> Said {
        let mut said = Said::default();
        loop {
            let step = self.internal(placing(1_000));
            if step.entries.is_empty() {
                return said;
            }
            said.entries.extend(step.entries);
        }
    }

    /// Places whoever can be placed, and explains the others.
    pub fn settle(&mut self) {
        self.log.frame().unwrap_or_else(|e| panic!("{e}"));
        self.place();
        self.internal(explaining(1_000));
        for (job, code) in oracle::reasons(&self.log.state) {
            assert_eq!(self.waiting(job), Some(code), "{job}");
        }
    }

    /// Jobs whose instant has come.
    pub fn due(&self) -> Vec<JobId> {
        let timers = self.log.state.timers();
        timers.take_while(|(at, _)| *at <= self.log.now).map(|(_, id)| id).collect()
    }

    pub fn timer(&mut self) -> Said {
        let due = self.due();
        self.internal(Internal::Timer { due })
    }

    // --- what became of it ---

    pub fn state_of(&self, job: JobId) -> JobState {
        let state = &self.log.state;
        let ended = || state.ended(job).map(|ended| ended.state);
        let active = state.job(job).map(|active| active.job.state());
        active.or_else(ended).unwrap_or_else(|| panic!("{job} is not known"))
    }

    pub fn waiting(&self, job: JobId) -> Option<WaitingCode> {
        self.log.state.job(job)?.job.waiting()
    }

    pub fn holder(&self, job: JobId) -> Option<&str> {
        self.log.state.job(job)?.job.worker_id().map(WorkerId::as_str)
    }

    pub fn attempt(&self, job: JobId) -> u32 {
        self.log.state.job(job).map_or(0, |active| active.job.attempt.0)
    }

    /// The number of the next piece of work of worker `w`.
    pub fn next_work(&self) -> u64 {
        self.log.state.workers.get(&id("w")).expect("a worker").next_work.0
    }

    /// A user's balance of the present day.
    pub fn balance(&self, user: &str) -> Balance {
        let account = self.log.state.ledger.user(&acme(), &id(user)).expect("an account");
        account.periods[&self.log.now.start_of_day()]
    }
}

impl Drop for World {
    /// Every scenario also shows that its log folds to the same state, snapshot or not.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.log.snapshot().unwrap_or_else(|e| panic!("{e}"));
            self.log.verify().unwrap_or_else(|e| panic!("{e}"));
        }
    }
}
