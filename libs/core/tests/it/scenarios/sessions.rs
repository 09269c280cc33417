//! Workers come, go, come back as others, and take no more.

use nox_contract::{
    Attempt, Capacity, Fact, Incarnation, JobState, LostReason, Report, SessionId, Source,
    WaitingCode, WorkNumber, beat::Held,
};
use nox_core::Internal;

use crate::{
    log::Said,
    world::{World, ask, id, manifest, session_id, slots, succeeded},
};

fn reasons(said: &Said) -> Vec<LostReason> {
    let facts = said.entries.iter().flat_map(|entry| entry.known_facts());
    facts
        .filter_map(|fact| match fact {
            Fact::AttemptLost { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect()
}

fn session_of(world: &World, worker: &str) -> SessionId {
    world.log.state.workers.get(&id(worker)).unwrap().session
}

#[test]
fn a_worker_that_joins_brings_its_modules() {
    let mut world = World::new();
    let said = world.hello("w", session_id(9), slots(2), &[manifest("a"), manifest("b")]);
    assert_eq!(said.names(), ["module_declared", "module_declared", "worker_joined"]);
    let again = world.hello("v", session_id(8), slots(2), &[manifest("a")]);
    assert_eq!(again.names(), ["worker_joined"], "the log knows the module already");
}

#[test]
fn a_hello_that_is_heard_twice_changes_nothing() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let session = session_of(&world, "w");
    let said = world.hello("w", session, slots(7), &[manifest("m")]);
    assert!(said.entries.is_empty());
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_hello_that_was_long_on_its_way_does_not_begin_an_old_session_again() {
    let mut world = World::working(1);
    let old = session_of(&world, "w");
    let new = world.join("w", slots(1), &[manifest("m")]);
    let job = world.submit(ask());
    assert!(world.hello("w", old, slots(1), &[manifest("m")]).entries.is_empty());
    assert_eq!((session_of(&world, "w"), world.holder(job)), (new, Some("w")));

    world.silent("w");
    for gone in [old, new] {
        assert!(world.hello("w", gone, slots(1), &[manifest("m")]).entries.is_empty());
    }
    // Nothing of theirs is on its way any more when they are forgotten.
    world.pass(crate::world::seconds(15 * 60));
    world.submit(ask());
    assert!(!world.log.state.workers.is_past(old) && !world.log.state.workers.is_past(new));
}

#[test]
fn a_new_session_loses_what_the_old_one_held() {
    let mut world = World::working(3);
    let (started, assigned, canceled) =
        (world.submit(ask()), world.submit(ask()), world.submit(ask()));
    world.start(started);
    world.cancel(canceled);
    let said = world.hello("w", session_id(9), slots(3), &[manifest("m")]);
    assert_eq!(reasons(&said), [LostReason::NewSession; 3]);
    assert_eq!(said.names()[..2], ["worker_left", "worker_joined"]);
    for job in [started, assigned] {
        let active = world.log.state.job(job).unwrap();
        assert_eq!((active.job.crashes, active.job.suspicions), (0, 1));
        assert_eq!(world.waiting(job), Some(WaitingCode::Priority));
    }
    assert_eq!(world.state_of(canceled), JobState::Canceled);
    assert!(world.log.state.job(canceled).is_none());
}

#[test]
fn work_is_numbered_anew_in_every_session() {
    let mut world = World::working(9);
    world.submit(ask());
    world.join("w", slots(9), &[manifest("m")]);
    assert_eq!(world.next_work(), 1);
    let said = world.place();
    let Some(Fact::Assigned { work, attempt, .. }) =
        said.entries.iter().flat_map(|entry| entry.known_facts()).next()
    else {
        panic!("{said:?}")
    };
    assert_eq!((*work, *attempt), (WorkNumber(1), Attempt(2)));
}

#[test]
fn a_silent_worker_is_gone_with_all_that_it_held() {
    let mut world = World::working(2);
    let (a, b) = (world.submit(ask()), world.submit(ask()));
    let said = world.silent("w");
    assert_eq!(reasons(&said), [LostReason::WorkerSilent; 2]);
    let Some(Fact::WorkerLeft { lost: true, .. }) =
        said.entries.first().and_then(|entry| entry.known_facts().next())
    else {
        panic!("{said:?}")
    };
    assert!(world.log.state.workers.get(&id("w")).is_none());
    world.settle();
    for job in [a, b] {
        assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    }
}

#[test]
fn a_worker_that_was_given_up_on_can_no_longer_finish_the_job() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    world.start(job);
    let late = world.holding(job);
    world.silent("w");
    let report = late.ended(job, true, 1_000, succeeded());
    assert!(world.report(&late.worker, late.session, report.clone()).entries.is_empty());

    // Nor when it comes back, nor while another has the job.
    world.join("w", slots(1), &[manifest("m")]);
    world.place();
    assert_eq!(world.attempt(job), 2);
    assert!(world.report(&late.worker, late.session, report.clone()).entries.is_empty());
    let session = session_of(&world, "w");
    assert!(world.report(&late.worker, session, report).entries.is_empty());
    assert_eq!(world.state_of(job), JobState::Queued);
}

#[test]
fn a_session_that_was_given_up_is_not_given_up_again() {
    let mut world = World::working(1);
    let old = session_of(&world, "w");
    world.join("w", slots(1), &[manifest("m")]);
    let job = world.submit(ask());
    let silent = Internal::WorkerSilent { worker_id: id("w"), session: old };
    assert!(world.internal(silent).entries.is_empty());
    let held = vec![Held { job_id: job, attempt: Attempt(1) }];
    assert!(world.missing("w", old, held).entries.is_empty());
    assert!(world.report(&id("w"), old, Report::Bye).entries.is_empty());
    assert!(world.report(&id("w"), old, Report::Draining).entries.is_empty());
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn only_the_attempts_that_are_missing_are_lost() {
    let mut world = World::working(3);
    let (a, b) = (world.submit(ask()), world.submit(ask()));
    let session = session_of(&world, "w");
    let missing = vec![
        Held { job_id: a, attempt: Attempt(1) },
        Held { job_id: b, attempt: Attempt(2) },
        Held { job_id: crate::world::job_id(999), attempt: Attempt(1) },
    ];
    let said = world.missing("w", session, missing);
    assert_eq!(reasons(&said), [LostReason::NotHeld]);
    assert_eq!((world.holder(a), world.holder(b)), (None, Some("w")));
}

#[test]
fn a_worker_that_says_goodbye_is_gone_and_not_lost() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let session = session_of(&world, "w");
    let said = world.report(&id("w"), session, Report::Bye);
    assert_eq!(said.names(), ["worker_left", "attempt_lost"]);
    let Some(Fact::WorkerLeft { lost: false, .. }) =
        said.entries.first().and_then(|entry| entry.known_facts().next())
    else {
        panic!("{said:?}")
    };
    assert_eq!(world.waiting(job), Some(WaitingCode::Priority));
}

#[test]
fn a_draining_worker_is_given_nothing_and_what_it_holds_goes_on() {
    let mut world = World::working(9);
    let running = world.submit(ask());
    let session = session_of(&world, "w");
    assert_eq!(world.report(&id("w"), session, Report::Draining).names(), ["worker_draining"]);
    let job = world.submit(ask());
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    world.settle();
    assert_eq!(world.holder(job), None);
    world.start(running);
    world.succeed(running);
    assert_eq!(world.state_of(running), JobState::Succeeded);

    world.join("v", slots(1), &[manifest("m")]);
    world.place();
    assert_eq!(world.holder(job), Some("v"));
}

#[test]
fn a_worker_that_says_twice_that_it_drains_is_heard_once() {
    let mut world = World::working(1);
    let session = session_of(&world, "w");
    world.report(&id("w"), session, Report::Draining);
    assert!(world.report(&id("w"), session, Report::Draining).entries.is_empty());
}

#[test]
fn a_new_session_of_a_draining_worker_takes_work() {
    let mut world = World::working(1);
    let session = session_of(&world, "w");
    world.report(&id("w"), session, Report::Draining);
    world.join("w", slots(1), &[manifest("m")]);
    let job = world.submit(ask());
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_worker_that_comes_back_with_less_gets_less() {
    let mut world = World::working(9);
    world.join("w", Capacity { slots: 1, ..slots(9) }, &[manifest("m")]);
    let (a, b) = (world.submit(ask()), world.submit(ask()));
    assert_eq!((world.holder(a), world.holder(b)), (Some("w"), None));
}

#[test]
fn a_worker_that_comes_back_without_a_module_serves_it_no_more() {
    let mut world = World::working(9);
    world.join("w", slots(9), &[manifest("other")]);
    let job = world.submit(ask());
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
}

#[test]
fn sessions_end_with_the_stream_that_they_spoke_in() {
    let mut world = World::working(1);
    world.join("v", slots(1), &[manifest("m")]);
    let (running, other) = (world.submit(ask()), world.submit(ask()));
    world.place();
    world.start(running);
    let sessions = [session_of(&world, "w"), session_of(&world, "v")];
    let reset = |src| Internal::ResetInputs {
        src,
        incarnation: Incarnation("another".to_owned()),
        position: 0,
        by: "op".to_owned(),
    };
    // Workers do not speak in the commands.
    assert_eq!(world.internal(reset(Source::Commands)).names(), ["inputs_reset"]);
    assert_eq!(session_of(&world, "w"), sessions[0]);

    let said = world.internal(reset(Source::Reports));
    let expected = ["worker_left", "worker_left", "inputs_reset", "attempt_lost", "attempt_lost"];
    assert_eq!(said.names(), expected);
    assert_eq!(world.log.state.workers.iter().count(), 0);
    for (worker, session) in [("w", sessions[0]), ("v", sessions[1])] {
        let again = world.hello(worker, session, slots(1), &[manifest("m")]);
        assert!(again.entries.is_empty(), "its earlier words are gone, so it has to begin anew");
    }
    world.join("w", slots(2), &[manifest("m")]);
    world.place();
    for job in [running, other] {
        world.succeed(job);
        assert_eq!(world.state_of(job), JobState::Succeeded);
    }
}
