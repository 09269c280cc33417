//! Jobs that wait for other jobs.

use nox_contract::{Fact, JobId, JobState, ProblemCode, SchedulerConfig, WaitingCode};

use crate::{
    log::placing,
    world::{
        Ask, World, acme, after, ask, config, id, job_id, manifest, of_module, seconds, slots,
    },
};

fn assert_refused(world: &mut World, ask: &Ask) {
    let (_, said) = world.ask(ask);
    assert_eq!(said.refusal().code, ProblemCode::InvalidRequest);
    assert!(said.entries.is_empty());
}

/// Whoever asks has to look again: it may have ended, and be forgotten.
fn assert_unknown(world: &mut World, dependency: JobId) {
    let (_, said) = world.ask(&after(&[dependency]));
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
    assert!(said.entries.is_empty());
}

fn fail(world: &mut World, job: JobId) {
    let error = crate::world::error("exit_status");
    let end = nox_contract::AttemptEnd::Failed { error, retryable: false, crashed: false };
    world.end(job, 0, end);
}

#[test]
fn a_job_runs_after_all_jobs_that_must_come_first() {
    let mut world = World::working(9);
    let (a, b) = (world.submit(ask()), world.submit(ask()));
    let job = world.submit(after(&[a, b]));
    assert_eq!(world.waiting(job), Some(WaitingCode::Dependency));
    world.succeed(b);
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::Dependency));
    world.succeed(a);
    let said = world.place();
    assert_eq!(said.names(), ["waiting", "assigned"]);
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_job_after_one_that_succeeded_already_runs_at_once() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    world.succeed(first);
    let job = world.submit(after(&[first]));
    assert_eq!(world.holder(job), Some("w"));
    let open = world.submit(ask());
    let both = world.submit(after(&[first, open, open]));
    world.succeed(open);
    world.place();
    assert_eq!(world.holder(both), Some("w"));
}

#[test]
fn a_job_fails_when_one_that_must_come_first_fails_or_is_canceled() {
    for cancel in [false, true] {
        let mut world = World::working(1);
        let (a, b) = (world.submit(ask()), world.submit(ask()));
        let job = world.submit(after(&[b, a]));
        let next = world.submit(after(&[job]));
        if cancel {
            world.cancel(a);
        } else {
            fail(&mut world, a);
        }
        // The other is still open, which helps nobody.
        let said = world.place();
        assert!(said.of(job).iter().any(|fact| fact.name() == "failed"), "{said:?}");
        assert_eq!(world.state_of(job), JobState::Failed);
        assert_eq!(world.state_of(next), JobState::Failed, "and so on");
        assert_eq!(world.balance("ada").reserved, if cancel { 120 } else { 60 });
    }
}

#[test]
fn a_job_that_failed_for_another_names_it_and_how_that_ended() {
    for (cancel, ended) in [(true, "was canceled"), (false, "failed")] {
        let mut world = World::working(3);
        let (other, first) = (world.submit(ask()), world.submit(ask()));
        let job = world.submit(after(&[other, first]));
        let next = world.submit(after(&[job]));
        if cancel {
            world.cancel(first);
        } else {
            fail(&mut world, first);
        }
        // What ends later changes nothing of why.
        world.cancel(other);
        let said = world.place();
        for (job, message) in [
            (job, format!("job {first}, which had to succeed first, {ended}")),
            (next, format!("job {job}, which had to succeed first, failed")),
        ] {
            let Fact::Failed { error } = said.of(job)[0] else { panic!("{said:?}") };
            assert_eq!((&*error.code, &error.message), ("dependency", &message));
        }
    }
}

#[test]
fn a_failed_attempt_of_a_dependency_is_not_its_end() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let job = world.submit(after(&[first]));
    world.end(first, 0, crate::world::failed());
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::Dependency));
    world.pass(seconds(60));
    world.timer();
    world.succeed(first);
    world.place();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_job_after_one_that_is_hopeless_or_itself_is_refused() {
    let mut world = World::working(9);
    let (failed, canceled) = (world.submit(ask()), world.submit(ask()));
    fail(&mut world, failed);
    world.cancel(canceled);
    world.stop(canceled, 0);
    for hopeless in [failed, canceled] {
        assert_refused(&mut world, &after(&[hopeless]));
    }
    let itself = job_id(888);
    assert_refused(&mut world, &Ask { job: Some(itself), ..after(&[itself]) });
}

#[test]
fn of_one_that_ended_long_ago_the_gateway_has_to_find_out_how() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    world.succeed(first);
    world.submit(after(&[first]));
    world.pass(seconds(20 * 60));
    world.submit(ask());
    assert_unknown(&mut world, first);
    assert_unknown(&mut world, job_id(999));
}

#[test]
fn a_job_after_one_that_is_canceled_and_not_yet_stopped_is_refused() {
    let mut world = World::working(9);
    let canceled = world.submit(ask());
    world.start(canceled);
    world.cancel(canceled);
    assert_refused(&mut world, &after(&[canceled]));
    world.stop(canceled, 0);
    assert_refused(&mut world, &after(&[canceled]));
}

#[test]
fn a_job_after_one_of_another_tenant_is_refused_as_if_that_did_not_exist() {
    let mut world = World::working(9);
    let theirs = world.submit(Ask { tenant: id("other"), ..ask() });
    assert_unknown(&mut world, theirs);
    world.place();
    world.succeed(theirs);
    assert_unknown(&mut world, theirs);
    world.open("grace");
    let hers = world.submit(crate::world::by("grace"));
    world.submit(after(&[hers]));
}

#[test]
fn a_job_with_an_instant_waits_for_its_dependencies_first() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    let run_at = Some(world.log.now + seconds(60));
    let job = world.submit(Ask { run_at, ..after(&[first]) });
    assert_eq!(world.waiting(job), Some(WaitingCode::Dependency));
    assert!(world.due().is_empty());
    world.succeed(first);
    world.place();
    assert_eq!(world.waiting(job), Some(WaitingCode::Scheduled));
    assert!(world.due().is_empty());
    world.pass(seconds(60));
    world.timer();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn an_instant_that_came_while_a_job_waited_for_another_has_come() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    let run_at = Some(world.log.now + seconds(60));
    let job = world.submit(Ask { run_at, ..after(&[first]) });
    world.pass(seconds(120));
    assert!(world.timer().entries.is_empty());
    world.succeed(first);
    world.place();
    world.timer();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_canceled_job_no_longer_waits_for_anybody() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let job = world.submit(after(&[first]));
    world.cancel(job);
    world.succeed(first);
    assert!(world.place().entries.is_empty());
    assert_eq!(world.state_of(job), JobState::Canceled);
}

#[test]
fn a_job_whose_dependencies_are_done_queues_up_like_any_other() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let job = world.submit(Ask { priority: 0, ..after(&[first]) });
    let other = world.submit(ask());
    world.succeed(first);
    world.settle();
    assert_eq!(world.holder(other), Some("w"));
    assert_eq!(world.waiting(job), Some(WaitingCode::Resources));
}

#[test]
fn a_dependency_of_a_disabled_module_keeps_its_dependents_waiting() {
    let mut world = World::working(1);
    let (running, paused) = (world.submit(ask()), world.submit(ask()));
    let job = world.submit(after(&[paused]));
    world.switch("m", false);
    world.succeed(running);
    world.settle();
    assert_eq!(world.waiting(paused), Some(WaitingCode::Paused));
    assert_eq!(world.waiting(job), Some(WaitingCode::Dependency));
    let queued = world.log.state.ledger.user(&acme(), &id("ada")).unwrap().queued_jobs;
    assert_eq!(queued, 2);
    assert_eq!(world.ask(&of_module("m")).1.refusal().code, ProblemCode::DisabledModule);
}

#[test]
fn those_that_are_freed_and_those_that_wait_for_a_slot_do_not_hold_each_other_up() {
    const EACH: usize = 20;
    let mut world = World::working(1);
    let first = world.submit(ask());
    let doomed: Vec<_> = (0..EACH).map(|_| world.submit(after(&[first]))).collect();
    let queued: Vec<_> = (0..EACH).map(|_| world.submit(ask())).collect();
    fail(&mut world, first);
    world.join("v", slots(20), &[manifest("m")]);
    for done in (4..=EACH).step_by(4) {
        assert_eq!(world.internal(placing(8)).entries.len(), 8);
        let failed = doomed.iter().filter(|job| world.state_of(**job) == JobState::Failed);
        let placed = queued.iter().filter(|job| world.holder(**job).is_some());
        assert_eq!((failed.count(), placed.count()), (done, done));
    }
    // What one of them does not need, the other has.
    let more: Vec<_> = (0..8).map(|_| world.submit(ask())).collect();
    world.join("u", slots(20), &[manifest("m")]);
    world.internal(placing(8));
    assert!(more.iter().all(|job| world.holder(*job).is_some()));
}

#[test]
fn the_end_of_a_job_that_took_its_workers_down_is_that_of_its_dependents() {
    let mut world = World::working_with(1, SchedulerConfig { crashes_max: 1, ..config() });
    let lost = world.submit(ask());
    let job = world.submit(after(&[lost]));
    let next = world.submit(after(&[job]));
    world.start(lost);
    // Its process ended, for another one of its folder has begun.
    world.join("w", slots(1), &[manifest("m")]);
    assert_eq!(world.state_of(lost), JobState::Failed);
    let said = world.place();
    for job in [job, next] {
        let Fact::Failed { error } = said.of(job)[0] else { panic!("{said:?}") };
        assert_eq!(error.code, "dependency");
    }
}

#[test]
fn a_chain_and_a_crowd_of_dependents_end_however_long_and_wide_they_are() {
    let mut world = World::working(0);
    let first = world.submit(ask());
    let mut all = vec![first];
    for _ in 0..40 {
        let last = all[all.len() - 1];
        all.push(world.submit(after(&[last])));
    }
    // Each link of the chain has others that wait for it as well.
    for place in 0..40 {
        all.push(world.submit(after(&[all[place], first])));
    }
    world.cancel(first);
    world.place();
    for job in &all[1..] {
        assert_eq!(world.state_of(*job), JobState::Failed, "{job}");
    }
    assert_eq!(world.balance("ada").reserved, 0);
}
