//! Attempts that failed for want of more, and what the next one is given.

use nox_contract::{
    AttemptEnd, Capacity, Fact, JobId, Limits, Manifest, Raise, RaisedResource, Resources,
    RetryPolicy,
};

use crate::{
    log::Said,
    world::{ROOMY, SMALL, World, ask, config_of, error, failed, manifest, slots},
};

const MEM_MAX: u32 = 1_000;
const WALL_MAX: u32 = 300;

fn module() -> Manifest {
    let raise =
        |after: &str, resource, max| Raise { after: after.to_owned(), resource, factor: 4, max };
    let retry = RetryPolicy {
        attempts_max: 9,
        raise: vec![
            raise("oom", RaisedResource::MemMb, MEM_MAX),
            raise("wall_time", RaisedResource::WallTimeS, WALL_MAX),
        ],
        ..RetryPolicy::default()
    };
    Manifest { retry, ..manifest("m") }
}

fn world(capacity: Capacity, limits: Limits) -> World {
    let mut world = World::with(config_of(limits));
    world.join("w", capacity, &[module()]);
    world.open("ada");
    world
}

fn ended_for(code: &str) -> AttemptEnd {
    AttemptEnd::Failed { error: error(code), retryable: false, crashed: false }
}

/// What the next attempt is given, or what the job's error says.
fn next(world: &mut World, job: JobId, code: &str, wall_ms: u64) -> Result<Resources, String> {
    let said: Said = world.end(job, wall_ms, ended_for(code));
    let outcome = said.of(job).into_iter().find_map(|fact| match fact {
        Fact::RetryScheduled { due_at, resources, .. } => {
            Some(Ok((*due_at, resources.expect("it is given more"))))
        }
        Fact::Failed { error } => Some(Err(error.message.clone())),
        _ => None,
    });
    let (due_at, given) = outcome.expect("something follows")?;
    world.log.now = due_at;
    world.timer();
    world.place();
    assert_eq!(world.holder(job), Some("w"), "the next attempt is placed");
    let job = &world.log.state.job(job).unwrap().job;
    assert_eq!((job.resources(), job.requested_resources), (given, SMALL));
    Ok(given)
}

#[test]
fn an_attempt_that_ran_out_of_memory_is_followed_by_one_with_more_up_to_the_most() {
    let mut world = world(slots(9), ROOMY);
    let job = world.submit(ask());
    for mem_mb in [4 * SMALL.mem_mb, MEM_MAX] {
        assert_eq!(next(&mut world, job, "oom", 1), Ok(Resources { mem_mb, ..SMALL }));
    }
    let refused = next(&mut world, job, "oom", 1).unwrap_err();
    assert!(
        refused.ends_with("not tried again with more, for its module allows no more"),
        "{refused}"
    );
}

#[test]
fn a_longer_attempt_is_reserved_for_and_settled() {
    let mut world = world(slots(9), ROOMY);
    let before = world.balance("ada").free;
    let job = world.submit(ask());
    let cost = i64::from(SMALL.wall_time_s);
    assert_eq!(world.balance("ada").reserved, cost);
    assert_eq!(
        next(&mut world, job, "wall_time", 60_000),
        Ok(Resources { wall_time_s: 4 * SMALL.wall_time_s, ..SMALL })
    );
    assert_eq!(world.balance("ada").reserved, 4 * cost);
    world.end(job, 100_000, crate::world::succeeded());
    let balance = world.balance("ada");
    assert_eq!((balance.used, balance.reserved, balance.free), (160, 0, before - 160));
}

#[test]
fn no_more_is_given_than_limits_budget_and_workers_allow() {
    let small_worker = Capacity { mem_mb: 150, ..slots(9) };
    for (capacity, limits, code, why) in [
        (slots(9), Limits { mem_mb: 200, ..ROOMY }, "oom", "largest request is 200 MiB"),
        (slots(9), Limits { cpu_seconds: 200, ..ROOMY }, "wall_time", "180 core seconds more"),
        (small_worker, ROOMY, "oom", "no worker has 400 MiB"),
    ] {
        let mut world = world(capacity, limits);
        let job = world.submit(ask());
        let refused = next(&mut world, job, code, 1).unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(world.balance("ada").reserved, 0);
    }
}

#[test]
fn other_failures_are_tried_again_with_what_was_asked_for() {
    let mut world = world(slots(9), ROOMY);
    let job = world.submit(ask());
    let said = world.end(job, 1, failed());
    let scheduled = said
        .of(job)
        .into_iter()
        .any(|fact| matches!(fact, Fact::RetryScheduled { resources: None, .. }));
    assert!(scheduled, "{said:?}");
}

#[test]
fn a_policy_may_name_the_failures_that_are_tried_again() {
    let retry =
        RetryPolicy { attempts_max: 3, on: vec!["flaky".to_owned()], ..RetryPolicy::default() };
    for (code, retryable, again) in
        [("flaky", false, true), ("flaky", true, true), ("exit_status", true, false)]
    {
        let mut world = World::new();
        world.join("w", slots(9), &[Manifest { retry: retry.clone(), ..manifest("m") }]);
        world.open("ada");
        let job = world.submit(ask());
        let end = AttemptEnd::Failed { error: error(code), retryable, crashed: false };
        let said = world.end(job, 1, end);
        assert_eq!(said.names().contains(&"retry_scheduled"), again, "{code} {retryable}");
    }
}
