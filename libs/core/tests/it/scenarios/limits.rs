//! Limits that an admin sets.

use nox_contract::{Fact, JobState, Limits, ProblemCode, Resources, WaitingCode};

use crate::{
    log::Said,
    world::{Ask, ROOMY, SMALL, World, acme, ask, by, config_of, id, seconds},
};

const TWO: Limits = Limits { queued_jobs: 2, ..ROOMY };

fn change(said: &Said) -> &nox_contract::LimitsChange {
    match said.entries[0].known_facts().next() {
        Some(Fact::LimitsSet { change: Some(change), .. }) => change,
        other => panic!("expected a change of limits, not {other:?}"),
    }
}

#[test]
fn what_an_admin_sets_is_recorded_with_who_and_why_and_no_role_overwrites_it() {
    let mut world = World::working_with(9, config_of(ROOMY));
    let said = world.limit("user/ada", Some(TWO));
    assert_eq!(said.names(), ["limits_set"], "the budget is as it was");
    assert_eq!((change(&said).by.as_str(), change(&said).reason.as_str()), ("root", "asked for"));

    world.submit(ask());
    world.submit(ask());
    assert_eq!(world.ask(&ask()).1.refusal().limit, Some(2));
    // Neither another role nor another configuration changes it, nor the next day.
    assert_eq!(world.ask(&Ask { role: "admin".to_owned(), ..ask() }).1.refusal().limit, Some(2));
    world.configure(config_of(Limits { queued_jobs: 9, ..ROOMY }));
    assert_eq!(world.ask(&ask()).1.refusal().limit, Some(2));
    world.pass(seconds(86_400));
    assert_eq!(world.ask(&ask()).1.refusal().limit, Some(2));
    let account = world.log.state.ledger.user(&acme(), &id("ada")).unwrap();
    assert!(account.fixed && account.limits == TWO);
    // Others are as they were.
    world.submit(by("grace"));
}

#[test]
fn limits_that_are_reset_follow_the_role_again() {
    let mut world = World::working_with(9, config_of(ROOMY));
    world.limit("user/ada", Some(TWO));
    let said = world.limit("user/ada", None);
    assert!(change(&said).reset);
    let account = world.log.state.ledger.user(&acme(), &id("ada")).unwrap();
    assert!(!account.fixed && account.limits == ROOMY && account.role == "user");
    world.configure(config_of(TWO));
    let (_, said) = world.ask(&ask());
    assert_eq!(
        said.names(),
        ["limits_set", "submitted", "reserved", "assigned"][..said.names().len()]
    );
    assert_eq!(world.log.state.ledger.user(&acme(), &id("ada")).unwrap().limits, TWO);
}

#[test]
fn a_repeated_change_causes_no_second_fact() {
    let mut world = World::working(1);
    for limits in [Some(TWO), None] {
        assert!(!world.limit("user/ada", limits).accepted().repeated);
        let again = world.limit("user/ada", limits);
        assert!(again.accepted().repeated && again.entries.is_empty());
    }
    let nobody = world.limit("user/nobody", None);
    assert!(nobody.accepted().repeated, "who has no account follows the role as it is");
}

#[test]
fn more_running_jobs_let_those_run_that_wait_already() {
    let one = Limits { running_jobs: 1, ..ROOMY };
    let mut world = World::working_with(9, config_of(one));
    let first = world.submit(ask());
    let (second, third) = (world.submit(ask()), world.submit(ask()));
    world.settle();
    assert_eq!(world.waiting(second), Some(WaitingCode::Quota));
    world.limit("user/ada", Some(Limits { running_jobs: 2, ..ROOMY }));
    world.settle();
    assert_eq!(world.holder(second), Some("w"));
    assert_eq!(world.waiting(third), Some(WaitingCode::Quota));
    // Less is for the next ones: what runs runs on.
    world.limit("user/ada", Some(one));
    world.settle();
    assert_eq!((world.holder(first), world.holder(second)), (Some("w"), Some("w")));
    world.succeed(first);
    world.settle();
    assert_eq!(world.holder(third), None);
    world.succeed(second);
    world.settle();
    assert_eq!(world.holder(third), Some("w"));
    world.succeed(third);
    assert_eq!(world.state_of(third), JobState::Succeeded);
}

#[test]
fn a_budget_counts_at_once_and_may_be_cut_below_what_is_spent() {
    let mut world = World::working_with(9, config_of(ROOMY));
    world.submit(ask());
    let said = world.limit("user/ada", Some(Limits { cpu_seconds: 100, ..ROOMY }));
    assert_eq!(said.names(), ["limits_set", "granted"]);
    let balance = world.balance("ada");
    assert_eq!((balance.granted, balance.free, balance.reserved), (100, 40, 60));
    assert_eq!(world.ask(&ask()).1.refusal().code, ProblemCode::BudgetExhausted);
    world.limit("user/ada", Some(Limits { cpu_seconds: 0, ..ROOMY }));
    assert_eq!(world.balance("ada").free, -60);
    world.limit("user/ada", Some(Limits { cpu_seconds: 120, ..ROOMY }));
    world.submit(ask());
    assert_eq!(world.balance("ada").free, 0);
}

#[test]
fn a_tenant_and_who_never_asked_for_anything_have_limits_as_well() {
    let mut world = World::working(9);
    let large = Ask { resources: Resources { cpu: 3, ..SMALL }, ..by("grace") };
    world.limit("user/grace", Some(Limits { cpu: 2, ..ROOMY }));
    assert_eq!(world.ask(&large).1.refusal().account.as_deref(), Some("user/grace"));
    world.limit("tenant", Some(Limits { cpu: 1, ..ROOMY }));
    let two = Ask { resources: Resources { cpu: 2, ..SMALL }, ..by("grace") };
    assert_eq!(world.ask(&two).1.refusal().account.as_deref(), Some("tenant"));
    world.limit("tenant", None);
    world.submit(two);
}

#[test]
fn what_is_no_account_or_no_budget_is_refused() {
    let mut world = World::working(1);
    for account in ["", "ada", "user/", "user/\n", "tenants"] {
        let said = world.limit(account, Some(ROOMY));
        assert_eq!(said.refusal().code, ProblemCode::InvalidRequest, "{account}");
    }
    let said = world.limit("user/ada", Some(Limits { cpu_seconds: -1, ..ROOMY }));
    assert_eq!(said.refusal().code, ProblemCode::InvalidRequest);
    world.limit("user/ada", Some(Limits { cpu_seconds: i64::MAX, ..ROOMY }));
    assert_eq!(world.balance("ada").granted, i64::MAX);
}
