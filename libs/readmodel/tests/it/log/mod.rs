//! Logs for tests: chained frames as the scheduler's leader writes them.

mod facts;
mod fates;

use std::time::Duration;

use bytes::Bytes;
use nox_contract::{
    Attempt, Cause, Chain, Entity, Entry, Epoch, EpochRecord, Fact, FactOrUnknown, Frame,
    FrameNumber, Incarnation, JobError, JobId, ModuleName, Place, Positions, ProblemCode, RawJson,
    Refusal, Resources, SessionId, Source, TenantId, Timestamp, UserId, WaitingCode, WorkNumber,
    WorkerId, subject,
};
use nox_protocol::Reader;
use nox_readmodel::{Batch, LogMessage, query::JobEntry};
use uuid::Uuid;

pub use facts::*;
pub use fates::{eventful, eventful_in};

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

/// What a job's entries say about it.
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

    /// The same with an id as idempotency keys give it.
    pub fn keyed(self) -> Self {
        Self { id: JobId(Uuid::new_v8(self.id.0.into_bytes())), ..self }
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
    /// Entries after which a frame is sealed.
    entries_max: usize,
    /// Of the frame that is being written.
    open: Vec<Entry>,
}

impl Log {
    /// Begins with a term. Each entry is a frame of its own.
    pub fn new() -> Self {
        Self::in_frames_of(1)
    }

    /// Begins with a term. Frames have so many entries, but for those that are sealed before.
    pub fn in_frames_of(entries_max: usize) -> Self {
        let mut log = Self {
            messages: Vec::new(),
            chain: Chain::START,
            at: BEGIN,
            pos: Positions::default(),
            epoch: Epoch(0),
            next_work: 1,
            entries_max,
            open: Vec::new(),
        };
        log.begin_term();
        log
    }

    pub fn n(&self) -> FrameNumber {
        FrameNumber(self.messages.len() as u64)
    }

    pub fn begin_term(&mut self) {
        self.seal();
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

    /// An entry of `facts` for `entity`; says in which frame.
    pub fn entry(&mut self, entity: &Entity, facts: impl IntoIterator<Item = Fact>) -> FrameNumber {
        self.entry_with(entity, facts.into_iter().map(FactOrUnknown::Known).collect())
    }

    pub fn entry_with(&mut self, entity: &Entity, facts: Vec<FactOrUnknown>) -> FrameNumber {
        let n = self.n().next();
        if self.open.is_empty() {
            self.at = self.at + Duration::from_micros(137);
        }
        let (seq, part) = (self.pos.commands.seq.max(1), self.open.len() as u32);
        let by = Cause { src: Source::Commands, seq, part };
        self.open.push(Entry::new(by, entity.clone(), facts));
        if self.open.len() >= self.entries_max {
            self.seal();
        }
        n
    }

    /// Ends the frame that is being written, if there is one, with all that it was caused by.
    pub fn seal(&mut self) {
        if !self.open.is_empty() {
            self.consume();
            self.frame();
        }
    }

    /// A frame without entries: what was consumed caused nothing.
    pub fn empty_frame(&mut self) -> FrameNumber {
        self.seal();
        self.consume();
        self.frame()
    }

    fn consume(&mut self) {
        let Positions { commands, reports } = self.pos;
        let commands = Place::after(commands.seq.max(1));
        let reports = Place::after(reports.seq.max(1) + 1);
        self.pos = Positions { commands, reports };
    }

    /// Ends the frame that is being written, where `pos` is.
    pub fn frame(&mut self) -> FrameNumber {
        let timer = json(r#"{"timer": {"due": ["somebody-elses-job"]}}"#);
        let frame = Frame {
            n: self.n().next(),
            epoch: self.epoch,
            at: self.at,
            rules: 1,
            prev: self.chain.to_string(),
            pos: self.pos,
            inputs: vec![timer],
            askers: Vec::new(),
            asked: Vec::new(),
            entries: std::mem::take(&mut self.open),
        };
        self.push(subject::FRAMES.to_owned(), serde_json::to_vec(&frame).unwrap())
    }

    fn push(&mut self, subject: String, payload: Vec<u8>) -> FrameNumber {
        self.chain = self.chain.extend(&payload);
        self.messages.push(LogMessage { subject, payload: Bytes::from(payload) });
        self.n()
    }

    /// The entries of a job as they are read: in the frames after `after` that its row names.
    pub async fn history(
        &self,
        reader: &nox_readmodel::Reader,
        job: &JobOf,
        after: FrameNumber,
    ) -> Vec<JobEntry> {
        let named = reader.job_frames(&job.tenant, job.id, after).await.unwrap().value.unwrap();
        let of_frame = |n: FrameNumber| {
            let payload = &self.messages[n.0 as usize - 1].payload;
            JobEntry::of_frame(n, payload, &job.tenant, job.id).unwrap()
        };
        named.into_iter().flat_map(of_frame).collect()
    }

    /// The entries of a job as they were written, and their frames.
    pub fn entries_of(&self, job: &JobOf) -> Vec<(FrameNumber, String)> {
        #[derive(serde::Deserialize)]
        struct Written {
            entries: Vec<RawJson>,
        }
        // Not as a `Value`, which takes not all that an entry may carry.
        #[derive(serde::Deserialize)]
        struct Owner {
            tenant: String,
            job_id: Option<String>,
        }
        let (tenant, id) = (job.tenant.to_string(), Some(job.id.to_string()));
        let mut found = Vec::new();
        for (n, message) in (1..).map(FrameNumber).zip(&self.messages) {
            if message.subject != subject::FRAMES {
                continue;
            }
            let written: Written = serde_json::from_slice(&message.payload).unwrap();
            for entry in written.entries {
                let owner: Owner = serde_json::from_str(entry.get()).unwrap();
                if owner.job_id == id && owner.tenant == tenant {
                    found.push((n, entry.get().to_owned()));
                }
            }
        }
        found
    }

    /// The messages after `after` as one batch.
    pub fn batch_after(&self, after: FrameNumber) -> Batch {
        let mut reader = reader_at(&self.messages, after);
        Batch::read(&mut reader, self.messages[after.0 as usize..].iter().cloned()).unwrap()
    }

    /// All messages in batches of `size`.
    pub fn batches(&self, size: usize) -> Vec<Batch> {
        let mut reader = Reader::default();
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
            self.entry(&entity, [limits_set(role), granted(1_000_000_000)]);
        }
    }

    pub fn declare(&mut self, name: &str) {
        self.entry(
            &Entity::Module(module(name)),
            [Fact::ModuleDeclared { manifest: Box::new(manifest(name)), enabled: true }],
        );
    }

    pub fn join(&mut self, name: &str, modules: &[&str]) {
        self.entry(&Entity::Worker(worker(name)), [joined(modules)]);
    }

    pub fn submit(&mut self, job: &JobOf) -> FrameNumber {
        self.entry(
            &job.entity(),
            [submitted(), reserved(), Fact::Waiting { code: WaitingCode::NoWorker }],
        )
    }

    /// A promised copy of its submit, which is refused.
    pub fn reject(&mut self, job: &JobOf, code: ProblemCode) -> FrameNumber {
        self.entry(&job.entity(), [rejected(Refusal::new(code, "refused"))])
    }

    pub fn submit_and_assign(&mut self, job: &JobOf, worker: &str) -> FrameNumber {
        let assigned = self.assigned(worker, 1);
        self.entry(&job.entity(), [submitted(), reserved(), assigned])
    }

    pub fn assign(&mut self, job: &JobOf, worker: &str, attempt: u32) -> FrameNumber {
        let assigned = self.assigned(worker, attempt);
        self.entry(&job.entity(), [assigned])
    }

    pub fn start(&mut self, job: &JobOf, worker: &str, attempt: u32) -> FrameNumber {
        self.entry(&job.entity(), [started(worker, attempt)])
    }

    /// What one report of a short job causes.
    pub fn start_and_succeed(&mut self, job: &JobOf, worker: &str) -> FrameNumber {
        self.entry(
            &job.entity(),
            [started(worker, 1), succeeded(1), settled(2), released(CPU_SECONDS - 2)],
        )
    }

    pub fn succeed(&mut self, job: &JobOf, attempt: u32) -> FrameNumber {
        self.entry(&job.entity(), [succeeded(attempt), settled(2), released(CPU_SECONDS - 2)])
    }

    fn assigned(&mut self, name: &str, attempt: u32) -> Fact {
        let work = WorkNumber(self.next_work);
        self.next_work += 1;
        let session = SessionId(Uuid::from_u128(7));
        Fact::Assigned {
            worker_id: worker(name),
            session,
            attempt: Attempt(attempt),
            work,
            request: None,
        }
    }
}

/// A reader that has read everything up to `n`.
pub fn reader_at(messages: &[LogMessage], n: FrameNumber) -> Reader {
    let mut reader = Reader::default();
    for message in &messages[..n.0 as usize] {
        reader.read(&message.subject, &message.payload).unwrap();
    }
    reader
}
