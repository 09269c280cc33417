//! What is reserved, used, overrun and given back.

use nox_contract::{Fact, Limits, Resources};
use nox_core::ledger::Balance;

use crate::world::{
    Ask, ROOMY, SMALL, World, acme, after, ask, by, config_of, crashed, failed, id, seconds,
    succeeded,
};

fn world() -> World {
    World::working_with(9, config_of(Limits { cpu_seconds: 1_000, ..ROOMY }))
}

fn assert_balance(world: &World, free: i64, reserved: i64, used: i64, overrun: i64) {
    let expected = Balance { granted: 1_000, free, reserved, used, overrun };
    assert_eq!(world.balance("ada"), expected);
}

#[test]
fn a_submit_reserves_cores_times_the_longest_run() {
    let mut world = world();
    world.submit(Ask { resources: Resources { cpu: 3, wall_time_s: 100, ..SMALL }, ..ask() });
    assert_balance(&world, 700, 300, 0, 0);
}

#[test]
fn an_end_settles_what_was_used_rounded_up_and_releases_the_rest() {
    let mut world = world();
    let job = world.submit(Ask { resources: Resources { cpu: 2, ..SMALL }, ..ask() });
    let said = world.end(job, 4_501, succeeded());
    assert_eq!(said.names(), ["started", "succeeded", "settled", "released"]);
    assert_balance(&world, 990, 0, 10, 0);
}

#[test]
fn what_was_used_beyond_the_reservation_is_recorded_and_paid_by_nobody() {
    let mut world = world();
    let job = world.submit(ask());
    let said = world.end(job, 75_000, succeeded());
    assert_eq!(said.names(), ["started", "succeeded", "settled"]);
    assert_balance(&world, 940, 0, 60, 15);
}

#[test]
fn an_attempt_that_used_nothing_gives_everything_back() {
    let mut world = world();
    let job = world.submit(ask());
    let said = world.end(job, 0, succeeded());
    assert_eq!(said.names(), ["started", "succeeded", "released"]);
    assert_balance(&world, 1_000, 0, 0, 0);
}

#[test]
fn every_attempt_counts_and_the_reservation_stays_until_the_last() {
    let mut world = world();
    let job = world.submit(ask());
    for wall_ms in [10_300, 20_300] {
        world.start(job);
        world.end(job, wall_ms, failed());
        assert_balance(&world, 940, 60, 0, 0);
        world.pass(seconds(60));
        world.timer();
    }
    world.end(job, 5_000, succeeded());
    assert_balance(&world, 964, 0, 36, 0);
}

#[test]
fn the_attempts_of_a_job_may_together_overrun_its_reservation() {
    let mut world = world();
    let job = world.submit(ask());
    for _ in 0..3 {
        world.end(job, 40_000, failed());
        world.pass(seconds(60));
        world.timer();
    }
    assert_balance(&world, 940, 0, 60, 60);
}

#[test]
fn a_lost_attempt_costs_its_user_nothing() {
    let mut world = world();
    let job = world.submit(ask());
    for _ in 0..3 {
        world.start(job);
        world.join("w", crate::world::slots(9), &[crate::world::manifest("m")]);
        world.place();
    }
    assert_eq!(world.state_of(job), nox_contract::JobState::Failed);
    assert_balance(&world, 1_000, 0, 0, 0);
}

#[test]
fn a_job_that_is_canceled_before_it_runs_gives_everything_back_at_once() {
    let mut world = world();
    let first = world.submit(ask());
    let job = world.submit(after(&[first]));
    assert_balance(&world, 880, 120, 0, 0);
    let said = world.cancel(job);
    assert_eq!(said.names(), ["canceled", "released"]);
    assert_balance(&world, 940, 60, 0, 0);
}

#[test]
fn a_job_that_is_canceled_while_it_runs_pays_what_it_used_until_it_stopped() {
    let mut world = world();
    let job = world.submit(ask());
    world.start(job);
    world.cancel(job);
    assert_balance(&world, 940, 60, 0, 0);
    let said = world.stop(job, 7_000);
    assert_eq!(said.names(), ["stopped", "settled", "released"]);
    assert_balance(&world, 993, 0, 7, 0);
}

#[test]
fn a_job_that_is_canceled_between_two_attempts_pays_for_the_first() {
    let mut world = world();
    let job = world.submit(ask());
    world.end(job, 9_000, crashed());
    let said = world.cancel(job);
    assert_eq!(said.names(), ["canceled", "settled", "released"]);
    assert_balance(&world, 991, 0, 9, 0);
}

#[test]
fn a_job_settles_in_the_day_that_it_was_submitted_in() {
    let mut world = world();
    let job = world.submit(ask());
    let day = world.log.now.start_of_day();
    world.pass(seconds(13 * 3_600));
    world.submit(ask());
    assert_balance(&world, 940, 60, 0, 0);
    let said = world.end(job, 5_000, succeeded());
    let periods: Vec<_> = said
        .of(job)
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::Settled { period, .. } | Fact::Released { period, .. } => Some(*period),
            _ => None,
        })
        .collect();
    assert_eq!(periods, [day, day]);
    assert_balance(&world, 940, 60, 0, 0);
}

#[test]
fn a_day_is_forgotten_once_it_is_over_and_nothing_is_reserved_in_it() {
    let mut world = world();
    let days =
        |world: &World| world.log.state.ledger.user(&acme(), &id("ada")).unwrap().periods.len();
    let job = world.submit(ask());
    world.pass(seconds(24 * 3_600));
    world.submit(ask());
    assert_eq!(days(&world), 2, "the job of yesterday still has its reservation");
    world.end(job, 1_000, succeeded());
    world.pass(seconds(24 * 3_600));
    world.submit(ask());
    assert_eq!(days(&world), 2, "of yesterday and of today");
}

#[test]
fn a_job_that_reserved_nothing_may_end_after_its_day() {
    let mut world = world();
    let job = world.submit(Ask { resources: Resources { wall_time_s: 0, ..SMALL }, ..ask() });
    world.pass(seconds(24 * 3_600));
    world.submit(ask());
    world.end(job, 5_000, succeeded());
    assert_balance(&world, 940, 60, 0, 0);
}

#[test]
fn users_pay_from_their_own_accounts_and_the_tenant_for_all() {
    let mut world = world();
    world.submit(ask());
    let job = world.submit(by("grace"));
    world.place();
    world.end(job, 10_000, succeeded());
    assert_balance(&world, 940, 60, 0, 0);
    let grace = world.balance("grace");
    assert_eq!((grace.free, grace.reserved, grace.used), (990, 0, 10));
    let tenant = world.log.state.ledger.tenant(&acme()).unwrap();
    let tenant = tenant.periods[&world.log.now.start_of_day()];
    assert_eq!((tenant.reserved, tenant.used), (60, 10));
    assert_eq!(tenant.free, tenant.granted - 70);
}
