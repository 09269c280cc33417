//! Logs for tests: chained events as the scheduler's leader writes them.

use std::time::Duration;

use bytes::Bytes;
use nox_contract::{
    Attempt, Capacity, Entity, Epoch, EpochRecord, Event, EventNumber, Fact, FactOrUnknown,
    Incarnation, InputRef, JobError, JobId, Limits, LostReason, Manifest, ModuleName, Positions,
    ProblemCode, RawJson, Refusal, Resources, RetryPolicy, SessionId, Source, StopReason, TenantId,
    Timestamp, UserId, WaitingCode, WorkNumber, WorkerId,
    event::Chain,
    fact::{Rejected, ServedModule, Submitted},
    subject,
};
use nox_protocol::Reader;
use nox_readmodel::{Batch, LogMessage};
use uuid::Uuid;

/// 2026-11-21T22:00:00Z.
pub const BEGIN: Timestamp = Timestamp::from_micros(1_795_298_400_000_000);

pub const CPU_SECONDS: i64 = 60;

pub fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn module(name: &str) -> ModuleName {
    ModuleName::new(name).unwrap()
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

pub fn json(text: &str) -> RawJson {
    RawJson::parse(text.to_owned()).unwrap()
}

pub fn error(code: &str) -> JobError {
    JobError { code: code.to_owned(), message: format!("{code} happened"), exit_status: Some(1) }
}

pub fn resources() -> Resources {
    Resources { cpu: 1, mem_mb: 256, wall_time_s: 60, gpu: 0 }
}

/// The day that everything is reserved in.
pub fn period() -> Timestamp {
    BEGIN.start_of_day()
}

/// What a job's events say about it.
#[derive(Debug, Clone)]
pub struct JobOf {
    pub tenant: TenantId,
    pub id: JobId,
    pub user: UserId,
    pub module: ModuleName,
}

impl JobOf {
    pub fn new(tenant_name: &str, user_name: &str, module_name: &str, number: u64) -> Self {
        // Ordered by time, as the gateway's are.
        let millis = 1_795_298_400_000 + number / 4;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self {
            tenant: tenant(tenant_name),
            id: JobId(id),
            user: user(user_name),
            module: module(module_name),
        }
    }

    pub fn entity(&self) -> Entity {
        Entity::Job {
            tenant: self.tenant.clone(),
            job_id: self.id,
            user_id: self.user.clone(),
            module: self.module.clone(),
        }
    }
}

/// A log that is being written.
pub struct Log {
    pub messages: Vec<LogMessage>,
    pub chain: Chain,
    pub at: Timestamp,
    pub pos: Positions,
    pub epoch: Epoch,
    next_work: u64,
}

impl Log {
    /// Begins with a term.
    pub fn new() -> Self {
        let mut log = Self {
            messages: Vec::new(),
            chain: Chain::START,
            at: BEGIN,
            pos: Positions::default(),
            epoch: Epoch(0),
            next_work: 1,
        };
        log.begin_term();
        log
    }

    pub fn n(&self) -> EventNumber {
        EventNumber(self.messages.len() as u64)
    }

    pub fn begin_term(&mut self) {
        self.epoch = self.epoch.next();
        let record = EpochRecord {
            epoch: self.epoch,
            leader: "scheduler-1".to_owned(),
            at: self.at,
            commands: Incarnation("commands".to_owned()),
            reports: Incarnation("reports".to_owned()),
        };
        self.push(subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap());
    }

    /// One event of `facts` for `entity`, 137 µs after the one before.
    pub fn event(&mut self, entity: &Entity, facts: impl IntoIterator<Item = Fact>) -> EventNumber {
        self.event_with(entity, facts.into_iter().map(FactOrUnknown::Known).collect())
    }

    pub fn event_with(&mut self, entity: &Entity, facts: Vec<FactOrUnknown>) -> EventNumber {
        self.at = self.at + Duration::from_micros(137);
        self.pos.commands += 1;
        self.pos.reports += 2;
        let mut event = Event {
            n: self.n().next(),
            epoch: self.epoch,
            at: self.at,
            rules: 1,
            prev: self.chain.to_string(),
            input: InputRef {
                src: Source::Commands,
                seq: self.pos.commands,
                part: 0,
                last: true,
                body: None,
            },
            pos: self.pos,
            tenant: TenantId::system(),
            job_id: None,
            user_id: None,
            module: None,
            worker_id: None,
            account: None,
            facts,
        };
        match entity.clone() {
            Entity::Job { tenant, job_id, user_id, module } => {
                event.tenant = tenant;
                event.job_id = Some(job_id);
                event.user_id = Some(user_id);
                event.module = Some(module);
            }
            Entity::Account { tenant, account } => {
                event.tenant = tenant;
                event.account = Some(account);
            }
            Entity::Worker(worker) => event.worker_id = Some(worker),
            Entity::Module(module) => event.module = Some(module),
            Entity::Control => {}
        }
        self.push(subject::event(entity), serde_json::to_vec(&event).unwrap())
    }

    fn push(&mut self, subject: String, payload: Vec<u8>) -> EventNumber {
        self.chain = self.chain.extend(&payload);
        self.messages.push(LogMessage { subject, payload: Bytes::from(payload) });
        self.n()
    }

    /// The messages after `after` as one batch.
    pub fn batch_after(&self, after: EventNumber) -> Batch {
        let mut reader = reader_at(&self.messages, after);
        Batch::read(&mut reader, self.messages[after.0 as usize..].iter().cloned()).unwrap()
    }

    /// All messages in batches of `size`.
    pub fn batches(&self, size: usize) -> Vec<Batch> {
        let mut reader = Reader::new(EventNumber(0), Chain::START);
        self.messages
            .chunks(size)
            .map(|chunk| Batch::read(&mut reader, chunk.iter().cloned()).unwrap())
            .collect()
    }

    // --- what happens ---

    pub fn open_tenant(&mut self, name: &str, users: &[&str]) {
        let accounts = [("tenant".to_owned(), "")]
            .into_iter()
            .chain(users.iter().map(|user| (format!("user/{user}"), "user")));
        for (account, role) in accounts {
            let entity = Entity::Account { tenant: tenant(name), account };
            self.event(&entity, [limits_set(role), granted(1_000_000_000)]);
        }
    }

    pub fn declare(&mut self, name: &str) {
        self.event(
            &Entity::Module(module(name)),
            [Fact::ModuleDeclared { manifest: Box::new(manifest(name)), enabled: true }],
        );
    }

    pub fn join(&mut self, name: &str, modules: &[&str]) {
        self.event(&Entity::Worker(worker(name)), [joined(modules)]);
    }

    pub fn submit(&mut self, job: &JobOf) -> EventNumber {
        self.event(
            &job.entity(),
            [submitted(), reserved(), Fact::Waiting { code: WaitingCode::NoWorker }],
        )
    }

    pub fn submit_and_assign(&mut self, job: &JobOf, worker: &str) -> EventNumber {
        let assigned = self.assigned(worker, 1);
        self.event(&job.entity(), [submitted(), reserved(), assigned])
    }

    pub fn assign(&mut self, job: &JobOf, worker: &str, attempt: u32) -> EventNumber {
        let assigned = self.assigned(worker, attempt);
        self.event(&job.entity(), [assigned])
    }

    pub fn start(&mut self, job: &JobOf, worker: &str, attempt: u32) -> EventNumber {
        self.event(&job.entity(), [started(worker, attempt)])
    }

    /// What one report of a short job causes.
    pub fn start_and_succeed(&mut self, job: &JobOf, worker: &str) -> EventNumber {
        self.event(
            &job.entity(),
            [started(worker, 1), succeeded(1), settled(2), released(CPU_SECONDS - 2)],
        )
    }

    pub fn succeed(&mut self, job: &JobOf, attempt: u32) -> EventNumber {
        self.event(&job.entity(), [succeeded(attempt), settled(2), released(CPU_SECONDS - 2)])
    }

    fn assigned(&mut self, name: &str, attempt: u32) -> Fact {
        let work = WorkNumber(self.next_work);
        self.next_work += 1;
        let session = SessionId(Uuid::from_u128(7));
        Fact::Assigned { worker_id: worker(name), session, attempt: Attempt(attempt), work }
    }

    /// Jobs of every fate, interleaved as they are in life: job by job they take one step at a time.
    pub fn live(&mut self, jobs: &[JobOf]) {
        for step in 0..6 {
            for (number, job) in jobs.iter().enumerate() {
                self.step(job, number, step);
            }
        }
    }

    fn step(&mut self, job: &JobOf, number: usize, step: usize) {
        let entity = job.entity();
        let lost = |attempt, started| Fact::AttemptLost {
            worker_id: worker("exec-1"),
            attempt: Attempt(attempt),
            reason: LostReason::WorkerSilent,
            started,
        };
        let failed = |attempt| Fact::AttemptFailed {
            attempt: Attempt(attempt),
            error: error("exit_status"),
            crashed: false,
            wall_ms: 10,
        };
        let canceled = Fact::Canceled { by: user("ada") };
        match (number % 8, step) {
            // At once, in two messages.
            (0, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (0, 1) => drop(self.start_and_succeed(job, "exec-1")),
            // After a wait.
            (1, 0) => drop(self.submit(job)),
            (1, 1) => drop(self.assign(job, "exec-2", 1)),
            (1, 2) => drop(self.start(job, "exec-2", 1)),
            (1, 3) => drop(self.succeed(job, 1)),
            // At the second attempt.
            (2, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (2, 1) => drop(self.start(job, "exec-1", 1)),
            (2, 2) => {
                let due_at = self.at + Duration::from_secs(1);
                let retry = Fact::RetryScheduled { attempt: Attempt(2), due_at };
                self.event(&entity, [failed(1), retry]);
            }
            (2, 3) => drop(self.assign(job, "exec-2", 2)),
            (2, 4) => drop(self.start(job, "exec-2", 2)),
            (2, 5) => drop(self.succeed(job, 2)),
            // Not at all.
            (3, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (3, 1) => drop(self.start(job, "exec-1", 1)),
            (3, 2) => {
                let end = Fact::Failed { error: error("exit_status") };
                self.event(&entity, [failed(1), end, settled(60)]);
            }
            // Canceled while it waits.
            (4, 0) => drop(self.submit(job)),
            (4, 2) => drop(self.event(&entity, [canceled, released(CPU_SECONDS)])),
            // Canceled while it runs, and one of them is never heard of again.
            (5, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (5, 1) => drop(self.start(job, "exec-1", 1)),
            (5, 2) => {
                let stop = Fact::StopRequested {
                    worker_id: worker("exec-1"),
                    attempt: Attempt(1),
                    work: WorkNumber(1),
                    reason: StopReason::Canceled,
                };
                self.event(&entity, [canceled, stop, settled(1), released(CPU_SECONDS - 1)]);
            }
            (5, 4) if number % 16 == 5 => {
                let stopped = Fact::Stopped { worker_id: worker("exec-1"), attempt: Attempt(1) };
                self.event(&entity, [stopped]);
            }
            (5, 5) if number % 16 == 5 => {}
            // Lost, and assigned again; runs to this day.
            (6, 0) => drop(self.submit_and_assign(job, "exec-1")),
            (6, 1) => drop(self.start(job, "exec-1", 1)),
            (6, 2) => {
                let waiting = Fact::Waiting { code: WaitingCode::Resources };
                self.event(&entity, [lost(1, true), waiting]);
            }
            (6, 3) => drop(self.assign(job, "exec-2", 2)),
            (6, 4) => drop(self.start(job, "exec-2", 2)),
            // Promised, and refused in the end; beside a refusal that was told at once.
            (7, 0) => {
                let refusal = refusal();
                let rejected = Rejected {
                    inputs: json("{}"),
                    requested_resources: resources(),
                    refusal: refusal.clone(),
                    fingerprint: None,
                };
                self.event(&entity, [Fact::Rejected(Box::new(rejected))]);
                let account = subject::user_account(&job.user);
                let violated = Fact::QuotaViolated {
                    job_id: job.id,
                    user_id: job.user.clone(),
                    module: job.module.clone(),
                    refusal: Box::new(refusal),
                };
                let account = Entity::Account { tenant: job.tenant.clone(), account };
                self.event(&account, [violated]);
            }
            _ => {}
        }
    }
}

/// A log in which everything happens, `jobs` times.
pub fn eventful(jobs: usize) -> Log {
    let mut log = Log::new();
    log.declare("command");
    log.declare("xtb");
    log.open_tenant("acme", &["ada", "bob"]);
    log.open_tenant("zeta", &["ada"]);
    log.join("exec-1", &["command", "xtb"]);
    log.join("exec-2", &["xtb"]);
    let jobs: Vec<_> = (0..jobs)
        .map(|number| {
            let (tenant, user) = [("acme", "ada"), ("acme", "bob"), ("zeta", "ada")][number % 3];
            let module = ["command", "xtb"][number % 2];
            JobOf::new(tenant, user, module, number as u64)
        })
        .collect();
    log.live(&jobs);
    let mark = log.event(&Entity::Control, [Fact::Mark]);
    assert!(mark > EventNumber(1));
    log.event(
        &Entity::Module(module("xtb")),
        [Fact::ModuleSwitched { enabled: false, by: user("root") }],
    );
    let session = SessionId(Uuid::from_u128(7));
    log.event(&Entity::Worker(worker("exec-2")), [Fact::WorkerDraining { session }]);
    log.event(&Entity::Worker(worker("exec-1")), [Fact::WorkerLeft { session, lost: true }]);
    // A budget of the running day is changed.
    let account = Entity::Account { tenant: tenant("acme"), account: "user/bob".to_owned() };
    log.event(&account, [granted(900_000_000)]);
    log.begin_term();
    log
}

/// A reader that has read everything up to `n`.
pub fn reader_at(messages: &[LogMessage], n: EventNumber) -> Reader {
    let chain = messages[..n.0 as usize]
        .iter()
        .fold(Chain::START, |chain, message| chain.extend(&message.payload));
    Reader::new(n, chain)
}

pub fn submitted() -> Fact {
    submitted_with(r#"{"text": "hello from M9"}"#)
}

pub fn submitted_with(inputs: &str) -> Fact {
    Fact::Submitted(Box::new(Submitted {
        inputs: json(inputs),
        requested_resources: resources(),
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: Some("fp".to_owned()),
        traceparent: None,
    }))
}

pub fn started(name: &str, attempt: u32) -> Fact {
    Fact::Started { worker_id: worker(name), attempt: Attempt(attempt), elapsed_ms: 3 }
}

pub fn succeeded(attempt: u32) -> Fact {
    succeeded_with(
        attempt,
        r#"{"files": ["sandbox://ada/1/result.txt"], "metrics": {"duration_s": 0.53}, "scalars": {}}"#,
    )
}

pub fn succeeded_with(attempt: u32, outputs: &str) -> Fact {
    Fact::Succeeded { attempt: Attempt(attempt), outputs: json(outputs), wall_ms: 3 }
}

pub fn reserved() -> Fact {
    Fact::Reserved { period: period(), cpu_seconds: CPU_SECONDS }
}

pub fn settled(cpu_seconds: i64) -> Fact {
    Fact::Settled { period: period(), cpu_seconds, overrun: 0 }
}

pub fn released(cpu_seconds: i64) -> Fact {
    Fact::Released { period: period(), cpu_seconds }
}

pub fn granted(cpu_seconds: i64) -> Fact {
    Fact::Granted { period: period(), cpu_seconds }
}

fn limits_set(role: &str) -> Fact {
    let limits = Limits {
        cpu_seconds: 1_000_000_000,
        queued_jobs: 1_000,
        running_jobs: 256,
        cpu: 64,
        mem_mb: 262_144,
    };
    Fact::LimitsSet { role: role.to_owned(), limits }
}

fn joined(modules: &[&str]) -> Fact {
    let served = |name: &&str| ServedModule { name: module(name), version: "1.0.0".to_owned() };
    Fact::WorkerJoined {
        session: SessionId(Uuid::from_u128(7)),
        capacity: Capacity { slots: 8, cpu: 8, mem_mb: 16_384, gpu: 0 },
        modules: modules.iter().map(served).collect(),
        labels: vec!["zone=a".to_owned()],
    }
}

fn manifest(name: &str) -> Manifest {
    Manifest {
        name: module(name),
        version: "1.0.0".to_owned(),
        title: format!("The module {name}"),
        input_schema: json(r#"{"type": "object"}"#),
        output_schema: json("true"),
        resources: resources(),
        retry: RetryPolicy::default(),
        running_max: Some(100),
    }
}

pub fn refusal() -> Refusal {
    Refusal {
        quota: Some("cpu_seconds".to_owned()),
        account: Some("user/ada".to_owned()),
        usage: Some(1_000),
        limit: Some(1_000),
        requested: Some(60),
        retry_after_s: Some(3_600),
        ..Refusal::new(ProblemCode::BudgetExhausted, "the day's core seconds are spent")
    }
}
