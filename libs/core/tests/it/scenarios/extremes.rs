//! No figure that anybody can send stops the log: what panics or cannot be folded in the one writer
//! would do so again after every takeover.

use nox_contract::{
    AttemptEnd, Capacity, ERROR_MESSAGE_BYTES_MAX, Fact, JobError, JobState, Limits, Manifest,
    OUTPUTS_BYTES_MAX, ProblemCode, RawJson, Report, Resources, RetryPolicy, SchedulerConfig,
    Timestamp,
    report::{Ended, Started},
};

use crate::world::{
    Ask, ROOMY, SMALL, World, after, ask, config_of, crashed, failed, manifest, seconds, slots,
    succeeded,
};

const MOST: Resources =
    Resources { cpu: u32::MAX, mem_mb: u32::MAX, wall_time_s: u32::MAX, gpu: u32::MAX };

const BOUNDLESS: Limits = Limits {
    cpu_seconds: i64::MAX,
    queued_jobs: u32::MAX,
    running_jobs: u32::MAX,
    cpu: u32::MAX,
    mem_mb: u32::MAX,
    drafts: u32::MAX,
    starts_per_minute: nox_contract::limits::UNLIMITED,
};

#[test]
fn the_largest_request_is_refused() {
    let mut world = World::working(1);
    let (_, said) = world.ask(&Ask { resources: MOST, ..ask() });
    assert_eq!(said.refusal().code, ProblemCode::RequestTooLarge);
}

#[test]
fn the_largest_request_is_admitted_where_nothing_is_limited() {
    let config = SchedulerConfig { tenant: BOUNDLESS, ..config_of(BOUNDLESS) };
    let mut world = World::working_with(1, config);
    let job = world.submit(Ask { resources: MOST, ..ask() });
    let (_, said) = world.ask(&ask());
    assert_eq!(said.refusal().code, ProblemCode::BudgetExhausted);
    world.cancel(job);
    world.join(
        "w",
        Capacity { slots: 9, cpu: u32::MAX, mem_mb: u32::MAX, gpu: u32::MAX },
        &[manifest("m")],
    );
    for end in [crashed(), failed(), succeeded()] {
        // What the job used is spent; the next day has as much again.
        world.pass(seconds(86_400));
        let job = world.submit(Ask { resources: MOST, ..ask() });
        world.place();
        world.end(job, u64::MAX, end);
        if world.log.state.job(job).is_some() {
            world.cancel(job);
        }
        let balance = world.balance("ada");
        assert!(balance.is_balanced() && balance.used > 0, "{balance:?}");
    }
    world.pass(seconds(86_400));
    world.submit(Ask { resources: MOST, ..ask() });
}

#[test]
fn a_worker_may_claim_to_have_run_for_ever() {
    let mut world = World::working(1);
    for _ in 0..2_000 {
        let job = world.submit(ask());
        world.place();
        let holding = world.holding(job);
        let (attempt, token) = (holding.attempt, holding.token.clone());
        let started =
            Report::Started(Started { job_id: job, attempt, token, elapsed_ms: u64::MAX });
        world.report(&holding.worker, holding.session, started);
        world.end(job, u64::MAX, succeeded());
        world.pass(seconds(120));
    }
    world.log.snapshot().unwrap();
    let balance = world.balance("ada");
    assert!(balance.is_balanced() && balance.overrun > 0, "{balance:?}");
}

#[test]
fn many_attempts_may_each_claim_to_have_run_for_ever() {
    let mut world = World::new();
    let retry = RetryPolicy {
        attempts_max: u32::MAX,
        backoff_ms: 0,
        backoff_ms_max: 0,
        ..RetryPolicy::default()
    };
    world.join("w", slots(1), &[Manifest { retry, ..manifest("m") }]);
    world.open("ada");
    let job = world.submit(Ask { resources: Resources { cpu: 60, ..SMALL }, ..ask() });
    for _ in 0..50 {
        world.end(job, u64::MAX, failed());
        world.timer();
    }
    world.end(job, u64::MAX, succeeded());
    assert_eq!(world.state_of(job), JobState::Succeeded);
}

#[test]
fn a_wait_without_end_is_an_instant_that_can_be_written() {
    for (backoff_ms, backoff_ms_max) in [(u64::MAX, u64::MAX), (1 << 60, 0), (1, u64::MAX)] {
        let mut world = World::new();
        let retry = RetryPolicy {
            attempts_max: u32::MAX,
            backoff_ms,
            backoff_ms_max,
            ..RetryPolicy::default()
        };
        world.join("w", slots(1), &[Manifest { retry, ..manifest("m") }]);
        world.open("ada");
        let job = world.submit(ask());
        for _ in 0..80 {
            world.end(job, 0, failed());
            world.log.snapshot().unwrap();
            let Some((due_at, _)) = world.log.state.timers().next() else { panic!("no retry") };
            if due_at > world.log.now + seconds(86_400 * 365) {
                break;
            }
            world.log.now = due_at;
            world.timer();
        }
    }
}

#[test]
fn the_first_and_the_last_instant_can_be_waited_for() {
    let mut world = World::working(9);
    for run_at in [Timestamp::MIN, Timestamp::MAX] {
        let job = world.submit(Ask { run_at: Some(run_at), ..ask() });
        world.submit(Ask { run_at: Some(run_at), ..after(&[job]) });
    }
    world.timer();
    world.log.snapshot().unwrap();
}

#[test]
fn a_priority_beyond_the_highest_breaks_nothing() {
    for ageing_ms in [0, 60_000, u64::MAX] {
        let mut world =
            World::working_with(1, SchedulerConfig { ageing_ms, ..crate::world::config() });
        let running = world.submit(ask());
        for priority in [0, 9, 10, 255] {
            world.submit(Ask { priority, ..ask() });
        }
        world.succeed(running);
        world.settle();
    }
}

#[test]
fn limits_of_nothing_admit_nothing() {
    let nothing = Limits {
        cpu_seconds: 0,
        queued_jobs: 0,
        running_jobs: 0,
        cpu: 0,
        mem_mb: 0,
        drafts: 0,
        starts_per_minute: 0,
    };
    let mut world = World::with(config_of(nothing));
    world.join("w", slots(1), &[manifest("m")]);
    assert_eq!(world.ask(&ask()).1.refusal().code, ProblemCode::RequestTooLarge);
    let empty = Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 };
    let (_, said) = world.ask(&Ask { resources: empty, ..ask() });
    assert_eq!(said.refusal().code, ProblemCode::QueueFull);
    world.configure(config_of(Limits { queued_jobs: 1, ..nothing }));
    let job = world.submit(Ask { resources: empty, ..ask() });
    world.settle();
    assert_eq!(world.waiting(job), Some(nox_contract::WaitingCode::Quota));
}

#[test]
fn no_crash_at_all_may_be_allowed() {
    let config = SchedulerConfig { crashes_max: 0, ..config_of(ROOMY) };
    let mut world = World::working_with(1, config);
    let job = world.submit(ask());
    let holding = world.holding(job);
    let crash = Report::Ended(Box::new(Ended {
        job_id: job,
        attempt: holding.attempt,
        token: holding.token.clone(),
        started: true,
        usage: Default::default(),
        end: AttemptEnd::Failed {
            error: crate::world::error("killed"),
            retryable: true,
            crashed: true,
        },
    }));
    world.report(&holding.worker, holding.session, crash);
    assert_eq!(world.state_of(job), JobState::Failed);
    let job = world.submit(ask());
    world.silent("w");
    world.settle();
    assert_eq!(world.waiting(job), Some(nox_contract::WaitingCode::NoWorker), "it never started");
}

#[test]
fn an_error_without_end_is_cut_and_ends_its_job_like_any_other() {
    let mut world = World::working(1);
    let retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() };
    world.join("w", slots(1), &[Manifest { retry, ..manifest("m") }]);
    let job = world.submit(ask());
    world.place();
    let error =
        JobError { code: "€".repeat(100), message: "€".repeat(1 << 20), exit_status: Some(3) };
    let end = AttemptEnd::Failed { error, retryable: true, crashed: false };
    let said = world.end(job, 1_000, end);
    let bytes: usize =
        said.entries.iter().map(|entry| serde_json::to_vec(&**entry).unwrap().len()).sum();
    assert!(bytes < 4 * ERROR_MESSAGE_BYTES_MAX, "{bytes} bytes");
    let failed = said.of(job).into_iter().find_map(|fact| match fact {
        Fact::Failed { error } => Some(error.clone()),
        _ => None,
    });
    let failed = failed.expect("the job failed");
    assert_eq!((failed.code.len(), failed.exit_status), (126, Some(3)));
    assert!(failed.message.len() > ERROR_MESSAGE_BYTES_MAX - 4, "as much as fits is kept");
}

#[test]
fn outputs_that_no_entry_can_carry_are_a_failure() {
    let mut world = World::working(1);
    for (bytes, expected) in
        [(OUTPUTS_BYTES_MAX, JobState::Succeeded), (OUTPUTS_BYTES_MAX + 1, JobState::Failed)]
    {
        let job = world.submit(ask());
        world.place();
        // Two of them are the quotes.
        let outputs = RawJson::of(&"x".repeat(bytes - 2)).unwrap();
        let said = world.end(job, 1_000, AttemptEnd::Succeeded { outputs });
        assert_eq!(world.state_of(job), expected, "{:?}", said.names());
    }
}
