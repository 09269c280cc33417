//! What the scheduler's state costs, counted where it is allocated.

#![expect(unsafe_code, reason = "an allocator is one by its nature")]
#![expect(clippy::disallowed_types, reason = "says how long a copy takes")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use nox_contract::{
    Cause, Entity, Entry, Fact, Frame, JobId, JobState, Limits, Manifest, Positions, RawJson,
    Resources, RetryPolicy, Source, Timestamp, WaitingCode, fact::Submitted,
};
use nox_core::State;

/// Jobs that are measured.
const JOBS: usize = 100_000;
/// Entries of a frame.
const ENTRIES: usize = 500;

/// Most bytes that a queued job of one user may cost.
const QUEUED_BYTES_MAX: usize = 410;
/// Most bytes that a queued job may cost where a thousand users have a hundred each, with the accounts.
const QUEUED_OF_MANY_BYTES_MAX: usize = 430;
/// Most bytes that a user may cost who has one queued job: the account, its place in the order of turns, the kind of job, and the job.
const USER_BYTES_MAX: usize = 2_500;
/// Most bytes for an ended job that is remembered.
const ENDED_BYTES_MAX: usize = 40;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a good id")
}

/// As gateways make them: of an idempotency key, or rising with time.
fn job_id(number: usize, keyed: bool) -> JobId {
    if !keyed {
        return id(&format!("0193a000-{:04x}-7000-8000-{number:012x}", number / 50));
    }
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id(&format!("{:08x}-{:04x}-8000-8000-{number:012x}", hash >> 32, hash >> 16 & 0xffff))
}

struct Log {
    state: State,
    entries: Vec<Entry>,
    late: bool,
}

impl Log {
    fn new() -> Self {
        let mut log = Self { state: State::default(), entries: Vec::new(), late: false };
        let manifest = Manifest {
            name: id("xtb"),
            version: "1".to_owned(),
            title: String::new(),
            input_schema: RawJson::default(),
            output_schema: RawJson::default(),
            resources: resources(),
            retry: RetryPolicy::default(),
            running_max: None,
            starts_per_minute: None,
        };
        let declared = Fact::ModuleDeclared { manifest: Box::new(manifest), enabled: true };
        log.push(Entity::Module(id("xtb")), vec![declared]);
        log.open("tenant");
        log.seal();
        log
    }

    fn open(&mut self, account: &str) {
        let limits = Limits {
            cpu_seconds: 1 << 40,
            queued_jobs: 1 << 30,
            running_jobs: 9,
            cpu: 9,
            mem_mb: 9,
            drafts: 9,
            starts_per_minute: nox_contract::limits::UNLIMITED,
        };
        let facts = vec![
            Fact::LimitsSet { role: "user".to_owned(), limits, change: None },
            Fact::Granted { period: day(), cpu_seconds: 1 << 40 },
        ];
        self.push(Entity::Account { tenant: id("acme"), account: account.to_owned() }, facts);
    }

    fn push(&mut self, entity: Entity, facts: Vec<Fact>) {
        let by = Cause { src: Source::Commands, seq: 1, part: 0 };
        self.entries.push(Entry::new(by, entity, facts.into_iter().map(Into::into).collect()));
        if self.entries.len() == ENTRIES {
            self.seal();
        }
    }

    /// Reads the frame that was gathered, as whoever folds the log does.
    fn seal(&mut self) {
        let frame = Frame {
            n: self.state.n.next(),
            epoch: self.state.epoch,
            at: at(self.state.n.0 + if self.late { 20 * 600 } else { 0 }),
            rules: 1,
            prev: String::new(),
            pos: Positions::default(),
            inputs: Vec::new(),
            askers: Vec::new(),
            asked: Vec::new(),
            entries: std::mem::take(&mut self.entries),
        };
        let text = serde_json::to_string(&frame).expect("JSON");
        let frame: Frame = serde_json::from_str(&text).expect("a frame");
        self.state.apply(&frame).expect("a legal frame");
    }

    fn job(&self, number: usize, user: usize) -> (Entity, JobId) {
        let job_id = job_id(number, number.is_multiple_of(4));
        let user_id = id(&format!("user-{user}@example.org"));
        (Entity::Job { tenant: id("acme"), job_id, user_id, module: id("xtb") }, job_id)
    }

    fn submit(&mut self, number: usize, user: usize) {
        let (entity, _) = self.job(number, user);
        let submitted = Submitted {
            module_version: "1".to_owned(),
            worker_labels: Default::default(),
            inputs: RawJson::default(),
            requested_resources: resources(),
            priority: if number.is_multiple_of(10) { 7 } else { 5 },
            run_at: None,
            after: Vec::new(),
            fingerprint: number.is_multiple_of(4).then(|| format!("b3:{number:064x}")),
            task: None,
            metadata: None,
            concurrency: None,
            traceparent: None,
        };
        let facts = vec![
            Fact::Submitted(Box::new(submitted)),
            Fact::Reserved { period: day(), cpu_seconds: resources().cpu_seconds() },
            Fact::Waiting { code: WaitingCode::Resources },
        ];
        self.push(entity, facts);
    }

    fn cancel(&mut self, number: usize, user: usize) {
        let (entity, _) = self.job(number, user);
        let facts = vec![
            Fact::Canceled { by: id("root") },
            Fact::Released { period: day(), cpu_seconds: resources().cpu_seconds() },
        ];
        self.push(entity, facts);
    }

    fn check(&mut self) {
        if !self.entries.is_empty() {
            self.seal();
        }
        self.state.check().expect("a sound state");
    }
}

fn resources() -> Resources {
    Resources { cpu: 2, mem_mb: 512, wall_time_s: 600, gpu: 0 }
}

fn day() -> Timestamp {
    id("2026-11-21T00:00:00Z")
}

fn at(frame: u64) -> Timestamp {
    day() + std::time::Duration::from_millis(100 * frame)
}

/// Queues all jobs, of so many users; what each costs in bytes.
fn queue(users: usize) -> (Log, usize) {
    let mut log = Log::new();
    log.seal();
    let before = LIVE.load(Relaxed);
    for user in 0..users {
        log.open(&format!("user/user-{user}@example.org"));
    }
    for number in 0..JOBS {
        log.submit(number, number % users);
    }
    log.seal();
    log.entries.shrink_to_fit();
    let bytes = (LIVE.load(Relaxed) - before) / JOBS;
    assert_eq!(log.state.jobs().count(), JOBS);
    (log, bytes)
}

/// One test, for what one allocates would be counted for others.
#[test]
fn what_is_queued_and_what_has_ended_costs_so_much() {
    let (_, distinct) = queue(JOBS);
    let (mut of_many, many) = queue(1_000);
    of_many.check();
    drop(of_many);
    let (mut log, bytes) = queue(1);
    log.check();
    println!(
        "a queued job: {bytes} bytes; of 1,000 users: {many}; of a user of its own: {distinct}"
    );

    let begun = Instant::now();
    let copy = log.state.to_snapshot();
    let cloned = begun.elapsed();
    let begun = Instant::now();
    let text = serde_json::to_vec(&copy).expect("JSON");
    println!(
        "a snapshot of {JOBS} queued jobs: copied in {cloned:?}, {} bytes written in {:?}",
        text.len(),
        begun.elapsed()
    );
    drop((copy, text));

    for number in 0..JOBS {
        log.cancel(number, 0);
    }
    log.seal();
    log.entries.shrink_to_fit();
    let live = LIVE.load(Relaxed);
    let remembered = log.state.ended_remembered();
    assert_eq!(remembered, JOBS);
    assert_eq!(log.state.ended(job_id(4, true)).map(|job| job.state), Some(JobState::Canceled));
    // A quarter of an hour and a bit later all of them are forgotten.
    log.late = true;
    log.seal();
    assert_eq!(log.state.ended_remembered(), 0);
    let ended = (live - LIVE.load(Relaxed)) / remembered;
    println!("an ended job: {ended} bytes");

    assert!(ended <= ENDED_BYTES_MAX, "{ended}");
    assert!(bytes <= QUEUED_BYTES_MAX, "{bytes}");
    assert!(many <= QUEUED_OF_MANY_BYTES_MAX, "{many}");
    assert!(distinct <= USER_BYTES_MAX, "{distinct}");
}
