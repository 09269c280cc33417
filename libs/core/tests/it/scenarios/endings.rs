//! How attempts end and what becomes of their jobs.

use std::time::Duration;

use nox_contract::{AttemptEnd, Fact, JobId, JobState, RetryPolicy, Timestamp, WaitingCode};
use nox_core::job::SUSPICIONS_MAX;

use crate::{
    log::Said,
    world::{
        World, ask, config, crashed, error, failed, id, manifest, seconds, session_id, slots,
        succeeded,
    },
};

/// A worker whose module is tried so often, and waits so long in between.
fn world(attempts_max: u32, backoff_ms: u64, backoff_ms_max: u64) -> World {
    let mut world = World::new();
    let retry = RetryPolicy { attempts_max, backoff_ms, backoff_ms_max, ..RetryPolicy::default() };
    world.join("w", slots(9), &[nox_contract::Manifest { retry, ..manifest("m") }]);
    world.open("ada");
    world
}

fn due_at(said: &Said, job: JobId) -> Timestamp {
    let due = said.of(job).into_iter().find_map(|fact| match fact {
        Fact::RetryScheduled { due_at, .. } => Some(*due_at),
        _ => None,
    });
    due.unwrap_or_else(|| panic!("no retry: {said:?}"))
}

fn error_of(said: &Said, job: JobId) -> nox_contract::JobError {
    let failed = said.of(job).into_iter().find_map(|fact| match fact {
        Fact::Failed { error } => Some(error.clone()),
        _ => None,
    });
    failed.unwrap_or_else(|| panic!("not failed: {said:?}"))
}

/// Lets every attempt fail until none follows; returns the waits between them.
fn waits(world: &mut World, job: JobId) -> Vec<Duration> {
    let mut waits = Vec::new();
    loop {
        let said = world.end(job, 0, failed());
        if said.names().contains(&"failed") {
            return waits;
        }
        let due_at = due_at(&said, job);
        waits.push(due_at.since(world.log.now));
        assert_eq!(world.waiting(job), Some(WaitingCode::Backoff));
        world.log.now = due_at;
        world.timer();
    }
}

#[test]
fn an_end_may_be_the_first_that_is_heard_of_an_attempt() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    assert_eq!(world.succeed(job).names()[..2], ["started", "succeeded"]);
    let job = world.submit(ask());
    world.start(job);
    assert_eq!(world.succeed(job).names()[0], "succeeded");
}

#[test]
fn a_success_ends_the_job_even_if_the_worker_forgot_to_say_that_it_started() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let said = world.end_unstarted(job, succeeded());
    assert_eq!(said.names()[..2], ["started", "succeeded"]);
}

#[test]
fn a_failed_attempt_is_tried_again_as_often_as_its_module_says() {
    let mut world = world(4, 1_000, 60_000);
    let job = world.submit(ask());
    assert_eq!(waits(&mut world, job).len(), 3);
    assert_eq!(world.state_of(job), JobState::Failed);
}

#[test]
fn waits_double_up_to_the_cap_and_are_spread_over_their_upper_half() {
    let mut world = world(9, 1_000, 10_000);
    let jobs: Vec<_> = (0..8).map(|_| world.submit(ask())).collect();
    let mut spread = std::collections::BTreeSet::new();
    for job in jobs {
        let waits = waits(&mut world, job);
        for (wait, full_ms) in
            waits.iter().zip([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000, 10_000])
        {
            let full = Duration::from_millis(full_ms);
            assert!(*wait <= full && *wait >= full / 2, "{wait:?} of {full:?}");
        }
        spread.insert(waits[0]);
    }
    assert!(spread.len() > 4, "jobs that failed together come back together: {spread:?}");
}

#[test]
fn waits_are_the_same_in_every_replay() {
    let run = || {
        let mut world = world(5, 1_000, 60_000);
        let job = world.submit(ask());
        waits(&mut world, job)
    };
    assert_eq!(run(), run());
}

#[test]
fn what_the_worker_calls_hopeless_is_not_tried_again() {
    let mut world = world(9, 1_000, 1_000);
    let job = world.submit(ask());
    let hopeless = AttemptEnd::Failed { error: error("input"), retryable: false, crashed: false };
    let said = world.end(job, 0, hopeless);
    assert_eq!(error_of(&said, job), error("input"));
}

#[test]
fn a_job_that_crashes_three_times_is_ended_with_the_evidence() {
    // However often its module would try: one attempt, or a hundred.
    for attempts_max in [1, 100] {
        let mut world = world(attempts_max, 1_000, 1_000);
        let job = world.submit(ask());
        for _ in 0..2 {
            let said = world.end(job, 0, crashed());
            world.log.now = due_at(&said, job);
            world.timer();
        }
        let error = error_of(&world.end(job, 0, crashed()), job);
        assert_eq!(error.code, "crashed");
        assert!(error.message.contains("3 attempts") && error.message.contains("it was killed"));
        assert_eq!(error.exit_status, Some(1));
    }
}

#[test]
fn a_loss_of_a_started_attempt_with_its_process_is_a_crash() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    for crashes in 1..=3 {
        world.start(job);
        let said = world.hello("w", session_id(100 + crashes), slots(1), &[manifest("m")]);
        if crashes == 3 {
            assert_eq!(error_of(&said, job).code, "crashed");
            break;
        }
        assert_eq!(said.names(), ["worker_left", "worker_joined", "attempt_lost"]);
        world.place();
    }
    assert_eq!(world.state_of(job), JobState::Failed);
}

/// Once it is suspected often enough to run in isolation, for it may take down the whole machine.
#[test]
fn a_job_whose_workers_fall_silent_each_time_is_ended_in_the_end() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let crashes = |world: &World| world.log.state.job(job).map(|active| active.job.crashes);
    for silences in 1..=SUSPICIONS_MAX + 3 {
        assert_eq!(world.attempt(job), silences);
        assert_eq!(crashes(&world), Some(silences.saturating_sub(SUSPICIONS_MAX + 1)));
        world.silent("w");
        world.join("w", slots(1), &[manifest("m")]);
        world.place();
    }
    assert_eq!(world.state_of(job), JobState::Failed);
}

#[test]
fn an_attempt_that_failed_before_it_started_is_no_crash_whatever_the_worker_says() {
    let mut world = world(1, 1_000, 1_000);
    let job = world.submit(ask());
    let said = world.end_unstarted(job, crashed());
    assert_eq!(said.names()[..2], ["attempt_failed", "failed"]);
    let Fact::AttemptFailed { crashed, .. } = said.of(job)[0] else { panic!("{said:?}") };
    assert!(!crashed);
    assert_eq!(error_of(&said, job), error("killed"), "one attempt was all it had");
}

#[test]
fn crashes_and_failures_are_counted_apart() {
    let mut world = world(3, 1_000, 1_000);
    let job = world.submit(ask());
    let again = |world: &mut World, end: AttemptEnd| {
        let said = world.end(job, 0, end);
        world.log.now = due_at(&said, job);
        world.timer();
    };
    again(&mut world, failed());
    again(&mut world, crashed());
    again(&mut world, failed());
    again(&mut world, crashed());
    world.succeed(job);
    assert_eq!(world.state_of(job), JobState::Succeeded);
}

#[test]
fn how_many_crashes_are_too_many_is_configured() {
    let mut world = world(9, 1_000, 1_000);
    world.configure(nox_contract::SchedulerConfig { crashes_max: 1, ..config() });
    let job = world.submit(ask());
    assert_eq!(error_of(&world.end(job, 0, crashed()), job).code, "crashed");
}

#[test]
fn a_lost_attempt_goes_back_to_its_old_place_in_the_queue() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    world.pass(seconds(10));
    let second = world.submit(ask());
    let session = world.holding(first).session;
    let held = nox_contract::beat::Held { job_id: first, attempt: nox_contract::Attempt(1) };
    let said = world.missing("w", session, vec![held]);
    assert_eq!(said.names(), ["attempt_lost"]);
    world.place();
    assert_eq!((world.holder(first), world.holder(second)), (Some("w"), None));
}

#[test]
fn a_retry_is_no_longer_ahead_of_nobody_but_keeps_its_age() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let said = world.end(first, 0, failed());
    let second = world.submit(ask());
    assert_eq!(world.holder(second), Some("w"));
    let third = world.submit(ask());
    world.log.now = due_at(&said, first);
    world.timer();
    assert_eq!(world.waiting(first), Some(WaitingCode::Resources));
    world.succeed(second);
    world.place();
    assert_eq!((world.holder(first), world.holder(third)), (Some("w"), None));
}

#[test]
fn an_unknown_worker_is_not_heard() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let holding = world.holding(job);
    let said = world.report(&id("nobody"), holding.session, holding.started(job));
    assert!(said.entries.is_empty());
}
