//! Rate limits of starts, of modules and of accounts.

use std::time::Duration;

use nox_contract::{Limits, Manifest, SchedulerConfig, WaitingCode};
use nox_core::{Decision, decide};

use crate::{
    log::placing,
    world::{Ask, ROOMY, World, ask, config, config_of, id, manifest, seconds, slots},
};

fn look(world: &World) -> Decision {
    let (state, rules, now) = (&world.log.state, &world.log.rules, world.log.now);
    decide::internal(state, rules, &placing(9), 0, now).unwrap()
}

#[test]
fn a_module_starts_so_many_a_minute_and_the_next_when_its_time_has_come() {
    let mut world = World::new();
    let slow = Manifest { starts_per_minute: Some(6), ..manifest("m") };
    world.join("w", slots(9), &[slow, manifest("other")]);
    world.open("ada");
    world.pass(seconds(60));
    let jobs: Vec<_> = (0..3).map(|_| world.submit(ask())).collect();
    let other = world.submit(Ask { module: id("other"), ..ask() });
    world.settle();
    assert!(world.holder(jobs[0]).is_some() && world.holder(other).is_some());
    assert_eq!(world.waiting(jobs[1]), Some(WaitingCode::Rate));
    assert_eq!(world.waiting(jobs[2]), Some(WaitingCode::Priority));
    world.pass(seconds(4));
    let decision = look(&world);
    assert!(decision.drafts.is_empty());
    let in_six = world.log.now + seconds(6);
    assert_eq!(decision.look_at, Some(in_six), "exactly then, and not before");
    world.log.now = in_six - Duration::from_micros(1);
    assert!(look(&world).drafts.is_empty());
    world.log.now = in_six;
    world.settle();
    assert!(world.holder(jobs[1]).is_some());
    assert_eq!(world.waiting(jobs[2]), Some(WaitingCode::Rate));
}

#[test]
fn a_user_and_a_tenant_start_so_many_a_minute() {
    let of_user = config_of(Limits { starts_per_minute: 60, ..ROOMY });
    let of_tenant =
        SchedulerConfig { tenant: Limits { starts_per_minute: 60, ..config().tenant }, ..config() };
    for (config, both) in [(of_user, true), (of_tenant, false)] {
        let mut world = World::working_with(9, config);
        world.open("bob");
        world.pass(seconds(9));
        let mine = [world.submit(ask()), world.submit(ask())];
        let theirs = world.submit(Ask { user: id("bob"), ..ask() });
        world.settle();
        assert!(world.holder(mine[0]).is_some());
        assert_eq!(world.waiting(mine[1]), Some(WaitingCode::Rate));
        assert_eq!(world.holder(theirs).is_some(), both);
        world.pass(seconds(1));
        world.settle();
        assert_eq!(
            [mine[1], theirs].iter().filter(|job| world.holder(**job).is_some()).count(),
            1 + usize::from(both)
        );
    }
}

#[test]
fn a_rate_outlives_whoever_leads() {
    let mut world = World::working_with(9, config_of(Limits { starts_per_minute: 6, ..ROOMY }));
    world.pass(seconds(60));
    let jobs = [world.submit(ask()), world.submit(ask())];
    world.log.epoch().unwrap();
    world.log.snapshot().unwrap();
    world.settle();
    assert_eq!(world.waiting(jobs[1]), Some(WaitingCode::Rate));
}
