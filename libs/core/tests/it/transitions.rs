//! The life of one job, arrow by arrow: what is not listed here is refused.

use std::time::Duration;

use nox_contract::{
    Attempt, Blame, Capacity, DisableReason, Fact, FrameNumber, Incarnation, JobState, Limits,
    LostReason, Occurrence, Origin, Overlap, PauseReason, ProblemCode, RawJson, Refusal,
    SchedulerConfig, Source, StopReason, Timestamp, WaitingCode, WorkNumber, WorkerId,
    fact::{Rejected, Submitted},
};
use nox_core::job::{Job, Phase};

use crate::world::{NOON, ROOMY, SMALL, error, id, job_id, manifest, session_id};

const PHASES: [&str; 9] = [
    "draft",
    "queued",
    "assigned",
    "running",
    "attempt_ended",
    "succeeded",
    "failed",
    "canceled_held",
    "canceled",
];

/// Phase, fact, phase after.
const ARROWS: [(&str, &str, &str); 24] = [
    ("draft", "draft_submitted", "queued"),
    ("draft", "canceled", "canceled"),
    ("queued", "waiting", "queued"),
    ("queued", "assigned", "assigned"),
    ("queued", "failed", "failed"),
    ("queued", "canceled", "canceled"),
    ("assigned", "started", "running"),
    ("assigned", "progressed", "assigned"),
    ("running", "progressed", "running"),
    ("assigned", "attempt_failed", "attempt_ended"),
    ("assigned", "attempt_lost", "queued"),
    ("assigned", "canceled", "canceled_held"),
    ("running", "succeeded", "succeeded"),
    ("running", "attempt_failed", "attempt_ended"),
    ("running", "attempt_lost", "queued"),
    ("running", "canceled", "canceled_held"),
    ("attempt_ended", "retry_scheduled", "queued"),
    ("attempt_ended", "failed", "failed"),
    ("canceled_held", "stop_requested", "canceled_held"),
    ("canceled_held", "stopped", "canceled"),
    ("canceled_held", "attempt_lost", "canceled"),
    ("succeeded", "rejected", "succeeded"),
    ("failed", "rejected", "failed"),
    ("canceled", "rejected", "canceled"),
];

/// The ledger moves beside the job, whatever the job does.
const LEDGER: [&str; 3] = ["reserved", "settled", "released"];

const WORKER: &str = "w";

fn noon() -> Timestamp {
    id(NOON)
}

/// A job in each phase, led there by its facts.
fn job_in(phase: &str) -> Job {
    let first =
        if phase == "draft" { Fact::Drafted(submitted()) } else { Fact::Submitted(submitted()) };
    let mut job = Job::create(&first, FrameNumber(7), noon()).unwrap();
    let path: &[&str] = match phase {
        "draft" | "queued" => &[],
        "assigned" => &["assigned"],
        "running" => &["assigned", "started"],
        "attempt_ended" => &["assigned", "attempt_failed"],
        "succeeded" => &["assigned", "started", "succeeded"],
        "failed" => &["assigned", "attempt_failed", "failed"],
        "canceled_held" => &["assigned", "canceled"],
        "canceled" => &["canceled"],
        other => panic!("no phase {other}"),
    };
    for name in path {
        let fact = facts(&job).into_iter().find(|fact| fact.name() == *name).unwrap();
        job.apply(&fact, noon()).unwrap();
    }
    assert_eq!(phase_of(&job), phase);
    job
}

fn phase_of(job: &Job) -> &'static str {
    match &job.phase {
        Phase::Draft => "draft",
        Phase::Queued { .. } => "queued",
        Phase::Assigned { .. } => "assigned",
        Phase::Running { .. } => "running",
        Phase::AttemptEnded => "attempt_ended",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Canceled { held_by: Some(_) } => "canceled_held",
        Phase::Canceled { held_by: None } => "canceled",
    }
}

fn submitted() -> Box<Submitted> {
    Box::new(Submitted {
        module_version: "1".to_owned(),
        worker_labels: Default::default(),
        inputs: RawJson::default(),
        requested_resources: SMALL,
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        task: None,
        metadata: None,
        concurrency: None,
        traceparent: None,
    })
}

fn rejected(code: ProblemCode) -> Fact {
    Fact::Rejected(Box::new(Rejected {
        inputs: RawJson::default(),
        requested_resources: SMALL,
        refusal: Refusal::new(code, "not any more"),
        fingerprint: None,
        task: None,
        metadata: None,
    }))
}

/// One fact of each variant, as it would have to be to follow where `job` stands.
fn facts(job: &Job) -> Vec<Fact> {
    let (worker_id, session): (WorkerId, _) = (id(WORKER), session_id(1));
    let (attempt, work, period) = (job.attempt, WorkNumber(1), noon().start_of_day());
    let limits: Limits = ROOMY;
    let all = vec![
        Fact::Submitted(submitted()),
        Fact::Drafted(submitted()),
        Fact::DraftSubmitted {},
        rejected(ProblemCode::StaleStamp),
        Fact::Canceled { by: id("ada") },
        Fact::Waiting { code: WaitingCode::Resources },
        Fact::Assigned {
            worker_id: worker_id.clone(),
            session,
            attempt: attempt.next(),
            work,
            request: None,
        },
        Fact::RetryScheduled { attempt: attempt.next(), due_at: noon(), resources: None },
        Fact::StopRequested {
            worker_id: worker_id.clone(),
            attempt,
            work,
            reason: StopReason::Canceled,
        },
        Fact::AttemptLost {
            worker_id: worker_id.clone(),
            attempt,
            reason: LostReason::WorkerSilent,
            blame: Blame::Nobody,
            detail: None,
        },
        Fact::Started { worker_id: worker_id.clone(), attempt, elapsed_ms: 3 },
        Fact::AttemptFailed { attempt, error: error("exit_status"), crashed: false, wall_ms: 1 },
        Fact::Stopped { worker_id, attempt },
        Fact::Succeeded { attempt, outputs: RawJson::default(), wall_ms: 1 },
        Fact::Failed { error: error("exit_status") },
        Fact::Reserved { period, cpu_seconds: 60 },
        Fact::Settled { period, cpu_seconds: 1, overrun: 0 },
        Fact::Released { period, cpu_seconds: 59 },
        Fact::LimitsSet { role: "user".to_owned(), limits, change: None },
        Fact::Granted { period, cpu_seconds: 1 },
        Fact::QuotaViolated {
            job_id: job_id(1),
            user_id: id("ada"),
            module: id("m"),
            refusal: Box::new(Refusal::new(ProblemCode::QueueFull, "too many")),
        },
        Fact::WorkerJoined {
            session,
            origin: Origin::default(),
            capacity: Capacity::default(),
            modules: Vec::new(),
            labels: Vec::new(),
            claimant: None,
        },
        Fact::WorkerOffered {
            session,
            number: 1,
            capacity: Capacity::default(),
            modules: Vec::new(),
            labels: Vec::new(),
        },
        Fact::Progressed { attempt, progress: Default::default() },
        Fact::TopicRegistered { schema: RawJson::default(), by: id("ada") },
        Fact::TopicRemoved {},
        Fact::WorkerDraining { session },
        Fact::WorkerDrained { by: id("root") },
        Fact::WorkerUndrained { by: id("root") },
        Fact::KeyCreated { key: Box::new(crate::world::key()), by: id("ada") },
        Fact::KeyRevoked { by: id("ada") },
        Fact::ScheduleSet {
            spec: Box::new(crate::world::spec(Overlap::Skip)),
            owner: id("ada"),
            role: "user".to_owned(),
            by: id("ada"),
            key_id: None,
        },
        Fact::SchedulePaused { by: Some(id("ada")), reason: PauseReason::Asked },
        Fact::ScheduleResumed { by: id("ada"), key_id: None },
        Fact::SchedulePlanned { next_due_at: None },
        Fact::ScheduleOccurred {
            due_at: noon(),
            outcome: Occurrence::Skipped,
            missed_from: None,
            next_due_at: None,
        },
        Fact::ScheduleTriggered { job_id: job_id(1), by: id("ada") },
        Fact::ScheduleDeleted { by: id("ada") },
        Fact::WebhookSet {
            spec: Box::new(crate::world::webhook()),
            owner: id("ada"),
            by: id("ada"),
            key_id: None,
            expires_at: None,
        },
        Fact::WebhookRotated { rotation: 1, previous_until: noon(), by: id("ada") },
        Fact::WebhookTested { delivery_id: crate::world::delivery(), by: id("ada") },
        Fact::WebhookRedelivered { delivery_id: crate::world::delivery(), by: id("ada") },
        Fact::WebhookDisabled { reason: DisableReason::Gone },
        Fact::WebhookDeleted { by: id("ada") },
        Fact::WorkerPaused { session, number: 1, reason: "no process".to_owned() },
        Fact::WorkerResumed { session, number: 2 },
        Fact::WorkerLeft {
            session,
            lost: false,
            reason: LostReason::Draining,
            blame: Blame::Nobody,
        },
        Fact::ModuleDeclared { manifest: Box::new(manifest("m")), enabled: true },
        Fact::ModuleSwitched { enabled: false, by: id("root") },
        Fact::ModuleRegistered {
            manifest: Box::new(manifest("m")),
            source: RawJson::default(),
            enabled: true,
            by: id("root"),
        },
        Fact::Configured { config: Box::new(SchedulerConfig::default()) },
        Fact::InputsReset {
            src: Source::Commands,
            incarnation: Incarnation::default(),
            by: "op".to_owned(),
        },
    ];
    assert_one_of_each(&all);
    all
}

/// A new variant does not compile until it is counted here, and is not counted until it is listed.
fn assert_one_of_each(facts: &[Fact]) {
    const VARIANTS: u64 = 52;
    let seen = facts.iter().fold(0_u64, |seen, fact| {
        let bit = match fact {
            Fact::Submitted(_) => 0,
            Fact::Rejected(_) => 1,
            Fact::Canceled { .. } => 2,
            Fact::Waiting { .. } => 3,
            Fact::Assigned { .. } => 4,
            Fact::RetryScheduled { .. } => 5,
            Fact::StopRequested { .. } => 6,
            Fact::AttemptLost { .. } => 7,
            Fact::Started { .. } => 8,
            Fact::AttemptFailed { .. } => 9,
            Fact::Stopped { .. } => 10,
            Fact::Succeeded { .. } => 11,
            Fact::Failed { .. } => 12,
            Fact::Reserved { .. } => 13,
            Fact::Settled { .. } => 14,
            Fact::Released { .. } => 15,
            Fact::LimitsSet { .. } => 16,
            Fact::Granted { .. } => 17,
            Fact::QuotaViolated { .. } => 18,
            Fact::WorkerJoined { .. } => 19,
            Fact::WorkerDraining { .. } => 20,
            Fact::WorkerLeft { .. } => 21,
            Fact::ModuleDeclared { .. } => 22,
            Fact::ModuleSwitched { .. } => 23,
            Fact::Configured { .. } => 24,
            Fact::InputsReset { .. } => 25,
            Fact::WorkerPaused { .. } => 26,
            Fact::WorkerResumed { .. } => 27,
            Fact::WorkerOffered { .. } => 28,
            Fact::Progressed { .. } => 29,
            Fact::TopicRegistered { .. } => 30,
            Fact::TopicRemoved {} => 31,
            Fact::Drafted(_) => 32,
            Fact::DraftSubmitted {} => 33,
            Fact::WorkerDrained { .. } => 34,
            Fact::WorkerUndrained { .. } => 35,
            Fact::KeyCreated { .. } => 36,
            Fact::KeyRevoked { .. } => 37,
            Fact::ScheduleSet { .. } => 38,
            Fact::SchedulePaused { .. } => 39,
            Fact::ScheduleResumed { .. } => 40,
            Fact::SchedulePlanned { .. } => 41,
            Fact::ScheduleOccurred { .. } => 42,
            Fact::ScheduleTriggered { .. } => 43,
            Fact::ScheduleDeleted { .. } => 44,
            Fact::ModuleRegistered { .. } => 45,
            Fact::WebhookSet { .. } => 46,
            Fact::WebhookRotated { .. } => 47,
            Fact::WebhookTested { .. } => 48,
            Fact::WebhookRedelivered { .. } => 49,
            Fact::WebhookDisabled { .. } => 50,
            Fact::WebhookDeleted { .. } => 51,
        };
        seen | 1 << bit
    });
    assert_eq!(seen, (1 << VARIANTS) - 1);
}

#[test]
fn every_fact_in_every_phase_is_an_arrow_of_the_table_or_refused() {
    let mut arrows = 0;
    for phase in PHASES {
        let job = job_in(phase);
        for fact in facts(&job) {
            let mut moved = job.clone();
            let outcome = moved.apply(&fact, noon());
            let name = fact.name();
            let arrow = ARROWS.iter().find(|(from, by, _)| *from == phase && *by == name);
            match (arrow, outcome) {
                (Some((.., to)), Ok(())) => {
                    assert_eq!(phase_of(&moved), *to, "{name} in {phase}");
                    arrows += 1;
                }
                (None, Ok(())) if LEDGER.contains(&name) => assert_eq!(moved, job),
                (None, Err(refused)) => {
                    assert_eq!(moved, job, "{name} was refused, and moved a job in {phase}");
                    assert_eq!(refused.fact, name);
                    assert_eq!(refused.phase, format!("{:?}", job.phase));
                    let text = refused.to_string();
                    assert!(text.contains(name) && text.contains(&refused.phase), "{text}");
                }
                (_, outcome) => panic!("{name} in {phase}: {outcome:?}"),
            }
        }
    }
    assert_eq!(arrows, ARROWS.len());
}

#[test]
fn a_job_begins_with_its_submission_or_its_rejection() {
    for fact in facts(&job_in("queued")) {
        match (fact.name(), Job::create(&fact, FrameNumber(7), noon())) {
            ("submitted", Ok(job)) => {
                assert_eq!((job.state(), job.submitted_n), (JobState::Queued, FrameNumber(7)));
                assert_eq!((job.attempt, job.ended_at), (Attempt(0), None));
                assert_eq!(job.waiting(), Some(WaitingCode::Priority));
            }
            ("drafted", Ok(job)) => {
                assert_eq!((job.state(), job.submitted_n), (JobState::Draft, FrameNumber(7)));
                assert_eq!((job.attempt, job.waiting()), (Attempt(0), None));
            }
            ("rejected", Ok(job)) => {
                assert_eq!((job.state(), job.ended_at), (JobState::Failed, Some(noon())));
                assert_eq!(job.error.unwrap().code, "rejected:stale_stamp");
            }
            (name, Err(refused)) => assert_eq!((refused.fact, &*refused.phase), (name, "nothing")),
            (name, Ok(job)) => panic!("{name} made {job:?}"),
        }
    }
}

/// The table has the one refusal that can come of a job which is forgotten and not known to be there.
#[test]
fn no_other_refusal_follows_an_end_and_none_changes_it() {
    for phase in ["succeeded", "failed", "canceled"] {
        let job = job_in(phase);
        for code in ProblemCode::ALL {
            let mut moved = job.clone();
            let outcome = moved.apply(&rejected(code), noon() + Duration::from_secs(9));
            assert_eq!(outcome.is_ok(), code == ProblemCode::StaleStamp, "{code} in {phase}");
            assert_eq!(moved, job);
        }
    }
}

/// What is about an attempt and a worker must be about the job's own.
#[test]
fn a_fact_about_another_attempt_or_worker_is_refused_in_every_phase() {
    let mut tried = 0;
    for phase in PHASES {
        let job = job_in(phase);
        for fact in facts(&job) {
            let json = serde_json::to_value(&fact).unwrap();
            for (field, other) in [
                ("attempt", serde_json::json!(job.attempt.0 + 7)),
                ("attempt", serde_json::json!(0)),
                ("worker_id", serde_json::json!("another")),
            ] {
                let mut doctored = json.clone();
                let Some(value) = doctored.pointer_mut(&format!("/{}/{field}", fact.name())) else {
                    continue;
                };
                *value = other;
                // Whom a queued job goes to is free; everything else is fixed by what was before.
                if (fact.name(), field) == ("assigned", "worker_id") {
                    continue;
                }
                let doctored: Fact = serde_json::from_value(doctored).unwrap();
                if doctored == fact {
                    continue;
                }
                let mut moved = job.clone();
                assert!(moved.apply(&doctored, noon()).is_err(), "{doctored:?} in {phase}");
                assert_eq!(moved, job);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} were tried");
}

#[test]
fn handing_out_is_no_reason_that_is_ever_written() {
    let mut job = job_in("queued");
    let fact = Fact::Waiting { code: WaitingCode::Dispatching };
    assert!(job.apply(&fact, noon()).is_err());
    assert_eq!(job_in("assigned").waiting(), Some(WaitingCode::Dispatching));
}

#[test]
fn the_public_face_of_a_phase() {
    for (phase, state, waiting, held) in [
        ("draft", JobState::Draft, None, false),
        ("queued", JobState::Queued, Some(WaitingCode::Priority), false),
        ("assigned", JobState::Queued, Some(WaitingCode::Dispatching), true),
        ("running", JobState::Running, None, true),
        ("attempt_ended", JobState::Queued, None, false),
        ("succeeded", JobState::Succeeded, None, false),
        ("failed", JobState::Failed, None, false),
        ("canceled_held", JobState::Canceled, None, true),
        ("canceled", JobState::Canceled, None, false),
    ] {
        let job = job_in(phase);
        assert_eq!((job.state(), job.waiting()), (state, waiting), "{phase}");
        assert_eq!(job.worker_id().is_some(), held, "{phase}");
        let ended = phase != "attempt_ended" && state.is_ended();
        assert_eq!(job.ended_at, ended.then(noon), "{phase}");
    }
}

#[test]
fn a_job_started_as_long_ago_as_its_worker_says_but_not_before_it_existed() {
    let started = |elapsed_ms| {
        let mut job = job_in("assigned");
        let fact = Fact::Started { worker_id: id(WORKER), attempt: job.attempt, elapsed_ms };
        job.apply(&fact, noon() + Duration::from_secs(10)).unwrap();
        job.started_at.unwrap()
    };
    assert_eq!(started(3_000), noon() + Duration::from_secs(7));
    assert_eq!(started(11_000), noon());
    assert_eq!(started(u64::MAX), noon());
}

#[test]
fn what_a_job_remembers_of_its_attempts() {
    let mut job = job_in("running");
    let fail = |job: &mut Job, crashed| {
        let attempt = job.attempt;
        let error = error(if crashed { "killed" } else { "exit_status" });
        job.apply(&Fact::AttemptFailed { attempt, error, crashed, wall_ms: 1 }, noon()).unwrap();
        let due_at = noon() + Duration::from_secs(1);
        let retry = Fact::RetryScheduled { attempt: attempt.next(), due_at, resources: None };
        job.apply(&retry, noon()).unwrap();
        assert_eq!((job.due_at, job.waiting()), (Some(due_at), Some(WaitingCode::Backoff)));
        for name in ["assigned", "started"] {
            let fact = facts(job).into_iter().find(|fact| fact.name() == name).unwrap();
            job.apply(&fact, noon()).unwrap();
        }
    };
    fail(&mut job, false);
    assert_eq!((job.failures, job.crashes, job.attempt), (1, 0, Attempt(2)));
    fail(&mut job, true);
    assert_eq!((job.failures, job.crashes, job.attempt), (1, 1, Attempt(3)));
    assert_eq!((job.due_at, job.error.as_ref().unwrap().code.as_str()), (None, "killed"));
    let lost = |blame, job: &Job| Fact::AttemptLost {
        worker_id: id(WORKER),
        attempt: job.attempt,
        reason: LostReason::NewSession,
        blame,
        detail: None,
    };
    let counts = |job: &Job| (job.failures, job.crashes, job.suspicions);
    for (blame, expected) in
        [(Blame::Crashed, (1, 2, 0)), (Blame::Suspected, (1, 1, 1)), (Blame::Nobody, (1, 1, 0))]
    {
        let mut unlucky = job.clone();
        unlucky.apply(&lost(blame, &job), noon()).unwrap();
        assert_eq!(counts(&unlucky), expected);
    }
    job.apply(&lost(Blame::Nobody, &job), noon()).unwrap();
    for name in ["assigned", "started", "succeeded"] {
        let fact = facts(&job).into_iter().find(|fact| fact.name() == name).unwrap();
        job.apply(&fact, noon()).unwrap();
    }
    assert_eq!((job.attempt, job.error), (Attempt(4), None), "success forgets what went wrong");
}
