//! Jobs that wait for an instant.

use nox_contract::{Timestamp, WaitingCode};
use nox_core::Internal;

use crate::world::{Ask, World, ask, failed, job_id, seconds};

fn later(world: &World, by: u64) -> Ask {
    Ask { run_at: Some(world.log.now + seconds(by)), ..ask() }
}

#[test]
fn a_job_with_an_instant_waits_for_it_although_a_worker_is_free() {
    let mut world = World::working(1);
    let job = world.submit(later(&world, 60));
    assert_eq!(world.waiting(job), Some(WaitingCode::Scheduled));
    world.pass(seconds(59));
    assert!(world.due().is_empty());
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::Scheduled));
    world.pass(seconds(1));
    let said = world.timer();
    assert_eq!(said.names(), ["assigned"]);
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn an_instant_of_the_past_is_for_the_timer_to_see() {
    let mut world = World::working(1);
    let job = world.submit(Ask { run_at: Some(Timestamp::MIN), ..ask() });
    assert_eq!(world.waiting(job), Some(WaitingCode::Scheduled));
    assert_eq!(world.due(), [job]);
    world.timer();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn an_instant_that_comes_while_others_wait_is_the_end_of_a_queue() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let early = world.submit(later(&world, 1));
    world.pass(seconds(5));
    let late = world.submit(ask());
    world.timer();
    assert_eq!(world.waiting(early), Some(WaitingCode::Resources));
    world.succeed(running);
    let due_now = world.submit(later(&world, 0));
    world.timer();
    assert_eq!(world.waiting(due_now), Some(WaitingCode::Priority), "others were there first");
    world.place();
    // It is the older one, though its instant came later.
    assert_eq!((world.holder(early), world.holder(late)), (Some("w"), None));
}

#[test]
fn a_job_whose_instant_comes_while_nobody_can_run_it_has_the_reason() {
    let mut world = World::working(1);
    let job = world.submit(later(&world, 1));
    world.pass(seconds(1));
    world.switch("m", false);
    let said = world.timer();
    assert_eq!(said.names(), ["waiting"]);
    assert_eq!(world.waiting(job), Some(WaitingCode::Paused));
    assert_eq!(world.log.state.timers().count(), 0);
}

#[test]
fn a_timer_moves_only_jobs_that_wait_for_one() {
    let mut world = World::working(1);
    let (running, queued) = (world.submit(ask()), world.submit(ask()));
    let dependent = world.submit(crate::world::after(&[running]));
    let canceled = world.submit(later(&world, 1));
    world.cancel(canceled);
    let due = vec![running, queued, dependent, canceled, job_id(999)];
    assert!(world.internal(Internal::Timer { due }).entries.is_empty());
}

#[test]
fn timers_come_in_the_order_of_their_instants() {
    let mut world = World::working(1);
    let third = world.submit(later(&world, 30));
    let first = world.submit(later(&world, 10));
    let second = world.submit(ask());
    world.end(second, 0, failed());
    let order: Vec<_> = world.log.state.timers().map(|(_, job)| job).collect();
    assert_eq!(order, [second, first, third]);
    world.pass(seconds(10));
    assert_eq!(world.due(), [second, first]);
}

#[test]
fn a_backoff_ends_with_another_attempt() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    world.end(job, 0, failed());
    assert!(world.place().entries.is_empty(), "the slot is free and the job is not due");
    world.pass(seconds(1));
    assert_eq!(world.timer().names(), ["assigned"]);
    assert_eq!(world.attempt(job), 2);
}
