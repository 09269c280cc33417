//! Workers that an operator takes out of service.

use nox_contract::{JobState, ProblemCode, WaitingCode};

use crate::world::{World, ask, config, manifest, slots};

#[test]
fn a_drained_worker_ends_what_it_has_and_is_given_nothing_more() {
    let mut world = World::working(9);
    let running = world.submit(ask());
    world.start(running);
    assert!(!world.drain_worker("w", true).accepted().repeated);
    let waiting = world.submit(ask());
    world.settle();
    assert_eq!(world.waiting(waiting), Some(WaitingCode::Drained));
    world.succeed(running);
    assert_eq!(world.state_of(running), JobState::Succeeded);
    world.settle();
    assert_eq!(world.holder(waiting), None);

    assert!(world.drain_worker("w", true).accepted().repeated);
    assert_eq!(world.drain_worker("w", false).names(), ["worker_undrained"]);
    world.settle();
    assert_eq!(world.holder(waiting), Some("w"));
    assert!(world.drain_worker("w", false).accepted().repeated);
}

#[test]
fn what_waits_for_room_says_so_when_its_worker_is_drained_and_again_when_it_is_back() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    world.start(running);
    let [first, second] = [world.submit(ask()), world.submit(ask())];
    world.settle();
    assert_eq!(world.waiting(first), Some(WaitingCode::Resources));
    world.drain_worker("w", true);
    world.settle();
    // What holds the first back holds back all behind it.
    assert_eq!([first, second].map(|job| world.waiting(job)), [Some(WaitingCode::Drained); 2]);
    // Nobody is drained who is not there.
    world.silent("w");
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::NoWorker));
    world.join("w", slots(1), &[manifest("m")]);
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::Drained));
    world.drain_worker("w", false);
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::Priority));
}

#[test]
fn others_take_over_what_a_drained_worker_would_have_been_given() {
    let mut world = World::working(9);
    world.join("v", slots(1), &[manifest("m")]);
    world.drain_worker("w", true);
    let job = world.submit(ask());
    world.settle();
    assert_eq!(world.holder(job), Some("v"));
}

#[test]
fn a_worker_stays_drained_through_its_sessions() {
    let mut world = World::working(9);
    world.drain_worker("w", true);
    world.join("w", slots(9), &[manifest("m")]);
    let job = world.submit(ask());
    world.settle();
    assert_eq!(world.holder(job), None);
    world.silent("w");
    // Whoever is away may be put back into service.
    world.drain_worker("w", false);
    world.join("w", slots(9), &[manifest("m")]);
    world.settle();
    assert_eq!(world.holder(job), Some("w"));
}

/// Unlike a worker that says itself that it is to stop: nobody expects its end.
#[test]
fn a_crash_of_a_drained_worker_is_a_crash() {
    let mut world = World::working(9);
    let job = world.submit(ask());
    world.start(job);
    world.drain_worker("w", true);
    world.join("w", slots(9), &[manifest("m")]);
    assert_eq!(world.log.state.job(job).unwrap().job.crashes, 1);
}

#[test]
fn only_a_worker_that_is_there_can_be_drained() {
    let mut world = World::with(config());
    assert_eq!(world.drain_worker("w", true).refusal().code, ProblemCode::WorkerNotFound);
    assert_eq!(world.drain_worker("w", false).refusal().code, ProblemCode::WorkerNotFound);
}
