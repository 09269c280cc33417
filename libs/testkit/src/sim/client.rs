//! Gateways and their users: submits, repetitions, cancels, switches; and somebody who forges reports.

use nox_contract::{
    Attempt, AttemptEnd, Cancel, Command, CommandMessage, Concurrency, DrainWorker, FrameNumber,
    JobError, JobId, Limits, Manifest, RawJson, RegisterModule, Report, ReportMessage, Resources,
    RetryPolicy, SetLimits, SetModule, Submit, SubmitBatch, SubmitDraft, TenantId, Token, Usage,
    UserId,
    report::{Ended, Started, Stopped},
    subject,
};

use super::{
    executor::MODULES,
    faults::Fault,
    recurring::Recurring,
    wire::{Call, Happening, MS, Micros, Party, Publish, Reply, Wire},
};

/// Who asks: tenant, user and role.
pub(super) const USERS: &[(&str, &str, &str)] = &[
    ("acme", "ada", "user"),
    ("acme", "bob", "user"),
    ("acme", "root", "admin"),
    ("beta", "eve", "admin"),
];

const TENANTS: [&str; 2] = ["acme", "beta"];

/// How much of what is asked for is about schedules and keys.
const RECURRING: f64 = 0.08;

/// Names of workers, as many as there may be.
const EXECUTORS: [&str; 3] = ["exec-0", "exec-1", "exec-2"];

/// Most tries to publish the same message.
const TRIES_MAX: u32 = 6;

struct Sent {
    tenant: TenantId,
    message: CommandMessage,
    tries: u32,
    done: bool,
}

pub struct Client {
    pub id: usize,
    sent: Vec<Sent>,
    /// What it submitted: job, asker, and how far the log was seen then.
    jobs: Vec<(JobId, usize, FrameNumber)>,
    last_job: u64,
    recurring: Recurring,
}

impl Client {
    pub fn new(id: usize) -> Self {
        Self {
            id,
            sent: Vec::new(),
            jobs: Vec::new(),
            last_job: 0,
            recurring: Recurring::default(),
        }
    }

    fn party(&self) -> Party {
        Party::Client(self.id)
    }

    /// Whether everything that it published was acknowledged, or given up.
    pub fn is_idle(&self) -> bool {
        self.sent.iter().all(|sent| sent.done)
    }

    pub fn on(&mut self, happening: Happening, wire: &mut Wire) {
        match happening {
            Happening::Act => {
                if wire.quiet {
                    return;
                }
                self.act(wire);
                let at = wire.now + wire.slowly(1, 120);
                wire.schedule(at, self.party(), 0, Happening::Act);
            }
            Happening::Reply(Call::Command { index }, reply) => self.on_reply(index, reply, wire),
            _ => {}
        }
    }

    fn on_reply(&mut self, index: usize, reply: Reply, wire: &mut Wire) {
        let sent = &mut self.sent[index];
        match reply {
            Reply::Stored(_) => {
                sent.done = true;
                wire.oracle.on_command_acked(&sent.message);
                if wire.strikes(Fault::Impatience) {
                    self.publish(index, wire);
                }
            }
            _ if sent.tries < TRIES_MAX && wire.chance(0.8) => self.publish(index, wire),
            _ => sent.done = true,
        }
    }

    fn publish(&mut self, index: usize, wire: &mut Wire) {
        let sent = &mut self.sent[index];
        sent.tries += 1;
        let payload = serde_json::to_vec(&sent.message).expect("commands can be serialised");
        let publish = Publish::Commands { tenant: sent.tenant.clone(), payload: payload.into() };
        wire.publish(self.party(), 0, Call::Command { index }, publish);
    }

    /// Publishes some commands of one tenant in one message.
    fn act(&mut self, wire: &mut Wire) {
        if wire.strikes(Fault::Garbage) {
            let tenant = USERS[0].0.parse().expect("a tenant");
            let publish = Publish::Commands { tenant, payload: "{\"commands\":7}".into() };
            wire.publish(self.party(), 0, Call::Nobody, publish);
            return;
        }
        let asker = wire.between(0, USERS.len() as u64 - 1) as usize;
        let tenant: TenantId = USERS[asker].0.parse().expect("a tenant");
        let count = match wire.between(0, 99) {
            0..30 => wire.between(2, 5),
            30..33 => wire.between(6, 30),
            _ => 1,
        };
        let commands = (0..count).filter_map(|_| self.command(asker, wire)).collect();
        self.send(tenant, commands, wire);
    }

    /// Switches everything on again, so that nothing waits for a module or a worker, and ends what would never end.
    pub fn enable_all(&mut self, wire: &mut Wire) {
        let undrained = EXECUTORS.map(|worker| {
            Command::DrainWorker(DrainWorker {
                worker_id: worker.parse().expect("a worker's name"),
                drained: false,
                by: "root".parse().expect("a user"),
            })
        });
        let commands = MODULES
            .iter()
            .map(|(module, ..)| {
                Command::SetModule(SetModule {
                    module: module.parse().expect("a module's name"),
                    enabled: true,
                    by: "root".parse().expect("a user"),
                })
            })
            .chain(undrained)
            .collect();
        self.send(USERS[0].0.parse().expect("a tenant"), commands, wire);
        for tenant in TENANTS {
            let commands = Recurring::delete_all(tenant, wire);
            if !commands.is_empty() {
                self.send(tenant.parse().expect("a tenant"), commands, wire);
            }
        }
    }

    fn send(&mut self, tenant: TenantId, commands: Vec<Command>, wire: &mut Wire) {
        let index = self.sent.len();
        let reply_to = Some(format!("client-{}.{index}", self.id));
        let message = CommandMessage::new(reply_to, commands);
        wire.oracle.on_command_sent(&tenant, &message);
        self.sent.push(Sent { tenant, message, tries: 0, done: false });
        self.publish(index, wire);
    }

    fn command(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        if wire.chance(RECURRING) {
            self.last_job += 1;
            let job_id = self.new_job_id(false, wire);
            return self.recurring.command(self.id, (asker, job_id), wire);
        }
        let regret = if wire.strikes(Fault::Regret) { 50 } else { 0 };
        match wire.between(0, 99) + regret {
            0..68 => Some(self.submit(asker, wire)),
            68..72 => Some(self.submit_batch(asker, wire)),
            72..76 => self.repeat(asker, wire),
            76..80 => self.submit_draft(asker, wire),
            80..93 | 100.. => self.cancel(asker, wire),
            93..95 => Some(limit(asker, wire)),
            95..97 => Some(drain(wire)),
            97 => Some(register(asker, wire)),
            _ => {
                let (module, ..) = MODULES[wire.between(0, MODULES.len() as u64 - 1) as usize];
                Some(Command::SetModule(SetModule {
                    module: module.parse().expect("a module's name"),
                    enabled: wire.chance(0.7),
                    by: USERS[asker].1.parse().expect("a user"),
                }))
            }
        }
    }

    fn submit(&mut self, asker: usize, wire: &mut Wire) -> Command {
        self.last_job += 1;
        let keyed = wire.chance(0.3);
        let job_id = self.new_job_id(keyed, wire);
        self.jobs.push((job_id, asker, wire.store.n()));
        Command::Submit(Box::new(self.submission(job_id, asker, wire)))
    }

    /// A few that are admitted all or none. Nobody speaks of one of them alone later.
    fn submit_batch(&mut self, asker: usize, wire: &mut Wire) -> Command {
        let keyed = wire.chance(0.3);
        let jobs = (0..wire.between(1, 4)).map(|_| {
            self.last_job += 1;
            let job_id = self.new_job_id(keyed, wire);
            Submit { pending: false, ..self.submission(job_id, asker, wire) }
        });
        Command::SubmitBatch(SubmitBatch { jobs: jobs.collect() })
    }

    /// As gateways make them: a hash of the key, or the time by a clock of their own, and chance.
    fn new_job_id(&self, keyed: bool, wire: &Wire) -> JobId {
        /// By how much each client's clock is behind the one before.
        const SKEW_MS: u64 = 500;
        let number = (self.id as u64 + 1) << 32 | self.last_job;
        let (version, head) = if keyed {
            (8, number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
        } else {
            (7, (wire.now / MS).saturating_sub(SKEW_MS * self.id as u64))
        };
        let random = u128::from(number) | 8 << 60;
        JobId(uuid::Uuid::from_u128(u128::from(head) << 80 | version << 76 | random))
    }

    fn submission(&mut self, job_id: JobId, asker: usize, wire: &mut Wire) -> Submit {
        let (module, ..) = MODULES[wire.between(0, MODULES.len() as u64 - 1) as usize];
        let module = if wire.chance(0.02) { "unknown" } else { module };
        // A few that no worker can ever hold.
        let cpu = if wire.chance(0.02) { 5 } else { wire.between(1, 2) as u32 };
        let run_at = wire.chance(0.05).then(|| {
            let span = wire.slowly(0, 3_000);
            wire.calendar_time() + std::time::Duration::from_micros(span)
        });
        let mut after = Vec::new();
        if wire.chance(0.08) && self.jobs.len() > 1 {
            let back = wire.between(1, self.jobs.len().min(6) as u64 - 1) as usize;
            after.push(self.jobs[self.jobs.len() - 1 - back].0);
        }
        Submit {
            module_version: None,
            worker_labels: Default::default(),
            job_id,
            user_id: USERS[asker].1.parse().expect("a user"),
            role: USERS[asker].2.to_owned(),
            module: module.parse().expect("a module's name"),
            inputs: RawJson::of(&job_id).expect("an id"),
            requested_resources: Resources {
                cpu,
                mem_mb: wire.between(16, 256) as u32,
                wall_time_s: wire.between(1, 20) as u32,
                gpu: 0,
            },
            priority: wire.between(0, 9) as u8,
            run_at,
            after,
            fingerprint: job_id.is_keyed().then(|| format!("{job_id}")),
            seen: wire.store.n(),
            pending: wire.chance(0.2),
            task: None,
            metadata: None,
            concurrency: wire.chance(0.15).then(|| {
                let key = format!("key {}", wire.between(0, 1));
                Box::new(Concurrency { key, limit: wire.between(1, 3) as u32 })
            }),
            draft: wire.chance(0.04),
            traceparent: None,
        }
    }

    /// The same id again: mostly with the same body, as `Idempotency-Key` has it, or as copies have.
    fn repeat(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (job_id, of, seen) = self.some_job(wire)?;
        let mut again = self.submission(job_id, if wire.chance(0.8) { of } else { asker }, wire);
        if job_id.is_keyed() && wire.chance(0.2) {
            again.fingerprint = Some("another".to_owned());
        }
        if !job_id.is_keyed() || wire.store.jobs.contains_key(&job_id) {
            // A copy of the one submit. And a gateway that finds the row answers by itself; what comes all
            // the same is old.
            again.seen = seen;
        }
        Some(Command::Submit(Box::new(again)))
    }

    fn cancel(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (job_id, of, _) = self.some_job(wire)?;
        let by = if wire.chance(0.8) { of } else { asker };
        Some(Command::Cancel(Cancel {
            job_id,
            by: USERS[by].1.parse::<UserId>().expect("a user"),
            admin: USERS[by].2 == "admin",
        }))
    }

    fn submit_draft(&mut self, asker: usize, wire: &mut Wire) -> Option<Command> {
        let (job_id, of, _) = self.some_job(wire)?;
        let by = if wire.chance(0.8) { of } else { asker };
        Some(Command::SubmitDraft(SubmitDraft {
            job_id,
            by: USERS[by].1.parse::<UserId>().expect("a user"),
            role: USERS[by].2.to_owned(),
        }))
    }

    fn some_job(&self, wire: &mut Wire) -> Option<(JobId, usize, FrameNumber)> {
        if self.jobs.is_empty() {
            return None;
        }
        // Rather a young one.
        let back = wire.between(0, self.jobs.len().min(12) as u64 - 1) as usize;
        Some(self.jobs[self.jobs.len() - 1 - back])
    }
}

/// An admin sets the limits of a user of the tenant, or resets them.
fn limit(asker: usize, wire: &mut Wire) -> Command {
    let user: UserId = USERS[asker].1.parse().expect("a user");
    let limits = wire.chance(0.7).then(|| Limits {
        cpu_seconds: wire.between(100, 800) as i64,
        queued_jobs: wire.between(3, 12) as u32,
        running_jobs: wire.between(1, 5) as u32,
        cpu: 2,
        mem_mb: 512,
        drafts: 10,
        starts_per_minute: nox_contract::limits::UNLIMITED,
    });
    let account = subject::user_account(&user);
    Command::SetLimits(Box::new(SetLimits { account, limits, by: user, reason: String::new() }))
}

/// An operator registers one of a few versions of the first module; now and then as something else than before.
fn register(asker: usize, wire: &mut Wire) -> Command {
    let version = format!("r{}", wire.between(0, 3));
    let title = if wire.chance(0.2) { "another" } else { "" };
    let manifest = Manifest {
        name: MODULES[0].0.parse().expect("a module's name"),
        version,
        title: title.to_owned(),
        input_schema: RawJson::default(),
        output_schema: RawJson::default(),
        resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 10, gpu: 0 },
        retry: RetryPolicy::default(),
        running_max: None,
        starts_per_minute: None,
    };
    let source = RawJson::of(&manifest).expect("a manifest can be serialised");
    let by = USERS[asker].1.parse().expect("a user");
    Command::RegisterModule(Box::new(RegisterModule { manifest, source, by }))
}

/// An operator takes a worker out of service, or puts it back.
fn drain(wire: &mut Wire) -> Command {
    let worker = EXECUTORS[wire.between(0, EXECUTORS.len() as u64 - 1) as usize];
    Command::DrainWorker(DrainWorker {
        worker_id: worker.parse().expect("a worker's name"),
        drained: wire.chance(0.4),
        by: "root".parse().expect("a user"),
    })
}

/// Somebody who may write reports in a worker's name and does not hold its attempts.
pub struct Forger;

impl Forger {
    const EVERY: Micros = 100 * MS;

    pub fn on(happening: &Happening, wire: &mut Wire) {
        if !matches!(happening, Happening::Act) || wire.quiet {
            return;
        }
        let at = wire.now + Self::EVERY * wire.plan.scale;
        wire.schedule(at, Party::Forger, 0, Happening::Act);
        if !wire.strikes(Fault::Forgery) {
            return;
        }
        let pick = wire.between(0, 1_000) as usize;
        let Some((worker, session, held, earlier)) = wire.oracle.some_assignment(pick) else {
            return;
        };
        let (job_id, attempt) = (held.job_id, held.attempt);
        // Out of thin air, or of an earlier attempt of the same job.
        let token = match earlier {
            Some(token) if wire.chance(0.5) => token,
            _ => Token::compute(&[7; 32], job_id, Attempt(1), FrameNumber(1)),
        };
        let report = match wire.between(0, 3) {
            0 => Report::Started(Started { job_id, attempt, token, elapsed_ms: 1 }),
            1 => Report::Stopped(Stopped { job_id, attempt, token, usage: Usage::default() }),
            kind => Report::Ended(Box::new(Ended {
                job_id,
                attempt,
                token,
                started: true,
                usage: Usage::default(),
                end: if kind == 2 {
                    AttemptEnd::Succeeded { outputs: RawJson::default() }
                } else {
                    let error = JobError {
                        code: "forged".into(),
                        message: String::new(),
                        exit_status: None,
                    };
                    AttemptEnd::Failed { error, retryable: false, crashed: false }
                },
            })),
        };
        let message = ReportMessage { session, reports: vec![report] };
        let payload = serde_json::to_vec(&message).expect("reports can be serialised");
        let publish = Publish::Reports { worker, payload: payload.into(), forged: true };
        wire.publish(Party::Forger, 0, Call::Nobody, publish);
    }
}
