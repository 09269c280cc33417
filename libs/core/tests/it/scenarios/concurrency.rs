//! Concurrency keys: how many of one run at a time.

use nox_contract::{Concurrency, JobId, WaitingCode};

use crate::world::{Ask, World, ask, id};

fn keyed(key: &str, limit: u32) -> Ask {
    Ask { concurrency: Some(Concurrency { key: key.to_owned(), limit }), ..ask() }
}

fn waiting(world: &World, jobs: &[JobId]) -> Vec<Option<WaitingCode>> {
    jobs.iter().map(|job| world.waiting(*job)).collect()
}

#[test]
fn as_many_of_a_key_run_as_it_says_and_others_are_not_held_up() {
    use WaitingCode::{Concurrency, Dispatching, Priority};
    let mut world = World::working(9);
    let jobs: Vec<_> = (0..4).map(|_| world.submit(keyed("db", 2))).collect();
    let other = world.submit(keyed("disk", 1));
    let free = world.submit(ask());
    world.settle();
    assert_eq!(
        waiting(&world, &jobs),
        [Some(Dispatching), Some(Dispatching), Some(Concurrency), Some(Priority)]
    );
    assert!(world.holder(other).is_some() && world.holder(free).is_some());
    world.succeed(jobs[0]);
    world.settle();
    assert_eq!(waiting(&world, &jobs[2..]), [Some(Dispatching), Some(Concurrency)]);
}

#[test]
fn a_key_is_one_for_all_users_of_a_tenant_and_another_one_in_each() {
    let mut world = World::working(9);
    for user in ["ada", "bob"] {
        world.open(user);
    }
    let first = world.submit(keyed("db", 1));
    let second = world.submit(Ask { user: id("bob"), ..keyed("db", 1) });
    let theirs = world.submit(Ask { tenant: id("other"), ..keyed("db", 1) });
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::Concurrency));
    assert!(world.holder(first).is_some() && world.holder(theirs).is_some());
}

#[test]
fn of_several_limits_the_least_counts_of_those_that_run_and_of_who_is_to_start() {
    let mut world = World::working(9);
    let wide = world.submit(keyed("db", 5));
    let narrow = world.submit(keyed("db", 1));
    world.settle();
    assert!(world.holder(wide).is_some());
    assert_eq!(world.waiting(narrow), Some(WaitingCode::Concurrency), "its own limit is 1");
    world.succeed(wide);
    world.settle();
    assert!(world.holder(narrow).is_some());
    let wide = world.submit(keyed("db", 5));
    world.settle();
    assert_eq!(
        world.waiting(wide),
        Some(WaitingCode::Concurrency),
        "one runs that wants to be alone"
    );
}

#[test]
fn a_canceled_job_has_its_key_until_it_has_stopped() {
    let mut world = World::working(9);
    let first = world.submit(keyed("db", 1));
    let second = world.submit(keyed("db", 1));
    world.cancel(first);
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::Concurrency));
    world.stop(first, 0);
    world.settle();
    assert!(world.holder(second).is_some());
}
