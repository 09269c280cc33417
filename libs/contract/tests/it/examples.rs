//! One message of each shape that is said. A new shape gets a new name here; files that are stored
//! already are never written again, whatever this builder says later.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Accepted, Answer, AnswerMessage, Asked, Asker, Attempt, AttemptEnd, Beat, Blame, Cancel,
    Capacity, Cause, Chain, Command, CommandMessage, Concurrency, Covers, Entity, Entry, Epoch,
    EpochRecord, Fact, Frame, FrameNumber, HandBack, Hello, Incarnation, JobError, JobId, JobState,
    KeyId, Limits, LostReason, Manifest, Metadata, ModuleName, Origin, Outcome, Place, Positions,
    ProblemCode, Raise, RaisedResource, RawJson, Refusal, RefusedCommand, RegisteredModule,
    RegisteredModules, Report, ReportMessage, RequestId, Requested, Resources, RetryPolicy,
    SchedulerConfig, SessionId, SetModule, Source, StartWork, StopReason, StopWork, Submit,
    SubmitBatch, SubmitDraft, Timestamp, Token, Usage, UserId, WaitingCode, Work, WorkMessage,
    WorkNumber, WorkerId,
    beat::Held,
    fact::{Rejected, ServedModule, Submitted},
    report::{Ended, Started, Stopped},
};
use serde::Serialize;

use crate::kind::Kind;

mod registry;
mod tasks;

pub struct Example {
    pub kind: Kind,
    pub name: String,
    pub text: String,
}

fn example(kind: Kind, name: impl Into<String>, message: &impl Serialize) -> Example {
    let text = serde_json::to_string_pretty(message).expect("messages are JSON");
    Example { kind, name: name.into(), text }
}

pub fn all() -> Vec<Example> {
    let mut all = Vec::new();
    all.extend(commands());
    all.extend(answers());
    all.extend(reports());
    all.extend(work());
    all.extend(beats());
    all.extend(frames());
    all.push(epoch());
    all.extend(tasks::all());
    all.extend(registry::all());
    all
}

// --- what the messages are made of ---

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a good id")
}

fn job(number: u32) -> JobId {
    id(&format!("0193a000-0000-7000-8000-{number:012}"))
}

fn session() -> SessionId {
    id("7d2f1c9e-4b6a-4e57-9a53-1f0f7f1c2b3a")
}

fn origin() -> Origin {
    Origin {
        instance: id("0d5c2a7e-9b1f-4c34-8f0e-6a2b4c1d9e73"),
        process: id("c41b7f60-2f0a-4d0b-b1f8-93d5e8a7c2f1"),
    }
}

fn worker() -> WorkerId {
    id("exec-1")
}

fn ada() -> UserId {
    id("ada@example.org")
}

fn xtb() -> ModuleName {
    id("xtb")
}

fn at(text: &str) -> Timestamp {
    id(text)
}

fn json(text: &str) -> RawJson {
    RawJson::parse(text.to_owned()).expect("good JSON")
}

fn token() -> Token {
    Token::compute(&[7; 32], job(1), Attempt(1), FrameNumber(41_822))
}

fn fingerprint() -> String {
    Chain::START.extend(b"a request").to_string().replace("b3:", "")
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn small() -> Resources {
    Resources { cpu: 1, mem_mb: 256, wall_time_s: 60, gpu: 0 }
}

fn large() -> Resources {
    Resources { cpu: 16, mem_mb: 65_536, wall_time_s: 86_400, gpu: 2 }
}

fn usage() -> Usage {
    Usage { wall_ms: 1_234, cpu_seconds: 2 }
}

fn exit_error() -> JobError {
    JobError {
        code: "exit_status".to_owned(),
        message: "xtb ended with status 2: “no convergence”".to_owned(),
        exit_status: Some(2),
    }
}

fn spawn_error() -> JobError {
    JobError { code: "spawn".to_owned(), message: "no such program".to_owned(), exit_status: None }
}

fn outputs() -> RawJson {
    json(concat!(
        r#"{"files": ["sandbox://ada%40example.org/0193a000-0000-7000-8000-000000000001/out.txt"], "#,
        r#""metrics": {"duration_s": 1.234}, "scalars": {"E_total_hartree": -5.070544323569}}"#
    ))
}

fn limits() -> Limits {
    Limits {
        cpu_seconds: 200_000,
        queued_jobs: 1_000,
        running_jobs: 256,
        cpu: 64,
        mem_mb: 262_144,
        drafts: 100,
        starts_per_minute: 6_000,
    }
}

fn capacity() -> Capacity {
    Capacity { slots: 8, cpu: 32, mem_mb: 131_072, gpu: 4 }
}

fn manifest() -> Manifest {
    Manifest {
        name: xtb(),
        version: "6.5.1".to_owned(),
        title: "xtb: semiempirical quantum chemistry".to_owned(),
        input_schema: json(r#"{"type": "object", "required": ["xyz"]}"#),
        output_schema: json("true"),
        resources: small(),
        retry: RetryPolicy {
            attempts_max: 3,
            backoff_ms: 2_000,
            backoff_ms_max: 30_000,
            on: vec!["exit_status".to_owned()],
            raise: vec![Raise {
                after: "oom".to_owned(),
                resource: RaisedResource::MemMb,
                factor: 2,
                max: 4_096,
            }],
        },
        running_max: Some(64),
        starts_per_minute: Some(600),
    }
}

fn plain_manifest() -> Manifest {
    Manifest {
        name: id("xtb_hello"),
        version: "1".to_owned(),
        title: String::new(),
        input_schema: json("{}"),
        output_schema: json("true"),
        resources: small(),
        retry: RetryPolicy::default(),
        running_max: None,
        starts_per_minute: None,
    }
}

fn concurrency() -> Concurrency {
    Concurrency { key: "database".to_owned(), limit: 2 }
}

fn metadata() -> Metadata {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Metadata {
        labels: BTreeMap::from([label("team", "quantum"), label("run", "18446744073709551617")]),
        release_id: Some("2026.11".to_owned()),
        retry_of: Some(job(9)),
    }
}

fn quota_refusal() -> Refusal {
    Refusal {
        quota: Some("cpu_seconds".to_owned()),
        account: Some("user/ada@example.org".to_owned()),
        usage: Some(199_990),
        limit: Some(200_000),
        requested: Some(60),
        job: Some(2),
        retry_after_s: Some(7_201),
        ..Refusal::new(ProblemCode::BudgetExhausted, "the day's budget is spent")
    }
}

// --- commands ---

fn commands() -> Vec<Example> {
    let full = Submit {
        module_version: Some("6.5.1".to_owned()),
        worker_labels: BTreeSet::from(["zone:a".to_owned()]),
        job_id: job(1),
        user_id: ada(),
        role: "user".to_owned(),
        module: xtb(),
        inputs: json(r#"{"xyz": "2\n\nH 0 0 0\nH 0 0 0.74\n", "charge": 0, "weight": 1.50}"#),
        requested_resources: large(),
        priority: 9,
        run_at: Some(at("2026-11-22T06:00:00Z")),
        after: vec![job(2), job(3)],
        fingerprint: Some(fingerprint()),
        seen: FrameNumber(41_800),
        pending: true,
        task: None,
        metadata: metadata().boxed(),
        concurrency: Some(Box::new(concurrency())),
        draft: false,
        traceparent: Some(TRACEPARENT.to_owned()),
    };
    let plain = Submit {
        module_version: None,
        worker_labels: Default::default(),
        job_id: job(4),
        role: "admin".to_owned(),
        inputs: json("{}"),
        requested_resources: small(),
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        pending: false,
        task: None,
        traceparent: None,
        ..full.clone()
    };
    let draft = Submit { draft: true, ..plain.clone() };
    let batch =
        SubmitBatch { jobs: vec![plain.clone(), Submit { job_id: job(5), ..plain.clone() }] };
    let submit_draft = SubmitDraft { job_id: job(1), by: ada(), role: "user".to_owned() };
    let cancel = Cancel { job_id: job(1), by: ada(), admin: false };
    let set = SetModule { module: xtb(), enabled: false, by: id("root") };
    let message = |reply_to: Option<&str>, commands| {
        CommandMessage::new(reply_to.map(str::to_owned), commands)
    };
    let inbox = Some("_INBOX.Xc5mGqSkQ8.17");
    let packed = vec![
        Command::Submit(Box::new(plain.clone())),
        Command::Cancel(cancel.clone()),
        Command::SetModule(SetModule { enabled: true, ..set.clone() }),
    ];
    [
        ("submit", message(inbox, vec![Command::Submit(Box::new(full))])),
        ("submit_batch", message(inbox, vec![Command::SubmitBatch(batch)])),
        ("submit_draft", message(inbox, vec![Command::SubmitDraft(submit_draft)])),
        ("submit_as_draft", message(None, vec![Command::Submit(Box::new(draft))])),
        ("submit_plain", message(None, vec![Command::Submit(Box::new(plain))])),
        ("cancel", message(inbox, vec![Command::Cancel(cancel.clone())])),
        (
            "cancel_by_admin",
            message(inbox, vec![Command::Cancel(Cancel { admin: true, ..cancel })]),
        ),
        ("set_module", message(inbox, vec![Command::SetModule(set)])),
        ("packed", message(inbox, packed.clone())),
        ("packed_of_askers", message(inbox, packed)),
    ]
    .into_iter()
    .map(|(name, mut message)| {
        if name == "packed_of_askers" {
            let reason = Some("a deadline".to_owned());
            let requested = |commands, asker| Requested {
                commands,
                asker,
                request_id: Some(REQUEST_ID.to_owned()),
                reason: reason.clone(),
            };
            message.askers = vec![asker()];
            message.requests = vec![requested(2, Some(0)), requested(1, None)];
        }
        (name, message)
    })
    .map(|(name, message)| example(Kind::Commands, name, &message))
    .collect()
}

const REQUEST_ID: &str = "01939f4e-5d3a-7c00-8000-0000000000aa";

fn asker() -> Asker {
    Asker {
        tenant: id("acme"),
        user_id: ada(),
        role: "user".to_owned(),
        token_id: Some("a-token".to_owned()),
        key_id: None,
        from: Some("192.0.2.7".to_owned()),
    }
}

// --- answers ---

const STATES: [JobState; 6] = [
    JobState::Draft,
    JobState::Queued,
    JobState::Running,
    JobState::Succeeded,
    JobState::Failed,
    JobState::Canceled,
];

fn answers() -> Vec<Example> {
    let answer = |name: String, outcome| {
        let message = AnswerMessage { answers: vec![Answer { part: 0, outcome }] };
        example(Kind::Answers, name, &message)
    };
    let accepted = |job_id, state, repeated| {
        Outcome::Accepted(Accepted { n: FrameNumber(41_822), job_id, state, repeated })
    };
    let mut all = vec![answer("accepted".to_owned(), accepted(None, None, false))];
    for state in STATES {
        let outcome = accepted(Some(job(1)), Some(state), state != JobState::Queued);
        all.push(answer(format!("accepted_{state}"), outcome));
    }
    for code in ProblemCode::ALL {
        let refusal = match code {
            ProblemCode::BudgetExhausted => quota_refusal(),
            code => Refusal::new(code, format!("for example {code}")),
        };
        all.push(answer(format!("refused_{code}"), Outcome::Refused(refusal)));
    }
    let packed = AnswerMessage {
        answers: vec![
            Answer { part: 0, outcome: accepted(Some(job(1)), Some(JobState::Queued), false) },
            Answer { part: 2, outcome: Outcome::Refused(quota_refusal()) },
        ],
    };
    all.push(example(Kind::Answers, "packed", &packed));
    all
}

// --- reports ---

fn reports() -> Vec<Example> {
    let hello = Hello {
        origin: origin(),
        capacity: capacity(),
        modules: vec![manifest(), plain_manifest()],
        labels: vec!["rack-7".to_owned(), "gpu".to_owned()],
    };
    let bare = Hello {
        origin: origin(),
        capacity: Capacity { slots: 1, cpu: 1, mem_mb: 512, gpu: 0 },
        modules: Vec::new(),
        labels: Vec::new(),
    };
    let ended = |started, end| {
        Report::Ended(Box::new(Ended {
            job_id: job(1),
            attempt: Attempt(1),
            token: token(),
            started,
            usage: usage(),
            end,
        }))
    };
    let started = Report::Started(Started {
        job_id: job(1),
        attempt: Attempt(1),
        token: token(),
        elapsed_ms: 4,
    });
    let succeeded = ended(true, AttemptEnd::Succeeded { outputs: outputs() });
    let failed = AttemptEnd::Failed { error: exit_error(), retryable: true, crashed: false };
    let crashed = AttemptEnd::Failed {
        error: JobError {
            code: "crashed".to_owned(),
            message: "ended by signal 11".to_owned(),
            exit_status: None,
        },
        retryable: true,
        crashed: true,
    };
    let unstarted = AttemptEnd::Failed { error: spawn_error(), retryable: false, crashed: false };
    let no_process = "cannot start it: Resource temporarily unavailable (os error 11)";
    let handed_back = |why| ended(false, AttemptEnd::HandedBack(why));
    let cannot_run = HandBack::CannotRun { reason: no_process.to_owned() };
    let paused = Report::Paused { number: 1, reason: no_process.to_owned() };
    let stopped = Report::Stopped(Stopped {
        job_id: job(1),
        attempt: Attempt(1),
        token: token(),
        usage: usage(),
    });
    [
        ("hello", vec![Report::Hello(Box::new(hello))]),
        ("hello_bare", vec![Report::Hello(Box::new(bare))]),
        ("started", vec![started.clone()]),
        ("ended_succeeded", vec![succeeded.clone()]),
        ("ended_failed", vec![ended(true, failed)]),
        ("ended_crashed", vec![ended(true, crashed)]),
        ("ended_unstarted", vec![ended(false, unstarted)]),
        ("stopped", vec![stopped]),
        ("handed_back_draining", vec![Report::Draining, handed_back(HandBack::Draining)]),
        ("handed_back_cannot_run", vec![paused.clone(), handed_back(cannot_run)]),
        ("paused", vec![paused]),
        ("resumed", vec![Report::Resumed { number: 2 }]),
        ("draining", vec![Report::Draining]),
        ("bye", vec![Report::Bye]),
        ("packed", vec![started, succeeded, Report::Draining, Report::Bye]),
    ]
    .into_iter()
    .map(|(name, reports)| {
        example(Kind::Reports, name, &ReportMessage { session: session(), reports })
    })
    .collect()
}

// --- work and beats ---

fn work() -> Vec<Example> {
    let start = StartWork {
        module_version: "6.5.1".to_owned(),
        number: WorkNumber(17),
        job_id: job(1),
        attempt: Attempt(1),
        token: token(),
        tenant: id("acme"),
        user_id: ada(),
        module: xtb(),
        inputs: json(r#"{"xyz": "1\n\nHe 0 0 0\n"}"#),
        resources: large(),
        traceparent: Some(TRACEPARENT.to_owned()),
    };
    let plain = StartWork { resources: small(), traceparent: None, ..start.clone() };
    let stop =
        StopWork { number: WorkNumber(18), job_id: job(1), attempt: Attempt(1), token: token() };
    let covers = Some(Covers { after: WorkNumber(14), up_to: WorkNumber(18) });
    let message = |covers, work| WorkMessage { session: session(), covers, work };
    let modules = RegisteredModules {
        above: 2,
        up_to: 3,
        modules: vec![RegisteredModule {
            number: 3,
            manifest: manifest(),
            source: registry::source(),
        }],
    };
    [
        ("start", message(None, vec![Work::Start(Box::new(start.clone()))])),
        ("start_plain", message(None, vec![Work::Start(Box::new(plain))])),
        ("stop", message(None, vec![Work::Stop(stop.clone())])),
        (
            "abandon",
            message(None, vec![Work::Abandon(Held { job_id: job(1), attempt: Attempt(1) })]),
        ),
        ("superseded", message(None, vec![Work::Superseded])),
        ("joined", message(None, vec![Work::Joined])),
        ("modules", message(None, vec![Work::Modules(Box::new(modules))])),
        ("refused", message(None, vec![Work::Refused { reason: "another lives".to_owned() }])),
        ("redelivered", message(covers, vec![Work::Start(Box::new(start)), Work::Stop(stop)])),
        ("nothing_left", message(covers, Vec::new())),
    ]
    .into_iter()
    .map(|(name, message)| example(Kind::Work, name, &message))
    .collect()
}

fn beats() -> [Example; 3] {
    let beat = |origin| Beat {
        session: session(),
        origin,
        received_up_to: WorkNumber(18),
        held: vec![
            Held { job_id: job(1), attempt: Attempt(1) },
            Held { job_id: job(2), attempt: Attempt(3) },
        ],
        joined: true,
        reports_up_to: 55_123,
        registered_up_to: None,
    };
    let taking = Beat { registered_up_to: Some(3), ..beat(Some(origin())) };
    [
        example(Kind::Beats, "beat", &beat(None)),
        example(Kind::Beats, "beat_with_origin", &beat(Some(origin()))),
        example(Kind::Beats, "beat_of_one_that_takes_registered_modules", &taking),
    ]
}

// --- the log ---

fn epoch() -> Example {
    let record = EpochRecord {
        epoch: Epoch(7),
        leader: "scheduler@node-3 (pid 4711)".to_owned(),
        at: at("2026-11-21T21:59:58.5Z"),
        commands: Incarnation("2026-01-05T08:00:00.000000001Z/5b1f".to_owned()),
        reports: Incarnation("2026-01-05T08:00:00.1Z/77aa".to_owned()),
    };
    example(Kind::Epochs, "epoch", &record)
}

/// What a part of an input of `src` caused for `entity`.
fn entry(entity: Entity, src: Source, facts: Vec<Fact>) -> Entry {
    let by = match src {
        Source::Commands => Cause { src, seq: 90_211, part: 2 },
        Source::Reports => Cause { src, seq: 55_123, part: 0 },
        _ => Cause { src, seq: 0, part: 0 },
    };
    Entry::new(by, entity, facts.into_iter().map(Into::into).collect())
}

/// A frame of these entries. What is in no stream is embedded.
fn frame(entries: Vec<Entry>) -> Frame {
    let embedded = |entry: &Entry| !matches!(entry.by.src, Source::Commands | Source::Reports);
    let inputs = entries.iter().any(embedded);
    let matched = json(r#"{"match": {"placements_max": 256, "looks_max": 20000, "behind": null}}"#);
    Frame {
        n: FrameNumber(41_822),
        epoch: Epoch(7),
        at: at("2026-11-21T22:00:00.123456Z"),
        rules: 1,
        prev: Chain::START.extend(b"the message before").to_string(),
        pos: Positions { commands: Place { seq: 90_211, part: 3 }, reports: Place::after(55_123) },
        inputs: if inputs { vec![matched] } else { Vec::new() },
        askers: Vec::new(),
        asked: Vec::new(),
        entries,
    }
}

fn frames() -> Vec<Example> {
    let mut all = job_entries();
    all.extend(waiting_entries());
    all.extend(system_entries());
    let turn = [("submitted", 1), ("succeeded", 0), ("canceled", 2), ("assigned", 0)];
    let turn = turn.map(|(of, part)| {
        let (_, entry) = all.iter().find(|(name, _)| name == of).expect("an example");
        let mut entry = entry.clone();
        entry.by.part = part;
        entry
    });
    let mut frames: Vec<_> =
        all.into_iter().map(|(name, entry)| (name, frame(vec![entry]))).collect();
    // The job has a trace, which all of its entries bear.
    let mut traced = turn[1].clone();
    traced.traceparent = Some(TRACEPARENT.into());
    frames.push(("succeeded_of_traced_job".to_owned(), frame(vec![traced])));
    // What one turn decided for several jobs, of both streams and in none.
    frames.push(("turn".to_owned(), frame(turn.to_vec())));
    let refused = RefusedCommand {
        part: 0,
        command: "cancel".to_owned(),
        object: Some(job(2).to_string()),
        code: ProblemCode::JobNotFound.as_str().to_owned(),
    };
    let asked = |part, parts, refused| Asked {
        seq: 90_211,
        part,
        parts,
        asker: 0,
        request_id: Some(REQUEST_ID.to_owned()),
        reason: Some("a deadline".to_owned()),
        refused,
    };
    let mut told = frame(turn.to_vec());
    told.askers = vec![asker(), Asker { token_id: None, key_id: Some(KeyId(job(8).0)), ..asker() }];
    told.asked = vec![asked(0, 1, vec![refused]), Asked { asker: 1, ..asked(1, 2, Vec::new()) }];
    frames.push(("asked".to_owned(), told));
    frames.push(("without_entries".to_owned(), frame(Vec::new())));
    frames.into_iter().map(|(name, frame)| example(Kind::Frames, name, &frame)).collect()
}

fn about_job() -> Entity {
    Entity::Job { tenant: id("acme"), job_id: job(1), user_id: ada(), module: xtb() }
}

fn submitted(run_at: Option<Timestamp>, after: Vec<JobId>) -> Fact {
    Fact::Submitted(job_as_asked(run_at, after))
}

fn job_as_asked(run_at: Option<Timestamp>, after: Vec<JobId>) -> Box<Submitted> {
    Box::new(Submitted {
        module_version: "6.5.1".to_owned(),
        worker_labels: after.iter().map(|_| "zone:a".to_owned()).collect(),
        inputs: json(r#"{"xyz": "1\n\nHe 0 0 0\n", "nested": [{"deep": [null, true, 1e-7]}]}"#),
        requested_resources: if run_at.is_some() { large() } else { small() },
        priority: 5,
        fingerprint: run_at.map(|_| fingerprint()),
        task: None,
        metadata: run_at.and_then(|_| metadata().boxed()),
        concurrency: run_at.map(|_| Box::new(concurrency())),
        traceparent: run_at.map(|_| TRACEPARENT.to_owned()),
        run_at,
        after,
    })
}

fn assigned(request: Option<RequestId>) -> Fact {
    Fact::Assigned {
        worker_id: worker(),
        session: session(),
        attempt: Attempt(1),
        work: WorkNumber(17),
        request,
    }
}

fn job_entries() -> Vec<(String, Entry)> {
    let period = at("2026-11-21T00:00:00Z");
    let attempt = Attempt(1);
    let reserved = Fact::Reserved { period, cpu_seconds: 60 };
    let assigned = assigned(None);
    let started = Fact::Started { worker_id: worker(), attempt, elapsed_ms: 4 };
    let succeeded = Fact::Succeeded { attempt, outputs: outputs(), wall_ms: 1_234 };
    let failed =
        |crashed| Fact::AttemptFailed { attempt, error: exit_error(), crashed, wall_ms: 1_234 };
    let settled = |overrun| Fact::Settled { period, cpu_seconds: 2, overrun };
    let released = Fact::Released { period, cpu_seconds: 58 };
    let lost = |reason, blame| {
        let detail = (reason == LostReason::CannotRun).then(|| "no process".to_owned());
        Fact::AttemptLost { worker_id: worker(), attempt, reason, blame, detail }
    };
    let rejected = |fingerprint: Option<String>| {
        Fact::Rejected(Box::new(Rejected {
            inputs: json("{}"),
            requested_resources: small(),
            refusal: quota_refusal(),
            metadata: fingerprint.as_ref().and_then(|_| metadata().boxed()),
            fingerprint,
            task: None,
        }))
    };
    let canceled = Fact::Canceled { by: id("root") };
    let stop = Fact::StopRequested {
        worker_id: worker(),
        attempt,
        work: WorkNumber(18),
        reason: StopReason::Canceled,
    };
    let retry = |resources| Fact::RetryScheduled {
        attempt: Attempt(2),
        due_at: at("2026-11-21T22:00:02Z"),
        resources,
    };
    let out = Fact::Failed { error: exit_error() };

    let drafted = |run_at| Fact::Drafted(job_as_asked(run_at, Vec::new()));
    let commands: [(&str, Vec<Fact>); 9] = [
        ("drafted", vec![drafted(None)]),
        ("drafted_with_everything", vec![drafted(Some(at("2026-11-22T06:00:00Z")))]),
        ("draft_submitted", vec![Fact::DraftSubmitted {}, reserved.clone()]),
        ("submitted", vec![submitted(None, Vec::new()), reserved.clone()]),
        (
            "submitted_with_everything",
            vec![
                submitted(Some(at("2026-11-22T06:00:00Z")), vec![job(2), job(3)]),
                reserved.clone(),
            ],
        ),
        ("admitted_and_assigned", vec![submitted(None, Vec::new()), reserved, assigned.clone()]),
        ("rejected", vec![rejected(None)]),
        ("rejected_with_fingerprint", vec![rejected(Some(fingerprint()))]),
        ("canceled", vec![canceled, stop]),
    ];
    let reports: [(&str, Vec<Fact>); 7] = [
        ("started", vec![started.clone()]),
        ("attempt_failed", vec![failed(false), retry(None)]),
        ("attempt_crashed", vec![failed(true), retry(Some(Resources { mem_mb: 512, ..small() }))]),
        ("failed", vec![failed(false), out.clone(), settled(0), released.clone()]),
        ("succeeded", vec![started, succeeded.clone(), settled(0), released.clone()]),
        ("succeeded_with_overrun", vec![succeeded, settled(41)]),
        ("stopped", vec![Fact::Stopped { worker_id: worker(), attempt }, released.clone()]),
    ];
    let detector: [(&str, Vec<Fact>); 6] = [
        ("attempt_lost_worker_silent", vec![lost(LostReason::WorkerSilent, Blame::Suspected)]),
        ("attempt_lost_new_session", vec![lost(LostReason::NewSession, Blame::Crashed)]),
        ("attempt_lost_not_held", vec![lost(LostReason::NotHeld, Blame::Nobody)]),
        ("attempt_lost_draining", vec![lost(LostReason::Draining, Blame::Nobody)]),
        ("attempt_lost_cannot_run", vec![lost(LostReason::CannotRun, Blame::Nobody)]),
        (
            "attempt_lost_for_good",
            vec![lost(LostReason::WorkerSilent, Blame::Crashed), out, released],
        ),
    ];
    let named = |src: Source| {
        move |(name, facts): (&str, Vec<Fact>)| (name.to_owned(), entry(about_job(), src, facts))
    };
    let mut all: Vec<_> = commands.into_iter().map(named(Source::Commands)).collect();
    all.extend(reports.into_iter().map(named(Source::Reports)));
    all.extend(detector.into_iter().map(named(Source::Detector)));
    all.push(("assigned".to_owned(), entry(about_job(), Source::Match, vec![assigned])));
    all
}

fn waiting_entries() -> Vec<(String, Entry)> {
    // `dispatching` is implied by `assigned`, and never written; still it can be read.
    let codes = [
        WaitingCode::Priority,
        WaitingCode::Concurrency,
        WaitingCode::Quota,
        WaitingCode::Rate,
        WaitingCode::NoWorker,
        WaitingCode::Drained,
        WaitingCode::Resources,
        WaitingCode::Unsatisfiable,
        WaitingCode::Isolation,
        WaitingCode::Dependency,
        WaitingCode::Scheduled,
        WaitingCode::Backoff,
        WaitingCode::Paused,
        WaitingCode::Claim,
        WaitingCode::Dispatching,
    ];
    let named = |code: WaitingCode| {
        let facts = vec![Fact::Waiting { code }];
        (format!("waiting_{}", code.as_str()), entry(about_job(), Source::Timer, facts))
    };
    codes.into_iter().map(named).collect()
}

fn system_entries() -> Vec<(String, Entry)> {
    let period = at("2026-11-21T00:00:00Z");
    let user = Entity::Account { tenant: id("acme"), account: "user/ada@example.org".to_owned() };
    let tenant = Entity::Account { tenant: id("acme"), account: "tenant".to_owned() };
    let opened = |role: &str| {
        vec![
            Fact::LimitsSet { role: role.to_owned(), limits: limits(), change: None },
            Fact::Granted { period, cpu_seconds: 200_000 },
        ]
    };
    let violated = Fact::QuotaViolated {
        job_id: job(9),
        user_id: ada(),
        module: xtb(),
        refusal: Box::new(quota_refusal()),
    };
    let registered = Fact::ModuleRegistered {
        manifest: Box::new(manifest()),
        source: registry::source(),
        enabled: true,
        by: id("root"),
    };
    let left = |lost, reason, blame| Fact::WorkerLeft { session: session(), lost, reason, blame };
    let joined = |labels, modules: Vec<ServedModule>| Fact::WorkerJoined {
        session: session(),
        origin: origin(),
        capacity: capacity(),
        modules,
        labels,
        claimant: None,
    };
    let served = ServedModule { name: xtb(), version: "6.5.1".to_owned() };
    let declared =
        |manifest, enabled| Fact::ModuleDeclared { manifest: Box::new(manifest), enabled };
    let config = SchedulerConfig {
        roles: BTreeMap::from([("user".to_owned(), limits()), ("admin".to_owned(), limits())]),
        tenant: limits(),
        crashes_max: 3,
        ageing_ms: 60_000,
        keyed_remembered_ms: 900_000,
        keyed_remembered_max: 1_000_000,
        unkeyed_remembered_max: 100_000,
        refuse_unsatisfiable: true,
    };
    let reset = |src| Fact::InputsReset {
        src,
        incarnation: Incarnation("2026-11-21T21:00:00Z/9c3e".to_owned()),
        by: "operator on call".to_owned(),
    };
    let of_worker = || Entity::Worker(worker());
    let reason = "cannot start it: Resource temporarily unavailable (os error 11)".to_owned();
    let paused = Fact::WorkerPaused { session: session(), number: 1, reason };
    let (commands, reports) = (Source::Commands, Source::Reports);
    [
        ("limits_set_of_user", user.clone(), commands, opened("user")),
        ("limits_set_of_tenant", tenant, commands, opened("")),
        ("granted", user.clone(), commands, opened("user").split_off(1)),
        ("quota_violated", user, commands, vec![violated]),
        (
            "worker_joined",
            of_worker(),
            reports,
            vec![joined(vec!["rack-7".to_owned()], vec![served])],
        ),
        ("worker_joined_bare", of_worker(), reports, vec![joined(Vec::new(), Vec::new())]),
        (
            "worker_draining",
            of_worker(),
            reports,
            vec![Fact::WorkerDraining { session: session() }],
        ),
        ("worker_paused", of_worker(), reports, vec![paused]),
        (
            "worker_resumed",
            of_worker(),
            reports,
            vec![Fact::WorkerResumed { session: session(), number: 2 }],
        ),
        (
            "worker_left",
            of_worker(),
            reports,
            vec![left(false, LostReason::Draining, Blame::Nobody)],
        ),
        (
            "worker_lost",
            of_worker(),
            Source::Detector,
            vec![left(true, LostReason::WorkerSilent, Blame::Suspected)],
        ),
        ("module_declared", Entity::Module(xtb()), reports, vec![declared(manifest(), true)]),
        (
            "module_declared_plain",
            Entity::Module(id("xtb_hello")),
            reports,
            vec![declared(plain_manifest(), false)],
        ),
        ("module_registered", Entity::Module(xtb()), commands, vec![registered]),
        (
            "module_switched",
            Entity::Module(xtb()),
            commands,
            vec![Fact::ModuleSwitched { enabled: false, by: id("root") }],
        ),
        (
            "configured",
            Entity::Control,
            Source::Configuration,
            vec![Fact::Configured { config: Box::new(config) }],
        ),
        ("inputs_reset_commands", Entity::Control, Source::Operator, vec![reset(Source::Commands)]),
        ("inputs_reset_reports", Entity::Control, Source::Operator, vec![reset(Source::Reports)]),
    ]
    .into_iter()
    .map(|(name, entity, src, facts)| (name.to_owned(), entry(entity, src, facts)))
    .collect()
}
