//! Users take turns.

use nox_contract::{JobId, Resources};

use crate::world::{Ask, SMALL, World, ask, by, id, seconds, succeeded};

/// Ends whatever runs after `span_s` seconds, and places whoever is next; in which order they ran.
fn run(world: &mut World, jobs: &[JobId], span_s: impl Fn(JobId) -> u64) -> Vec<JobId> {
    let mut ran = Vec::new();
    loop {
        let running = jobs.iter().copied().find(|job| world.holder(*job).is_some());
        let Some(job) = running else { return ran };
        ran.push(job);
        let span_s = span_s(job);
        world.pass(seconds(span_s));
        world.start(job);
        world.end(job, span_s * 1_000, succeeded());
        world.place();
    }
}

fn submit(world: &mut World, user: &str, count: usize) -> Vec<JobId> {
    (0..count).map(|_| world.submit(by(user))).collect()
}

#[test]
fn a_single_job_does_not_wait_behind_all_of_another_user() {
    let mut world = World::working(1);
    world.open("bob");
    world.pass(seconds(60));
    let many = submit(&mut world, "ada", 60);
    for job in &many[..5] {
        world.pass(seconds(10));
        world.end(*job, 10_000, succeeded());
        world.place();
    }
    world.pass(seconds(5));
    let one = world.submit(by("bob"));
    let all = [&many[..], &[one]].concat();
    let place = run(&mut world, &all, |_| 10).iter().position(|job| *job == one);
    assert_eq!(place, Some(1), "behind the one that runs");
}

#[test]
fn jobs_that_take_no_time_take_turns_as_well() {
    let mut world = World::working(1);
    world.open("bob");
    let many = submit(&mut world, "ada", 30);
    let few = submit(&mut world, "bob", 3);
    let ran = run(&mut world, &[&many[..], &few].concat(), |_| 0);
    let places: Vec<_> = few.iter().map(|job| ran.iter().position(|ran| ran == job)).collect();
    assert!(places.iter().all(|place| place.unwrap() <= 7), "{places:?}");
}

#[test]
fn who_uses_more_time_for_each_job_has_fewer_turns() {
    let mut world = World::working(1);
    world.open("bob");
    world.pass(seconds(1));
    let long = submit(&mut world, "ada", 40);
    let short = submit(&mut world, "bob", 80);
    let all = [&long[..], &short].concat();
    let ran = run(&mut world, &all, |job| if long.contains(&job) { 10 } else { 1 });
    // As long as both have something to do, both use about as much.
    let until = ran.iter().position(|job| *job == short[79]).unwrap();
    let used = ran[..until].iter().filter(|job| long.contains(job)).count() * 10;
    assert!((50..=110).contains(&used), "{used} seconds beside 79");
}

#[test]
fn who_holds_fewer_cores_is_next() {
    let mut world = World::working(4);
    world.open("bob");
    world.pass(seconds(1));
    let hers = submit(&mut world, "ada", 12);
    world.pass(seconds(1));
    let his = submit(&mut world, "bob", 12);
    for job in &hers[..2] {
        world.succeed(*job);
    }
    world.place();
    assert!(his[..2].iter().all(|job| world.holder(*job).is_some()), "two each");
    assert!(his[2..].iter().chain(&hers[4..]).all(|job| world.holder(*job).is_none()));
}

#[test]
fn a_higher_priority_is_still_a_head_start() {
    let mut world = World::working(1);
    world.open("bob");
    let running = world.submit(ask());
    let low = submit(&mut world, "ada", 3);
    let high = world.submit(Ask { priority: 9, ..by("bob") });
    let highest_of_many = world.submit(Ask { priority: 9, ..by("ada") });
    let all = [&[running][..], &low, &[high, highest_of_many]].concat();
    let ran = run(&mut world, &all, |_| 1);
    assert_eq!(ran[1..3], [high, highest_of_many]);
}

#[test]
fn a_low_priority_of_ones_own_ages_beside_a_stream_of_a_higher_one() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let low = world.submit(Ask { priority: 4, ..ask() });
    let high = submit(&mut world, "ada", 40);
    let all = [&[running, low][..], &high].concat();
    let place = run(&mut world, &all, |_| 10).iter().position(|job| *job == low);
    assert!(place.unwrap() <= 8, "{place:?}: it was ahead by a minute");
}

#[test]
fn nobody_pays_for_long_for_what_they_used() {
    let mut world = World::working(1);
    world.open("bob");
    let huge = Resources { cpu: 60, wall_time_s: 3_600, ..SMALL };
    let job = world.submit(Ask { resources: huge, ..ask() });
    world.start(job);
    world.pass(seconds(3_600));
    world.end(job, 3_600_000, succeeded());
    let hers = submit(&mut world, "ada", 2);
    let his = submit(&mut world, "bob", 90);
    let ran = run(&mut world, &[&hers[..], &his].concat(), |_| 30);
    let place = ran.iter().position(|job| *job == hers[1]).unwrap();
    assert!(place <= 60, "a quarter of an hour is 30 jobs: {place}");
}

#[test]
fn turns_are_the_same_after_a_snapshot() {
    let mut world = World::working(2);
    world.open("bob");
    let hers = submit(&mut world, "ada", 9);
    world.log.snapshot().unwrap();
    let his = submit(&mut world, "bob", 9);
    let other = world.submit(Ask { tenant: id("other"), ..ask() });
    run(&mut world, &[&hers[..], &his, &[other]].concat(), |_| 3);
}
