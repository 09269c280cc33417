//! Why a job does not run.

use crate::log::explaining;
use crate::world::{
    Ask, ROOMY, SMALL, World, ask, by, config, config_of, id, manifest, of_module, slots,
};
use nox_contract::{
    Capacity, Limits, Manifest, ProblemCode, Resources, SchedulerConfig, WaitingCode,
};

use WaitingCode::{Concurrency, NoWorker, Paused, Priority, Quota};

/// Three jobs in a row and what each waits for, when everything is settled.
fn row(world: &mut World) -> Vec<nox_contract::JobId> {
    (0..3).map(|_| world.submit(ask())).collect()
}

fn codes(world: &World, jobs: &[nox_contract::JobId]) -> Vec<WaitingCode> {
    jobs.iter().map(|job| world.waiting(*job).expect("it waits")).collect()
}

#[test]
fn the_first_waits_for_what_holds_it_back_and_the_others_for_their_turn() {
    let mut world = World::working(1);
    world.submit(ask());
    let jobs = row(&mut world);
    world.settle();
    assert_eq!(codes(&world, &jobs), [WaitingCode::Resources, Priority, Priority]);
}

#[test]
fn without_a_worker_nobody_waits_for_anybody() {
    let mut world = World::working(1);
    world.silent("w");
    let jobs = row(&mut world);
    world.settle();
    assert_eq!(codes(&world, &jobs), [NoWorker; 3]);
}

#[test]
fn a_module_that_is_switched_off_pauses_all_its_jobs_and_what_runs_goes_on() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let jobs = row(&mut world);
    world.switch("m", false);
    world.settle();
    assert_eq!(codes(&world, &jobs), [Paused; 3]);
    world.start(running);
    world.succeed(running);
    world.settle();
    assert_eq!(codes(&world, &jobs), [Paused; 3]);
    world.switch("m", true);
    world.place();
    assert_eq!(world.holder(jobs[0]), Some("w"));
}

#[test]
fn a_full_concurrency_key_is_its_own_reason() {
    let mut world = World::new();
    world.join("w", slots(9), &[Manifest { running_max: Some(1), ..manifest("m") }]);
    world.open("ada");
    world.submit(ask());
    let jobs = row(&mut world);
    world.settle();
    assert_eq!(codes(&world, &jobs), [Concurrency, Priority, Priority]);
}

#[test]
fn a_full_limit_of_running_jobs_is_its_own_reason_and_others_go_on() {
    let mut world = World::working_with(2, config_of(Limits { running_jobs: 1, ..ROOMY }));
    world.open("grace");
    world.submit(ask());
    let jobs = row(&mut world);
    world.settle();
    assert_eq!(codes(&world, &jobs), [Quota, Priority, Priority]);
    let hers = world.submit(by("grace"));
    world.place();
    assert_eq!(world.holder(hers), Some("w"));
}

#[test]
fn each_user_and_size_has_a_first_of_its_own() {
    let mut world = World::working(1);
    world.open("grace");
    world.submit(ask());
    let jobs = [
        world.submit(ask()),
        world.submit(ask()),
        world.submit(by("grace")),
        world.submit(Ask { resources: Resources { cpu: 2, ..SMALL }, ..ask() }),
    ];
    world.settle();
    let resources = WaitingCode::Resources;
    assert_eq!(codes(&world, &jobs), [resources, Priority, resources, resources]);
}

#[test]
fn what_concerns_everybody_is_named_before_what_concerns_one() {
    let mut world = World::new();
    world.join("w", slots(1), &[Manifest { running_max: Some(1), ..manifest("m") }]);
    world.configure(config_of(Limits { running_jobs: 1, ..ROOMY }));
    let running = world.submit(ask());
    world.place();
    let job = world.submit(ask());
    let mut named = vec![world.waiting(job).unwrap()];
    world.silent("w");
    world.settle();
    named.push(world.waiting(job).unwrap());
    world.switch("m", false);
    world.settle();
    named.push(world.waiting(job).unwrap());
    assert_eq!(named, [Concurrency, NoWorker, Paused]);
    assert_eq!(world.waiting(running), Some(Paused));
}

#[test]
fn a_reason_is_written_only_when_it_changes() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let jobs = row(&mut world);
    world.settle();
    let all = explaining(1_000);
    assert!(world.internal(all.clone()).entries.is_empty());
    // The slot passes from one to the next, and only the new first learns something.
    world.succeed(running);
    world.place();
    let said = world.internal(all.clone());
    assert_eq!(said.names(), ["waiting"]);
    assert_eq!(said.entries[0].job_id, Some(jobs[1]));
    assert!(world.internal(all).entries.is_empty());
}

#[test]
fn reasons_are_brought_up_to_date_a_few_at_a_time() {
    let mut world = World::working(1);
    world.silent("w");
    let jobs: Vec<_> = (0..5).map(|_| world.submit(ask())).collect();
    world.switch("m", false);
    let mut changed = 0;
    for _ in 0..3 {
        changed += world.internal(explaining(2)).names().len();
    }
    assert_eq!(changed, 5);
    assert_eq!(codes(&world, &jobs), [Paused; 5]);
}

#[test]
fn a_job_that_could_run_is_the_matchs_to_place_and_not_to_explain() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let jobs = row(&mut world);
    world.settle();
    world.succeed(running);
    let said = world.internal(explaining(10));
    assert!(said.entries.is_empty(), "{:?}", said.names());
    world.place();
    assert_eq!(world.holder(jobs[0]), Some("w"));
}

#[test]
fn a_module_without_its_own_worker_waits_although_others_have_some() {
    let mut world = World::working(9);
    world.join("v", slots(1), &[manifest("rare")]);
    world.silent("v");
    let job = world.submit(of_module("rare"));
    world.settle();
    assert_eq!(world.waiting(job), Some(NoWorker));
}

#[test]
fn what_no_worker_could_ever_hold_has_a_reason_of_its_own() {
    let mut world = World::new();
    world.join("w", Capacity { gpu: 1, ..slots(2) }, &[manifest("m")]);
    world.open("ada");
    let running = world.submit(Ask { resources: Resources { gpu: 1, ..SMALL }, ..ask() });
    let two = Ask { resources: Resources { gpu: 2, ..SMALL }, ..ask() };
    let one = Ask { resources: Resources { gpu: 1, ..SMALL }, ..ask() };
    let jobs: Vec<_> = [&two, &two, &one].map(|ask| world.submit(ask.clone())).into();
    world.settle();
    let never = WaitingCode::Unsatisfiable;
    assert_eq!(codes(&world, &jobs), [never, never, WaitingCode::Resources]);
    // One that takes no work for now may take some later.
    let larger = world.join("w-2", Capacity { gpu: 2, ..slots(2) }, &[manifest("m")]);
    let paused = nox_contract::Report::Paused { number: 1, reason: "full".to_owned() };
    world.report(&id("w-2"), larger, paused);
    world.settle();
    assert_eq!(codes(&world, &jobs), [WaitingCode::Resources, Priority, WaitingCode::Resources]);
    world.report(&id("w-2"), larger, nox_contract::Report::Resumed { number: 2 });
    world.place();
    assert_eq!(world.holder(jobs[0]), Some("w-2"));
    assert_eq!(world.holder(running), Some("w"));
}

#[test]
fn what_no_worker_could_ever_hold_is_refused_where_that_is_configured() {
    let mut world = World::with(SchedulerConfig { refuse_unsatisfiable: true, ..config() });
    let gpu = Ask { resources: Resources { gpu: 1, ..SMALL }, ..ask() };
    world.join("w", Capacity { gpu: 0, ..slots(2) }, &[manifest("m")]);
    world.open("ada");
    let (_, said) = world.ask(&gpu);
    assert_eq!(said.refusal().code, ProblemCode::Unsatisfiable);
    world.submit(ask());
    // Where nobody serves the module, somebody may come who has it.
    world.silent("w");
    world.submit(gpu);
}
