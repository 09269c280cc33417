//! Stands in for scheduler and projector: decides commands as it is told, writes the log, and folds
//! it into Postgres when it is told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use nox_contract::{
    Accepted, Answer, AnswerMessage, Attempt, Cause, Chain, Command, CommandMessage, Entity, Entry,
    Epoch, EpochRecord, Fact, Frame, FrameNumber, JobId, JobState, Limits, LimitsChange, Manifest,
    Outcome, Place, Positions, ProblemCode, RawJson, Refusal, Resources, SessionId, Source,
    TenantId, WaitingCode, WorkNumber, fact::Submitted, subject,
};
use nox_protocol::Reader as LogReader;
use nox_readmodel::{Batch, LogMessage, Store};
use nox_service::{Clock, ids};
use nox_streams::Broker;
use serde_json::{Value, json};

/// How the scheduler treats commands.
#[derive(Debug, Clone, Default)]
pub enum Mood {
    #[default]
    Decide,
    /// Refuses submits so.
    Refuse(Refusal),
    /// Refuses one submit so, then decides again.
    RefuseOnce(Refusal),
    /// Decides, and answers nobody.
    Mute,
    /// Decides, and answers in these words.
    Say(String),
    /// Leaves commands where they are.
    Sleep,
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct StubScheduler {
    broker: Broker,
    state: Arc<tokio::sync::Mutex<StubState>>,
    mood: Arc<Mutex<Mood>>,
}

struct StubState {
    store: Store,
    projected: LogReader,
    n: FrameNumber,
    chain: Chain,
    pos: Positions,
    /// What the next frame has.
    inputs: Vec<RawJson>,
    entries: Vec<Entry>,
    clock: Clock,
    /// All that was written.
    written: Vec<LogMessage>,
    /// Written and not yet folded.
    unprojected: Vec<LogMessage>,
    /// Whether writing is followed by folding.
    projecting: bool,
    jobs: HashMap<JobId, Known>,
    /// What was consumed, in order.
    messages: Vec<CommandMessage>,
}

struct Known {
    tenant: TenantId,
    entity: Entity,
    n: FrameNumber,
    fingerprint: Option<String>,
    ended: bool,
}

impl StubScheduler {
    /// Begins to consume commands.
    pub async fn start(broker: Broker, database_url: &str) -> Self {
        let store = attach(&broker, database_url).await;
        let state = StubState {
            store,
            projected: LogReader::default(),
            n: FrameNumber(0),
            chain: Chain::START,
            pos: Positions::default(),
            inputs: Vec::new(),
            entries: Vec::new(),
            clock: Clock::system(),
            written: Vec::new(),
            unprojected: Vec::new(),
            projecting: true,
            jobs: HashMap::new(),
            messages: Vec::new(),
        };
        let scheduler =
            Self { broker, state: Arc::new(tokio::sync::Mutex::new(state)), mood: Arc::default() };
        scheduler.state.lock().await.begin_term(&scheduler.broker).await;
        tokio::spawn(scheduler.clone().work());
        scheduler
    }

    /// Folds all that was written so far into another database.
    pub async fn copy_to(&self, database_url: &str) {
        let mut store = attach(&self.broker, database_url).await;
        let written = self.state.lock().await.written.clone();
        let batch = Batch::read(&mut LogReader::default(), written).unwrap();
        store.commit(&batch).await.unwrap();
    }

    /// Folds what the rows do not have any more, and goes on through a new connection.
    pub async fn fold_again(&self, database_url: &str) {
        let mut store = attach(&self.broker, database_url).await;
        let at = store.checkpoint().await.unwrap();
        let mut state = self.state.lock().await;
        let written = state.written[at.n.0 as usize..].to_vec();
        let batch = Batch::read(&mut LogReader::new(at.n, at.chain, at.pos), written).unwrap();
        store.commit(&batch).await.unwrap();
        state.store = store;
    }

    /// Reads commands from another stream than before, as an operator has allowed.
    pub async fn take_up_commands(&self) {
        let mut state = self.state.lock().await;
        state.pos.commands = Place::default();
        let incarnation = self.broker.incarnation(subject::COMMANDS).await.unwrap();
        let by = "an operator".to_owned();
        let reset = Fact::InputsReset { src: Source::Commands, incarnation, by };
        let by = state.timer();
        state.add(by, Entity::Control, vec![reset]);
        state.write(&self.broker).await;
        drop(state);
        tokio::spawn(self.clone().work());
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Every message of commands that was consumed so far.
    pub async fn messages(&self) -> Vec<CommandMessage> {
        self.state.lock().await.messages.clone()
    }

    /// Every command that was consumed so far.
    pub async fn commands(&self) -> Vec<Command> {
        self.messages().await.into_iter().flat_map(|message| message.commands).collect()
    }

    /// From now on, what is written is not folded until [`project`](Self::project).
    pub async fn hold_projection(&self) {
        self.state.lock().await.projecting = false;
    }

    /// Folds all that was written, and goes on doing so.
    pub async fn project(&self) {
        let mut state = self.state.lock().await;
        state.projecting = true;
        state.project().await;
    }

    /// Declares a module as a worker's report does, the first of which is `report`.
    pub async fn declare_module(&self, name: &str, input_schema: Value) {
        let report = self
            .broker
            .publish("nox.rep.worker-1".to_owned(), None, Bytes::from_static(b"{}"))
            .await
            .unwrap();
        let manifest = Manifest {
            name: name.parse().unwrap(),
            version: "1.0.0".to_owned(),
            title: "A test".to_owned(),
            input_schema: RawJson::of(&input_schema).unwrap(),
            output_schema: RawJson::of(&true).unwrap(),
            resources: Resources { cpu: 1, mem_mb: 128, wall_time_s: 60, gpu: 0 },
            retry: nox_contract::RetryPolicy::default(),
            running_max: None,
            starts_per_minute: None,
        };
        let mut state = self.state.lock().await;
        state.pos.reports = Place::after(report.seq);
        let by = Cause { src: Source::Reports, seq: report.seq, part: 0 };
        let entity = Entity::Module(manifest.name.clone());
        let declared = Fact::ModuleDeclared { manifest: Box::new(manifest), enabled: true };
        state.add(by, entity, vec![declared]);
        state.write(&self.broker).await;
    }

    /// Writes limits and a grant for a user's account.
    pub async fn grant(&self, tenant: &str, user: &str, limits: Limits) {
        let mut state = self.state.lock().await;
        let period = state.clock.wall().start_of_day();
        let account = subject::user_account(&user.parse().unwrap());
        let entity = Entity::Account { tenant: tenant.parse().unwrap(), account };
        let facts = vec![
            Fact::LimitsSet { role: "user".to_owned(), limits, change: None },
            Fact::Granted { period, cpu_seconds: limits.cpu_seconds },
        ];
        let by = state.timer();
        state.add(by, entity, facts);
        state.write(&self.broker).await;
    }

    /// Records that a submit of `user` was refused.
    pub async fn violate(&self, tenant: &str, user: &str, refusal: Refusal) {
        let mut state = self.state.lock().await;
        let account = subject::user_account(&user.parse().unwrap());
        let entity = Entity::Account { tenant: tenant.parse().unwrap(), account };
        let violated = Fact::QuotaViolated {
            job_id: ids::job_id(),
            user_id: user.parse().unwrap(),
            module: "xtb_hello".parse().unwrap(),
            refusal: Box::new(refusal),
        };
        let by = state.timer();
        state.add(by, entity, vec![violated]);
        state.write(&self.broker).await;
    }

    /// One timer wakes these jobs, whoever's they are.
    pub async fn wake(&self, ids: &[JobId]) {
        let mut state = self.state.lock().await;
        let by = state.input(json!({"timer": {"due": ids}}));
        for id in ids {
            let entity = state.jobs[id].entity.clone();
            state.add(by, entity, vec![Fact::Waiting { code: WaitingCode::Priority }]);
        }
        state.write(&self.broker).await;
    }

    /// Runs a queued job to its end.
    pub async fn succeed(&self, id: JobId) {
        let outputs = json!({
            "files": ["sandbox://ada/1/result.txt"],
            "metrics": {"duration_s": 0.53},
        });
        self.succeed_with(id, &outputs).await;
    }

    /// Runs a queued job to its end, which a report tells of.
    pub async fn succeed_with(&self, id: JobId, outputs: &Value) {
        let outputs = RawJson::of(outputs).unwrap();
        self.end(id, |attempt| vec![Fact::Succeeded { attempt, outputs, wall_ms: 530 }]).await;
    }

    /// The same for one that fails.
    pub async fn fail(&self, id: JobId) {
        let error = nox_contract::JobError {
            code: "exit_status".to_owned(),
            message: "exit status 1".to_owned(),
            exit_status: Some(1),
        };
        self.end(id, |attempt| {
            let error = error.clone();
            vec![
                Fact::AttemptFailed { attempt, error: error.clone(), crashed: false, wall_ms: 1 },
                Fact::Failed { error },
            ]
        })
        .await;
    }

    async fn end(&self, id: JobId, end: impl FnOnce(Attempt) -> Vec<Fact>) {
        let report = self
            .broker
            .publish("nox.rep.worker-1".to_owned(), None, Bytes::from_static(b"{}"))
            .await
            .unwrap();
        let mut state = self.state.lock().await;
        let worker_id: nox_contract::WorkerId = "worker-1".parse().unwrap();
        let attempt = Attempt(1);
        let mut facts = vec![
            Fact::Assigned {
                worker_id: worker_id.clone(),
                session: SessionId(ids::unique()),
                attempt,
                work: WorkNumber(1),
                request: None,
            },
            Fact::Started { worker_id, attempt, elapsed_ms: 0 },
        ];
        facts.extend(end(attempt));
        let job = state.jobs.get_mut(&id).expect("a job that was submitted");
        job.ended = true;
        let entity = job.entity.clone();
        state.pos.reports = Place::after(report.seq);
        let by = Cause { src: Source::Reports, seq: report.seq, part: 0 };
        state.add(by, entity, facts);
        state.write(&self.broker).await;
    }

    async fn work(self) {
        let mut chunks = self.broker.consume(subject::COMMANDS, None, 1, None);
        while let Some(chunk) = chunks.next().await {
            // The stream is gone: whoever has taken it away says when there is another one.
            let Ok(chunk) = chunk else { return };
            for message in chunk {
                while matches!(*self.mood.lock().unwrap(), Mood::Sleep) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let tenant = subject::last_token(&message.subject).parse().unwrap();
                let commands: CommandMessage = serde_json::from_slice(&message.payload).unwrap();
                self.decide(tenant, message.seq, commands).await;
            }
        }
    }

    async fn decide(&self, tenant: TenantId, seq: u64, message: CommandMessage) {
        let mut state = self.state.lock().await;
        let mut answers = Vec::new();
        for (part, command) in (0..).zip(&message.commands) {
            let mood = self.mood.lock().unwrap().clone();
            let by = Cause { src: Source::Commands, seq, part };
            let outcome = match (command, mood) {
                (Command::Submit(_) | Command::SubmitBatch(_), Mood::Refuse(refusal)) => {
                    Outcome::Refused(refusal)
                }
                (Command::Submit(_) | Command::SubmitBatch(_), Mood::RefuseOnce(refusal)) => {
                    self.set_mood(Mood::Decide);
                    Outcome::Refused(refusal)
                }
                _ => state.decide(&tenant, command, by),
            };
            answers.push(Answer { part, outcome });
        }
        // One for all of them; where all were refused, it says how far it went and nothing else.
        state.pos.commands = Place::after(seq);
        state.write(&self.broker).await;
        state.messages.push(message.clone());
        drop(state);
        let mood = self.mood.lock().unwrap().clone();
        match (message.reply_to, mood) {
            (None, _) | (_, Mood::Mute) => {}
            (Some(reply_to), Mood::Say(words)) => {
                self.broker.publish_unacked(reply_to, words.into_bytes().into());
            }
            (Some(reply_to), _) => self.broker.answer(reply_to, &AnswerMessage { answers }),
        }
    }
}

async fn attach(broker: &Broker, database_url: &str) -> Store {
    let mut store = Store::new(database_url).unwrap();
    store.prepare().await.unwrap();
    store.follow(&broker.incarnation(subject::EVENTS).await.unwrap()).await.unwrap();
    store
}

impl StubState {
    fn decide(&mut self, tenant: &TenantId, command: &Command, by: Cause) -> Outcome {
        let accepted = |n, job_id, state, repeated| {
            Outcome::Accepted(Accepted { n, job_id, state: Some(state), repeated })
        };
        let said =
            |n| Outcome::Accepted(Accepted { n, job_id: None, state: None, repeated: false });
        match command {
            Command::SubmitBatch(batch) => {
                let known = batch.jobs.iter().filter(|job| self.jobs.contains_key(&job.job_id));
                let repeated = known.count() > 0;
                let submits = batch.jobs.iter().cloned().map(|job| Command::Submit(Box::new(job)));
                let mut n = FrameNumber::default();
                for submit in submits {
                    match self.decide(tenant, &submit, by) {
                        Outcome::Accepted(one) => n = n.max(one.n),
                        refused @ Outcome::Refused(_) => return refused,
                    }
                }
                Outcome::Accepted(Accepted { n, job_id: None, state: None, repeated })
            }
            Command::Submit(submit) => {
                if let Some(known) = self.jobs.get(&submit.job_id) {
                    if known.fingerprint != submit.fingerprint {
                        let code = ProblemCode::IdempotencyConflict;
                        return Outcome::Refused(Refusal::new(code, "used otherwise"));
                    }
                    return accepted(known.n, Some(submit.job_id), JobState::Queued, true);
                }
                let entity = Entity::Job {
                    tenant: tenant.clone(),
                    job_id: submit.job_id,
                    user_id: submit.user_id.clone(),
                    module: submit.module.clone(),
                };
                let job = Box::new(Submitted {
                    module_version: submit.module_version.clone().unwrap_or_default(),
                    worker_labels: submit.worker_labels.clone(),
                    inputs: submit.inputs.clone(),
                    requested_resources: submit.requested_resources,
                    priority: submit.priority,
                    run_at: submit.run_at,
                    after: submit.after.clone(),
                    fingerprint: submit.fingerprint.clone(),
                    task: None,
                    metadata: submit.metadata.clone(),
                    concurrency: submit.concurrency.clone(),
                    traceparent: submit.traceparent.clone(),
                });
                let (fact, state) = match submit.draft {
                    true => (Fact::Drafted(job), JobState::Draft),
                    false => (Fact::Submitted(job), JobState::Queued),
                };
                let n = self.add(by, entity.clone(), vec![fact]);
                let known = Known {
                    tenant: tenant.clone(),
                    entity,
                    n,
                    fingerprint: submit.fingerprint.clone(),
                    ended: false,
                };
                self.jobs.insert(submit.job_id, known);
                accepted(n, Some(submit.job_id), state, false)
            }
            Command::SubmitDraft(submit) => {
                let mine = |job: &&Known| job.tenant == *tenant && !job.ended;
                let Some(job) = self.jobs.get(&submit.job_id).filter(mine) else {
                    let code = ProblemCode::JobNotFound;
                    return Outcome::Refused(Refusal::new(code, "no such job"));
                };
                let entity = job.entity.clone();
                let n = self.add(by, entity, vec![Fact::DraftSubmitted {}]);
                accepted(n, Some(submit.job_id), JobState::Queued, false)
            }
            Command::Cancel(cancel) => {
                // As the scheduler, which has forgotten who ended.
                let open = |job: &&mut Known| job.tenant == *tenant && !job.ended;
                let Some(job) = self.jobs.get_mut(&cancel.job_id).filter(open) else {
                    let code = ProblemCode::JobNotFound;
                    return Outcome::Refused(Refusal::new(code, "no such job"));
                };
                job.ended = true;
                let entity = job.entity.clone();
                let fact = Fact::Canceled { by: cancel.by.clone() };
                let n = self.add(by, entity, vec![fact]);
                accepted(n, Some(cancel.job_id), JobState::Canceled, false)
            }
            Command::SetModule(set) => {
                let entity = Entity::Module(set.module.clone());
                let fact = Fact::ModuleSwitched { enabled: set.enabled, by: set.by.clone() };
                let n = self.add(by, entity, vec![fact]);
                Outcome::Accepted(Accepted { n, job_id: None, state: None, repeated: false })
            }
            Command::RegisterModule(_)
            | Command::Register(_)
            | Command::Claim(_)
            | Command::Undelivered(_)
            | Command::UpdateTask(_)
            | Command::RemoveWorker(_)
            | Command::RemoveTopic(_) => {
                let detail = "the rest is tried with the scheduler itself";
                Outcome::Refused(Refusal::new(ProblemCode::Unavailable, detail))
            }
            Command::SetLimits(set) => {
                let entity =
                    Entity::Account { tenant: tenant.clone(), account: set.account.clone() };
                let none = Limits {
                    cpu_seconds: 9,
                    queued_jobs: 9,
                    running_jobs: 9,
                    cpu: 9,
                    mem_mb: 9,
                    drafts: 9,
                    starts_per_minute: 9,
                };
                let (by_admin, reason, reset) =
                    (set.by.clone(), set.reason.clone(), set.limits.is_none());
                let change = LimitsChange { by: by_admin, reason, reset };
                let fact = Fact::LimitsSet {
                    role: "user".to_owned(),
                    limits: set.limits.unwrap_or(none),
                    change: Some(Box::new(change)),
                };
                said(self.add(by, entity, vec![fact]))
            }
            Command::CreateKey(create) => {
                let entity = Entity::Key { tenant: tenant.clone(), key_id: create.key_id };
                let fact =
                    Fact::KeyCreated { key: Box::new(create.key.clone()), by: create.by.clone() };
                said(self.add(by, entity, vec![fact]))
            }
            Command::RevokeKey(revoke) => {
                let entity = Entity::Key { tenant: tenant.clone(), key_id: revoke.key_id };
                let fact = Fact::KeyRevoked { by: revoke.by.clone() };
                said(self.add(by, entity, vec![fact]))
            }
            Command::SetSchedule(set) => {
                let entity =
                    Entity::Schedule { tenant: tenant.clone(), schedule_id: set.schedule_id };
                let fact = Fact::ScheduleSet {
                    spec: Box::new(set.spec.clone()),
                    owner: set.by.clone(),
                    role: set.role.clone(),
                    by: set.by.clone(),
                    key_id: set.key_id,
                };
                // At an instant by which nobody mistakes it for the gateway's own.
                let planned =
                    Fact::SchedulePlanned { next_due_at: Some(nox_contract::Timestamp::MAX) };
                said(self.add(by, entity, vec![fact, planned]))
            }
            Command::DrainWorker(_)
            | Command::PauseSchedule(_)
            | Command::DeleteSchedule(_)
            | Command::TriggerSchedule(_)
            | Command::SetWebhook(_)
            | Command::RotateWebhook(_)
            | Command::TestWebhook(_)
            | Command::RedeliverWebhook(_)
            | Command::DeleteWebhook(_)
            | Command::DisableWebhook(_) => {
                let detail = "the rest is tried with the scheduler itself";
                Outcome::Refused(Refusal::new(ProblemCode::Unavailable, detail))
            }
            Command::Unreadable => unreachable!("the gateway writes what can be read"),
        }
    }

    /// An input of the next frame that is in no stream.
    fn input(&mut self, input: Value) -> Cause {
        self.inputs.push(RawJson::of(&input).unwrap());
        Cause { src: Source::Timer, seq: self.inputs.len() as u64 - 1, part: 0 }
    }

    fn timer(&mut self) -> Cause {
        self.input(json!({"timer": {"due": []}}))
    }

    /// Adds an entry to the next frame, and says which one that is.
    fn add(&mut self, by: Cause, entity: Entity, facts: Vec<Fact>) -> FrameNumber {
        let owner = match facts.first() {
            Some(Fact::KeyCreated { by, .. } | Fact::KeyRevoked { by }) => Some(by.clone()),
            Some(Fact::ScheduleSet { owner, .. }) => Some(owner.clone()),
            _ => None,
        };
        let mut entry = Entry::new(by, entity, facts.into_iter().map(Into::into).collect());
        entry.user_id = entry.user_id.or(owner);
        self.entries.push(entry);
        self.n.next()
    }

    /// Writes the next frame, and folds it unless that is held back.
    async fn write(&mut self, broker: &Broker) {
        let frame = Frame {
            n: self.n.next(),
            epoch: Epoch(1),
            at: self.clock.now(),
            rules: 1,
            prev: self.chain.to_string(),
            pos: self.pos,
            inputs: std::mem::take(&mut self.inputs),
            askers: Vec::new(),
            asked: Vec::new(),
            entries: std::mem::take(&mut self.entries),
        };
        self.append(broker, subject::FRAMES, serde_json::to_vec(&frame).unwrap()).await;
    }

    async fn begin_term(&mut self, broker: &Broker) {
        let record = EpochRecord {
            epoch: Epoch(1),
            leader: "scheduler".to_owned(),
            at: self.clock.now(),
            commands: broker.incarnation(subject::COMMANDS).await.unwrap(),
            reports: broker.incarnation(subject::REPORTS).await.unwrap(),
        };
        self.append(broker, subject::EPOCH, serde_json::to_vec(&record).unwrap()).await;
    }

    async fn append(&mut self, broker: &Broker, subject: &str, payload: Vec<u8>) {
        let message = LogMessage { subject: subject.to_owned(), payload: payload.into() };
        let stored = broker.publish(message.subject.clone(), None, message.payload.clone()).await;
        self.n = self.n.next();
        assert_eq!(stored.unwrap().seq, self.n.0, "the scheduler alone writes the log");
        self.chain = self.chain.extend(&message.payload);
        self.written.push(message.clone());
        self.unprojected.push(message);
        if self.projecting {
            self.project().await;
        }
    }

    async fn project(&mut self) {
        let messages = std::mem::take(&mut self.unprojected);
        let batch = Batch::read(&mut self.projected, messages).unwrap();
        if !batch.is_empty() {
            self.store.commit(&batch).await.unwrap();
        }
    }
}
