//! Who runs next, and where.

use nox_contract::{Capacity, Limits, Manifest, Resources, SchedulerConfig};
use nox_core::{Internal, decide};

use crate::log::placing;
use crate::world::{
    Ask, ROOMY, SMALL, World, ask, by, config, config_of, id, manifest, of_module, seconds, slots,
};

/// The jobs in the order in which one worker runs them.
fn order(world: &mut World, jobs: &[nox_contract::JobId]) -> Vec<usize> {
    let mut order = Vec::new();
    while order.len() < jobs.len() {
        world.place();
        let (i, job) =
            (0..).zip(jobs).find(|(_, job)| world.holder(**job).is_some()).expect("somebody runs");
        order.push(i);
        world.succeed(*job);
    }
    order
}

/// One slot, which is taken, and jobs of these priorities that come a second apart.
fn queue(world: &mut World, priorities: &[u8]) -> Vec<nox_contract::JobId> {
    let running = world.submit(ask());
    let jobs = priorities
        .iter()
        .map(|priority| {
            world.pass(seconds(1));
            world.submit(Ask { priority: *priority, ..ask() })
        })
        .collect();
    world.succeed(running);
    jobs
}

#[test]
fn among_equals_who_came_first_is_first() {
    let mut world = World::working(1);
    let jobs = queue(&mut world, &[5, 5, 5, 5]);
    assert_eq!(order(&mut world, &jobs), [0, 1, 2, 3]);
}

#[test]
fn who_came_in_the_same_instant_is_told_apart_by_the_log() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let jobs: Vec<_> = (0..5).rev().map(|i| (i, crate::world::job_id(700 + i))).collect();
    for (_, job) in &jobs {
        world.submit(Ask { job: Some(*job), ..ask() });
    }
    world.succeed(running);
    let jobs: Vec<_> = jobs.into_iter().map(|(_, job)| job).collect();
    assert_eq!(order(&mut world, &jobs), [0, 1, 2, 3, 4]);
}

#[test]
fn a_higher_priority_goes_first() {
    let mut world = World::working(1);
    let jobs = queue(&mut world, &[0, 9, 5, 9, 1]);
    assert_eq!(order(&mut world, &jobs), [1, 3, 2, 4, 0]);
}

#[test]
fn a_step_of_priority_is_worth_so_much_waiting_and_no_more() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let low = world.submit(Ask { priority: 4, ..ask() });
    world.pass(seconds(59));
    let young = world.submit(ask());
    world.pass(seconds(2));
    let younger = world.submit(ask());
    world.succeed(running);
    assert_eq!(order(&mut world, &[low, young, younger]), [1, 0, 2]);
}

#[test]
fn without_ageing_priorities_count_for_nothing_and_with_endless_ageing_for_everything() {
    for (ageing_ms, expected) in [(0, [0, 1, 2]), (u64::MAX, [2, 1, 0])] {
        let mut world = World::working_with(1, SchedulerConfig { ageing_ms, ..config() });
        let jobs = queue(&mut world, &[0, 1, 9]);
        assert_eq!(order(&mut world, &jobs), expected, "{ageing_ms}");
    }
}

#[test]
fn a_change_of_what_priority_is_worth_orders_the_queue_anew() {
    let mut world = World::working(1);
    let jobs = queue(&mut world, &[4, 5]);
    world.configure(SchedulerConfig { ageing_ms: 1, ..config() });
    assert_eq!(order(&mut world, &jobs), [0, 1]);
}

#[test]
fn priorities_hold_between_modules_that_share_a_worker() {
    let mut world = World::new();
    world.join("w", slots(1), &[manifest("a"), manifest("b")]);
    world.submit(of_module("a"));
    let running = world.place();
    let running = running.entries[0].job_id.unwrap();
    let low = world.submit(Ask { priority: 0, ..of_module("a") });
    let high = world.submit(Ask { priority: 9, ..of_module("b") });
    let middle = world.submit(Ask { priority: 5, ..of_module("a") });
    world.succeed(running);
    assert_eq!(order(&mut world, &[low, high, middle]), [1, 2, 0]);
}

#[test]
fn a_new_job_does_not_take_the_place_of_one_of_another_module_that_waits() {
    let mut world = World::new();
    world.join("w", slots(1), &[manifest("a"), manifest("b")]);
    let first = world.submit(of_module("a"));
    world.place();
    let waiting = world.submit(of_module("a"));
    world.succeed(first);
    let new = world.submit(of_module("b"));
    assert_eq!(world.holder(new), None, "the slot that came free is not for who comes last");
    let timed = world.submit(Ask { run_at: Some(world.log.now), ..of_module("b") });
    world.timer();
    assert_eq!(world.holder(timed), None);
    world.place();
    assert_eq!(world.holder(waiting), Some("w"));
}

#[test]
fn a_queue_for_one_worker_does_not_hold_up_another() {
    let mut world = World::new();
    world.join("v", slots(1), &[manifest("a")]);
    world.join("w", slots(1), &[manifest("b")]);
    world.submit(of_module("a"));
    world.place();
    world.submit(of_module("a"));
    let other = world.submit(of_module("b"));
    assert_eq!(world.holder(other), Some("w"), "at once, without a match");
}

#[test]
fn a_job_goes_to_the_emptiest_worker() {
    let mut world = World::new();
    world.join("a", slots(2), &[manifest("m")]);
    world.join("b", slots(3), &[manifest("m")]);
    world.join("c", slots(3), &[manifest("m")]);
    world.open("ada");
    let holders: Vec<_> = (0..8)
        .map(|_| {
            let job = world.submit(ask());
            world.holder(job).unwrap().to_owned()
        })
        .collect();
    assert_eq!(holders, ["b", "c", "a", "b", "c", "a", "b", "c"]);
}

#[test]
fn no_worker_is_given_more_than_it_has() {
    let has = Capacity { slots: 9, cpu: 4, mem_mb: 1_000, gpu: 1 };
    for (asked, fitting) in [
        (Resources { cpu: 2, ..SMALL }, 2),
        (Resources { mem_mb: 400, ..SMALL }, 2),
        (Resources { gpu: 1, ..SMALL }, 1),
        (Resources { cpu: 0, mem_mb: 0, ..SMALL }, 9),
        (Resources { cpu: 5, ..SMALL }, 0),
    ] {
        let mut world = World::new();
        world.join("w", has, &[manifest("m")]);
        let jobs: Vec<_> =
            (0..12).map(|_| world.submit(Ask { resources: asked, ..ask() })).collect();
        world.settle();
        let held = jobs.iter().filter(|job| world.holder(**job).is_some()).count();
        assert_eq!(held, fitting, "{asked:?}");
    }
}

#[test]
fn a_small_job_may_use_what_a_large_one_that_waits_cannot() {
    let mut world = World::new();
    world.join("w", Capacity { cpu: 4, ..slots(9) }, &[manifest("m")]);
    let running = world.submit(Ask { resources: Resources { cpu: 3, ..SMALL }, ..ask() });
    world.place();
    let large = world.submit(Ask { resources: Resources { cpu: 4, ..SMALL }, ..ask() });
    let small = world.submit(ask());
    world.place();
    assert_eq!((world.holder(large), world.holder(small)), (None, Some("w")));
    world.succeed(running);
    world.succeed(small);
    world.place();
    assert_eq!(world.holder(large), Some("w"));
}

#[test]
fn a_module_runs_no_more_at_a_time_than_its_manifest_says() {
    let mut world = World::new();
    let narrow = Manifest { running_max: Some(2), ..manifest("m") };
    world.join("v", slots(9), std::slice::from_ref(&narrow));
    world.join("w", slots(9), std::slice::from_ref(&narrow));
    world.open("ada");
    let jobs: Vec<_> = (0..4).map(|_| world.submit(ask())).collect();
    world.place();
    let held = |world: &World| jobs.iter().filter(|job| world.holder(**job).is_some()).count();
    assert_eq!(held(&world), 2);
    // A canceled job may still run, so its place is still taken.
    world.cancel(jobs[0]);
    world.place();
    assert_eq!(held(&world), 2);
    world.stop(jobs[0], 0);
    world.place();
    assert_eq!(held(&world), 2);
    let wide = Manifest { running_max: None, ..manifest("m") };
    world.join("v", slots(9), &[wide]);
    world.place();
    assert_eq!(held(&world), 3);
}

#[test]
fn nobody_runs_more_at_a_time_than_the_limits_say() {
    let limits = |running_jobs| Limits { running_jobs, ..ROOMY };
    let mut world =
        World::working_with(9, SchedulerConfig { tenant: limits(3), ..config_of(limits(2)) });
    world.open("grace");
    let hers: Vec<_> = (0..3).map(|_| world.submit(ask())).collect();
    let his: Vec<_> = (0..3).map(|_| world.submit(by("grace"))).collect();
    world.settle();
    let held =
        |world: &World, jobs: &[_]| jobs.iter().filter(|job| world.holder(**job).is_some()).count();
    assert_eq!((held(&world, &hers), held(&world, &his)), (2, 1));
    world.succeed(hers[0]);
    world.settle();
    assert_eq!((held(&world, &hers), held(&world, &his)), (1, 2), "it is his turn");
}

#[test]
fn a_match_places_no_more_than_it_is_asked_to() {
    let mut world = World::with(config());
    world.join("w", slots(9), &[manifest("m")]);
    world.switch("m", true);
    world.open("ada");
    world.silent("w");
    let jobs: Vec<_> = (0..5).map(|_| world.submit(ask())).collect();
    world.join("w", slots(9), &[manifest("m")]);
    let said = world.internal(placing(2));
    assert_eq!(said.names(), ["assigned"; 2]);
    assert!(world.log.state.has_waiting());
    world.place();
    assert!(jobs.iter().all(|job| world.holder(*job).is_some()));
    assert!(!world.log.state.has_waiting());
    assert_eq!(world.log.state.workers.get(&id("w")).unwrap().used.slots, 5);
}

#[test]
fn one_match_looks_at_so_many_kinds_of_jobs_and_the_next_goes_on_behind_them() {
    let mut world = World::working(0);
    world.join("w", Capacity { mem_mb: 1_000, ..slots(1) }, &[manifest("m")]);
    let running = world.submit(ask());
    // Each its own kind: the first two ask for more than anybody has, each for less than the one before.
    let large = |mem_mb| Resources { mem_mb, ..SMALL };
    let unfit: Vec<_> =
        (0..2).map(|i| world.submit(Ask { resources: large(2_000 - i), ..ask() })).collect();
    let fits = world.submit(Ask { resources: large(7), ..ask() });
    world.succeed(running);
    // Of two workers each of two jobs asks both, of which one takes nothing for now.
    let look = |behind| Internal::Match { placements_max: 9, looks_max: 3, behind };
    let decide = |world: &World, behind| {
        let (state, rules) = (&world.log.state, &world.log.rules);
        decide::internal(state, rules, &look(behind), 0, state.at).unwrap()
    };
    let first = decide(&world, None);
    assert!(first.drafts.is_empty());
    assert!(first.behind.is_some());
    assert!(world.internal(look(None)).entries.is_empty());
    assert_eq!(world.internal(look(first.behind)).names(), ["assigned"]);
    assert!(world.holder(fits).is_some());
    assert!(unfit.iter().all(|job| world.holder(*job).is_none()));
    assert_eq!(decide(&world, first.behind).behind, None, "it came to the end");
}

#[test]
fn one_match_fills_workers_as_if_each_placement_were_asked_for() {
    // Limits of module, user and worker count what this very match gives away.
    let narrow = Manifest { running_max: Some(3), ..manifest("narrow") };
    let mut world = World::with(config_of(Limits { running_jobs: 4, ..ROOMY }));
    world.join("w", slots(9), &[manifest("m"), narrow.clone()]);
    world.open("ada");
    world.open("bob");
    world.silent("w");
    for _ in 0..6 {
        world.submit(ask());
        world.submit(Ask { user: id("bob"), module: id("narrow"), ..ask() });
    }
    world.join("w", slots(9), &[manifest("m"), narrow]);
    let said = world.internal(placing(100));
    assert_eq!(said.names().len(), 4 + 3, "ada's limit, and the module's");
    assert_eq!(world.log.state.workers.get(&id("w")).unwrap().used.slots, 7);
}
