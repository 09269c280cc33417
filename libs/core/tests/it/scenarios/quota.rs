//! Budgets and limits at the door.

use nox_contract::{Limits, ProblemCode, Refusal, Resources, SchedulerConfig};

use crate::{
    log::Said,
    world::{Ask, ROOMY, SMALL, World, acme, ask, by, config, config_of, id, seconds},
};

fn violations(said: &Said) -> usize {
    said.names().iter().filter(|name| **name == "quota_violated").count()
}

fn figures(refusal: &Refusal) -> (&str, &str, i64, i64, i64) {
    (
        refusal.quota.as_deref().unwrap(),
        refusal.account.as_deref().unwrap(),
        refusal.usage.unwrap(),
        refusal.limit.unwrap(),
        refusal.requested.unwrap(),
    )
}

#[test]
fn what_can_never_fit_is_refused_for_good() {
    let mut world = World::working_with(9, config_of(Limits { cpu_seconds: 1_000, ..ROOMY }));
    for (resources, quota, limit, requested) in [
        (Resources { cpu: 65, wall_time_s: 1, ..SMALL }, "cpu", 64, 65),
        (Resources { mem_mb: 100_001, ..SMALL }, "mem_mb", 100_000, 100_001),
        (Resources { wall_time_s: 1_001, ..SMALL }, "cpu_seconds", 1_000, 1_001),
    ] {
        let (_, said) = world.ask(&Ask { resources, ..ask() });
        let refusal = said.refusal();
        assert_eq!(refusal.code, ProblemCode::RequestTooLarge);
        assert_eq!(figures(refusal), (quota, "user/ada", 0, limit, requested));
        assert_eq!(refusal.retry_after_s, None, "waiting does not help");
        world.pass(seconds(1));
    }
    let largest = Resources { cpu: 64, mem_mb: 100_000, wall_time_s: 15, gpu: 0 };
    world.submit(Ask { resources: largest, ..ask() });
}

#[test]
fn a_full_queue_frees_with_every_end() {
    let mut world = World::working_with(1, config_of(Limits { queued_jobs: 2, ..ROOMY }));
    let running = world.submit(ask());
    world.submit(ask());
    let (_, said) = world.ask(&ask());
    assert_eq!(said.refusal().code, ProblemCode::QueueFull);
    assert_eq!(figures(said.refusal()), ("queued_jobs", "user/ada", 2, 2, 1));
    assert!(said.refusal().retry_after_s.is_some());
    world.open("grace");
    world.succeed(running);
    world.submit(ask());
}

#[test]
fn a_canceled_job_makes_room_in_the_queue_although_it_still_runs() {
    let mut world = World::working_with(1, config_of(Limits { queued_jobs: 1, ..ROOMY }));
    let running = world.submit(ask());
    world.start(running);
    world.cancel(running);
    world.submit(ask());
}

#[test]
fn a_spent_budget_frees_with_the_next_day() {
    let mut world = World::working_with(9, config_of(Limits { cpu_seconds: 150, ..ROOMY }));
    world.submit(ask());
    world.submit(ask());
    let (_, said) = world.ask(&ask());
    assert_eq!(said.refusal().code, ProblemCode::BudgetExhausted);
    assert_eq!(figures(said.refusal()), ("cpu_seconds", "user/ada", 120, 150, 60));
    // It is noon; the day ends in half a day.
    assert_eq!(said.refusal().retry_after_s, Some(12 * 3_600 + 1));

    world.pass(seconds(12 * 3_600 - 1));
    assert_eq!(world.ask(&ask()).1.refusal().retry_after_s, Some(2));
    world.pass(seconds(1));
    let (_, said) = world.ask(&ask());
    // In both accounts, since both have a day of their own.
    assert_eq!(said.names(), ["granted", "granted", "submitted", "reserved"]);
    let balance = world.balance("ada");
    assert_eq!((balance.granted, balance.free, balance.reserved), (150, 90, 60));
}

#[test]
fn the_budget_that_is_left_can_be_spent_to_the_last_second() {
    let mut world = World::working_with(9, config_of(Limits { cpu_seconds: 150, ..ROOMY }));
    world.submit(ask());
    world.submit(ask());
    let last = Resources { wall_time_s: 30, ..SMALL };
    world.submit(Ask { resources: last, ..ask() });
    assert_eq!(world.balance("ada").free, 0);
    let nothing = Resources { wall_time_s: 1, ..SMALL };
    assert_eq!(
        world.ask(&Ask { resources: nothing, ..ask() }).1.refusal().code,
        ProblemCode::BudgetExhausted
    );
}

#[test]
fn a_tenants_limits_hold_for_all_of_its_users_together() {
    let tenant = Limits { cpu_seconds: 150, queued_jobs: 3, cpu: 2, ..ROOMY };
    let mut world = World::working_with(9, SchedulerConfig { tenant, ..config() });
    world.open("grace");
    let large = Resources { cpu: 3, ..SMALL };
    let (_, said) = world.ask(&Ask { resources: large, ..ask() });
    assert_eq!(figures(said.refusal()), ("cpu", "tenant", 0, 2, 3));
    world.submit(ask());
    world.submit(by("grace"));
    let (_, said) = world.ask(&by("grace"));
    assert_eq!(said.refusal().code, ProblemCode::BudgetExhausted);
    assert_eq!(figures(said.refusal()), ("cpu_seconds", "tenant", 120, 150, 60));
    let short = Resources { wall_time_s: 1, ..SMALL };
    world.submit(Ask { resources: short, ..ask() });
    let (_, said) = world.ask(&Ask { resources: short, ..ask() });
    assert_eq!(figures(said.refusal()), ("queued_jobs", "tenant", 3, 3, 1));
    // Another tenant has an account of its own.
    world.submit(Ask { tenant: id("other"), ..ask() });
}

#[test]
fn what_the_user_may_not_is_told_before_what_the_tenant_may_not() {
    let tight = Limits { cpu: 1, ..ROOMY };
    let mut world = World::working_with(1, SchedulerConfig { tenant: tight, ..config_of(tight) });
    let large = Resources { cpu: 2, ..SMALL };
    let (_, said) = world.ask(&Ask { resources: large, ..ask() });
    assert_eq!(said.refusal().account.as_deref(), Some("user/ada"));
}

#[test]
fn violations_are_recorded_once_a_second_for_each_account_and_code() {
    let mut world = World::working_with(1, config_of(Limits { queued_jobs: 1, cpu: 4, ..ROOMY }));
    world.open("grace");
    world.submit(ask());
    let large = Resources { cpu: 5, ..SMALL };

    let (_, said) = world.ask(&ask());
    assert_eq!(violations(&said), 1);
    assert_eq!(said.entries[0].account.as_deref(), Some("user/ada"));
    for _ in 0..100 {
        let (_, said) = world.ask(&ask());
        assert_eq!(said.refusal().code, ProblemCode::QueueFull);
        assert!(said.entries.is_empty(), "a loop of refusals fills no log");
    }
    let (_, other_code) = world.ask(&Ask { resources: large, ..ask() });
    assert_eq!(violations(&other_code), 1);
    world.submit(by("grace"));
    assert_eq!(violations(&world.ask(&by("grace")).1), 1, "another account");

    world.pass(std::time::Duration::from_millis(999));
    assert_eq!(violations(&world.ask(&ask()).1), 0);
    world.pass(std::time::Duration::from_millis(1));
    assert_eq!(violations(&world.ask(&ask()).1), 1);
}

#[test]
fn the_first_request_of_an_account_may_be_its_first_violation() {
    let mut world = World::working_with(1, config_of(Limits { cpu: 1, ..ROOMY }));
    let large = Resources { cpu: 2, ..SMALL };
    let (_, said) = world.ask(&Ask { resources: large, ..by("grace") });
    assert_eq!(said.names(), ["limits_set", "granted", "quota_violated"]);
    assert_eq!(said.entries.len(), 1, "one entity, one entry");
}

#[test]
fn a_promised_job_beyond_its_quota_is_a_violation_and_a_failed_job() {
    let mut world = World::working_with(1, config_of(Limits { queued_jobs: 1, ..ROOMY }));
    world.submit(ask());
    let (job, said) = world.ask(&Ask { pending: true, ..ask() });
    assert_eq!(said.names(), ["quota_violated", "rejected"]);
    let (_, again) = world.ask(&Ask { pending: true, ..ask() });
    assert_eq!(again.names(), ["rejected"], "the violation is coalesced, the promise is not");
    assert_eq!(world.state_of(job), nox_contract::JobState::Failed);
}

#[test]
fn limits_follow_the_role_and_the_configuration() {
    let mut world = World::with(SchedulerConfig {
        roles: [
            ("user".to_owned(), Limits { cpu: 1, ..ROOMY }),
            ("admin".to_owned(), Limits { cpu: 8, ..ROOMY }),
        ]
        .into(),
        ..config()
    });
    world.join("w", crate::world::slots(9), &[crate::world::manifest("m")]);
    let large = Ask { resources: Resources { cpu: 8, ..SMALL }, ..ask() };
    assert_eq!(world.ask(&large).1.refusal().limit, Some(1));
    world.submit(Ask { role: "admin".to_owned(), ..large.clone() });
    assert_eq!(world.ask(&large).1.refusal().limit, Some(1));
    let (_, said) = world.ask(&Ask { role: "unheard_of".to_owned(), ..large.clone() });
    assert_eq!(said.refusal().limit, Some(1), "a role without limits has those of a user");

    world.configure(config_of(Limits { cpu: 9, ..ROOMY }));
    let (_, said) = world.ask(&large);
    assert_eq!(said.names(), ["limits_set", "submitted", "reserved"]);
    let account = world.log.state.ledger.user(&acme(), &id("ada")).unwrap();
    assert_eq!((account.limits.cpu, account.role.as_str()), (9, "user"));
}

#[test]
fn a_change_of_role_is_recorded_although_it_changes_no_limit() {
    let mut world = World::working(9);
    let said = world.ask(&Ask { role: "auditor".to_owned(), ..ask() }).1;
    assert_eq!(said.names(), ["limits_set", "submitted", "reserved"]);
    let account = world.log.state.ledger.user(&acme(), &id("ada")).unwrap();
    assert_eq!((account.role.as_str(), account.limits), ("auditor", ROOMY));
}

#[test]
fn a_budget_that_is_raised_or_cut_within_its_day_counts_from_the_next_request() {
    let budget = |cpu_seconds| config_of(Limits { cpu_seconds, ..ROOMY });
    let mut world = World::working_with(9, budget(120));
    world.submit(ask());
    world.submit(ask());
    assert_eq!(world.ask(&ask()).1.refusal().code, ProblemCode::BudgetExhausted);

    world.configure(budget(200));
    let (_, said) = world.ask(&ask());
    assert_eq!(said.names(), ["limits_set", "granted", "submitted", "reserved"]);
    let balance = world.balance("ada");
    assert_eq!((balance.granted, balance.free, balance.reserved), (200, 20, 180));

    world.configure(budget(100));
    let (_, said) = world.ask(&ask());
    assert_eq!(said.refusal().code, ProblemCode::BudgetExhausted);
    assert_eq!(figures(said.refusal()), ("cpu_seconds", "user/ada", 180, 100, 60));
    let balance = world.balance("ada");
    assert_eq!((balance.granted, balance.free, balance.reserved), (100, -80, 180));
}
