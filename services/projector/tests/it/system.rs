//! A broker, a Postgres, a log that is being written, and projectors to run.

use std::{
    mem,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_archive::{Archive, SegmentBuilder};
use nox_contract::{
    Attempt, Cause, Chain, Entity, Entry, Epoch, EpochRecord, Fact, FactOrUnknown, Frame,
    FrameNumber, Incarnation, JobId, Limits, ModuleName, Place, Positions, RawJson, Resources,
    SessionId, Source, TenantId, Timestamp, UserId, WorkNumber, WorkerId, fact::Submitted, subject,
};
use nox_devkit::{NatsOptions, NatsServer, Postgres, PostgresOptions, Sync};
use nox_projector::Config;
use nox_readmodel::Reader;
use nox_service::{Runtime, Secret};
use nox_streams::{Broker, ConnectOptions, Durability};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
/// 2026-11-21T22:00:00Z.
const BEGIN: Timestamp = Timestamp::from_micros(1_795_298_400_000_000);

pub struct System {
    pub nats: NatsServer,
    pub postgres: Postgres,
    pub broker: Broker,
    pub reader: Reader,
    pub log: Log,
    folder: TempDir,
}

impl System {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            NatsOptions { sync: Sync::Relaxed, ..NatsOptions::new(folder.path().join("nats")) };
        let nats = NatsServer::start(options).await.unwrap();
        let options =
            PostgresOptions { fast: true, ..PostgresOptions::new(folder.path().join("pg")) };
        let postgres = Postgres::start(options).await.unwrap();
        let reader = Reader::new(&postgres.url(), 2).unwrap();
        let broker = connect(&nats).await;
        let mut system = Self { nats, postgres, broker, reader, log: Log::default(), folder };
        system.write(Log::begin).await;
        system
    }

    /// Puts another, empty broker in the place of this one.
    pub async fn replace_broker(&mut self) {
        self.nats.stop().await;
        let options = NatsOptions {
            sync: Sync::Relaxed,
            ..NatsOptions::new(self.folder.path().join("another"))
        };
        self.nats = NatsServer::start(options).await.unwrap();
        self.broker = connect(&self.nats).await;
        self.log = Log::default();
        self.write(Log::begin).await;
    }

    /// An archive of the log, in which nothing is kept yet.
    pub fn archive(&self) -> Archive {
        Archive::create(self.folder.path().join("archive").to_str().unwrap()).unwrap()
    }

    /// The log, wherever its messages are.
    pub async fn joined_log(&self) -> nox_archive::Log {
        let incarnation = self.broker.incarnation(subject::EVENTS).await.unwrap();
        nox_archive::Log::new(self.broker.clone(), incarnation, Some(&self.archive()))
    }

    /// Keeps all that was written, and leaves of the stream no more than its last frame.
    pub async fn keep_and_cut(&self) {
        let log = self.joined_log().await;
        let archive = log.archive().unwrap();
        let (n, chain) = archive.end().await.unwrap();
        let mut segment = SegmentBuilder::new(n, chain);
        let messages = log.read(n.next(), self.log.n()).try_concat().await.unwrap();
        messages.iter().for_each(|message| segment.push(message).unwrap());
        archive.put(segment.close().unwrap()).await.unwrap();
        self.broker.cut_log(self.log.n().0).await.unwrap();
    }

    pub fn config(&self) -> Config {
        Config {
            nats_url: Secret::new(self.nats.url()),
            nats_monitor_url: None,
            sync: Durability::Relaxed,
            archive: Some(self.archive().location().to_owned()),
            database_url: Secret::new(self.postgres.url()),
            keep_days: None,
            artifacts: None,
            artifact_days: 0,
            upload_days: 0,
            sweep_s: 0,
            delay_ms: 0,
        }
    }

    /// From now on this role needs its password; everybody else is let in without.
    pub async fn ask_for_passwords_of(&self, role: &str) {
        let path = self.folder.path().join("pg/pg_hba.conf");
        let rules = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("local all {role} scram-sha-256\n{rules}")).unwrap();
        self.postgres.psql("select pg_reload_conf()").await.unwrap();
    }

    /// A projector in this process.
    pub fn projector(&self, config: Config) -> Projector {
        let runtime = Runtime::new();
        let task = tokio::spawn(nox_projector::run(config, runtime.clone()));
        Projector { runtime, task }
    }

    /// A projector in a process of its own, that dies at `crash_point` if that is not empty.
    pub fn process(&self, crash_point: &str) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_nox-projector"))
            .env("NOX_NATS_URL", self.nats.url())
            .env("NOX_SYNC", "relaxed")
            .env("NOX_DATABASE_URL", self.postgres.url())
            .env("NOX_CRASH_POINT", crash_point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Process(child)
    }

    /// Writes to the log what `what` appends to it, and waits for the acknowledgements.
    pub async fn write(&mut self, what: impl FnOnce(&mut Log)) {
        let from = self.log.messages.len();
        what(&mut self.log);
        let acks: Vec<_> = self.log.messages[from..]
            .iter()
            .map(|(subject, payload)| self.broker.publish(subject.clone(), None, payload.clone()))
            .collect();
        for (seq, ack) in (from as u64 + 1..).zip(acks) {
            assert_eq!(ack.await.unwrap().seq, seq);
        }
    }

    /// Waits until the rows are where the log is.
    pub async fn caught_up(&self) {
        self.until("the rows are where the log is", async || {
            self.reader.progress().await.is_ok_and(|progress| progress.n == self.log.n())
        })
        .await;
    }

    pub async fn until(&self, what: &str, mut is: impl AsyncFnMut() -> bool) {
        let poll = async {
            while !is().await {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(SOON, poll).await.unwrap_or_else(|_| panic!("{what}: not so"));
    }
}

async fn connect(nats: &NatsServer) -> Broker {
    let options = ConnectOptions {
        url: nats.url(),
        service: "test",
        monitor_url: None,
        sync: Durability::Relaxed,
    };
    let broker = Broker::connect(options).await.unwrap();
    broker.declare().await.unwrap();
    broker
}

pub struct Projector {
    pub runtime: Runtime,
    pub task: JoinHandle<anyhow::Result<()>>,
}

impl Projector {
    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) {
        self.runtime.stop.cancel();
        self.end().await.unwrap();
    }

    /// Waits for its end, and says what it ended with.
    pub async fn end(self) -> Result<(), String> {
        let end = tokio::time::timeout(SOON, self.task).await.expect("it does not end");
        end.unwrap().map_err(|error| format!("{error:#}"))
    }
}

pub struct Process(Child);

impl Process {
    pub async fn end(mut self) -> ExitStatus {
        let wait = async {
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("it does not end")
    }

    pub fn kill9(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Entries of a frame: few, so that a handful of jobs is several frames.
const ENTRIES_MAX: usize = 4;

/// A log as the scheduler's leader writes it.
pub struct Log {
    pub messages: Vec<(String, Bytes)>,
    chain: Chain,
    at: Timestamp,
    pos: Positions,
    /// Of the frame that is being written.
    open: Vec<Entry>,
    jobs: u64,
}

impl Default for Log {
    fn default() -> Self {
        let (chain, pos) = (Chain::START, Positions::default());
        Self { messages: Vec::new(), chain, at: BEGIN, pos, open: Vec::new(), jobs: 0 }
    }
}

impl Log {
    pub fn n(&self) -> FrameNumber {
        FrameNumber(self.messages.len() as u64)
    }

    /// A term begins, and both accounts are granted a budget.
    fn begin(&mut self) {
        let record = EpochRecord {
            epoch: Epoch(1),
            leader: "scheduler-1".to_owned(),
            at: self.at,
            commands: Incarnation("commands".to_owned()),
            reports: Incarnation("reports".to_owned()),
        };
        self.push(subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap());
        let limits = Limits {
            cpu_seconds: 1_000_000_000,
            queued_jobs: 1_000,
            running_jobs: 256,
            cpu: 64,
            mem_mb: 262_144,
            drafts: 100,
            starts_per_minute: nox_contract::limits::UNLIMITED,
        };
        for account in ["tenant", "user/ada"] {
            let entity = Entity::Account { tenant: tenant(), account: account.to_owned() };
            let period = BEGIN.start_of_day();
            self.entry(
                entity,
                vec![
                    Fact::LimitsSet { role: "user".to_owned(), limits, change: None },
                    Fact::Granted { period, cpu_seconds: limits.cpu_seconds },
                ],
            );
        }
        self.seal();
    }

    /// Jobs that run to their end, `count` of them, a few at a time.
    pub fn jobs(&mut self, count: u64) {
        for number in self.jobs..self.jobs + count + 5 {
            if number < self.jobs + count {
                self.submit(number);
            }
            if number >= self.jobs + 5 {
                self.succeed(number - 5);
            }
        }
        self.jobs += count;
        self.seal();
    }

    fn submit(&mut self, number: u64) {
        let resources = Resources { cpu: 1, mem_mb: 256, wall_time_s: 60, gpu: 0 };
        let submitted = Submitted {
            module_version: "1".to_owned(),
            worker_labels: Default::default(),
            inputs: RawJson::parse(r#"{"text": "hello"}"#.to_owned()).unwrap(),
            requested_resources: resources,
            priority: 5,
            run_at: None,
            after: Vec::new(),
            fingerprint: None,
            task: None,
            metadata: None,
            concurrency: None,
            traceparent: None,
        };
        let period = BEGIN.start_of_day();
        let facts = vec![
            Fact::Submitted(Box::new(submitted)),
            Fact::Reserved { period, cpu_seconds: 60 },
            Fact::Assigned {
                worker_id: worker(),
                session: SessionId(Uuid::from_u128(7)),
                attempt: Attempt(1),
                work: WorkNumber(number + 1),
                request: None,
            },
        ];
        self.entry(job(number), facts);
    }

    fn succeed(&mut self, number: u64) {
        let period = BEGIN.start_of_day();
        let outputs = RawJson::parse(r#"{"scalars": {}}"#.to_owned()).unwrap();
        let facts = vec![
            Fact::Started { worker_id: worker(), attempt: Attempt(1), elapsed_ms: 3 },
            Fact::Succeeded { attempt: Attempt(1), outputs, wall_ms: 3 },
            Fact::Settled { period, cpu_seconds: 1, overrun: 0 },
            Fact::Released { period, cpu_seconds: 59 },
        ];
        self.entry(job(number), facts);
    }

    /// A message as somebody would write it who does not know the log.
    pub fn forged(&mut self) {
        self.chain = Chain::START.extend(b"something else");
        self.submit(1_000_000);
        self.seal();
    }

    /// A message of which a projector cannot make sense, though it is well chained.
    pub fn illegal(&mut self) {
        self.succeed(2_000_000);
        self.seal();
    }

    fn entry(&mut self, entity: Entity, facts: Vec<Fact>) {
        let (seq, part) = (self.pos.commands.seq.max(1), self.open.len() as u32);
        let by = Cause { src: Source::Commands, seq, part };
        let facts = facts.into_iter().map(FactOrUnknown::Known).collect();
        self.open.push(Entry::new(by, entity, facts));
        if self.open.len() >= ENTRIES_MAX {
            self.seal();
        }
    }

    /// Ends the frame that is being written, if there is one.
    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.at = self.at + Duration::from_micros(137);
        self.pos.commands = Place::after(self.pos.commands.seq.max(1));
        let frame = Frame {
            n: self.n().next(),
            epoch: Epoch(1),
            at: self.at,
            rules: 1,
            prev: self.chain.to_string(),
            pos: self.pos,
            inputs: Vec::new(),
            askers: Vec::new(),
            asked: Vec::new(),
            entries: mem::take(&mut self.open),
        };
        self.push(subject::FRAMES.to_owned(), serde_json::to_vec(&frame).unwrap());
    }

    fn push(&mut self, subject: String, payload: Vec<u8>) {
        self.chain = self.chain.extend(&payload);
        self.messages.push((subject, payload.into()));
    }
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn worker() -> WorkerId {
    WorkerId::new("exec-1").unwrap()
}

fn job(number: u64) -> Entity {
    Entity::Job {
        tenant: tenant(),
        job_id: JobId(Uuid::from_u128(1 << 64 | u128::from(number))),
        user_id: UserId::new("ada").unwrap(),
        module: ModuleName::new("command").unwrap(),
    }
}
