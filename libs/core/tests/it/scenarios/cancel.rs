//! Cancel: at once in the log, whatever the job is doing.

use nox_contract::{
    Cancel, Command, Fact, JobState, ProblemCode, StopReason, TenantId, WorkNumber,
};

use crate::{
    log::Said,
    world::{World, acme, after, ask, failed, id, job_id, manifest, slots, succeeded},
};

fn cancel_as(world: &mut World, tenant: &TenantId, by: &str, admin: bool, job: u32) -> Said {
    let cancel = Cancel { job_id: job_id(job), by: id(by), admin };
    world.command(tenant, Command::Cancel(cancel))
}

#[test]
fn a_queued_job_is_over_at_once() {
    let mut world = World::working(1);
    world.submit(ask());
    let job = world.submit(ask());
    let said = world.cancel(job);
    assert_eq!(said.names(), ["canceled", "released"]);
    assert_eq!(said.accepted().state, Some(JobState::Canceled));
    assert_eq!(world.state_of(job), JobState::Canceled);
    assert!(world.log.state.job(job).is_none());
}

#[test]
fn a_job_that_waits_for_an_instant_or_another_job_is_over_at_once() {
    let mut world = World::working(2);
    let first = world.submit(ask());
    let dependent = world.submit(after(&[first]));
    let scheduled = world.submit(crate::world::Ask { run_at: Some(world.log.now), ..ask() });
    world.end(first, 1_000, failed());
    for job in [first, dependent, scheduled] {
        world.cancel(job);
        assert_eq!(world.state_of(job), JobState::Canceled);
    }
    assert_eq!(world.log.state.jobs().count(), 0);
    assert!(!world.log.state.has_waiting());
    assert_eq!(world.log.state.timers().count(), 0);
}

#[test]
fn a_job_that_a_worker_holds_is_canceled_at_once_and_keeps_its_slot_until_it_stopped() {
    for starts in [false, true] {
        let mut world = World::working(1);
        let job = world.submit(ask());
        if starts {
            world.start(job);
        }
        let waiting = world.submit(ask());

        let said = world.cancel(job);
        let [Fact::Canceled { by }, Fact::StopRequested { attempt, work, reason, .. }] =
            said.of(job)[..]
        else {
            panic!("{said:?}")
        };
        assert_eq!((by, attempt.0, *reason), (&id("ada"), 1, StopReason::Canceled));
        assert_eq!(*work, WorkNumber(world.next_work() - 1));
        assert_eq!(world.state_of(job), JobState::Canceled);
        world.place();
        assert_eq!(world.holder(waiting), None, "something of the job may still run");

        let said = world.stop(job, 1_000);
        assert_eq!(said.of(job)[0].name(), "stopped");
        world.place();
        assert_eq!(world.holder(waiting), Some("w"));
    }
}

#[test]
fn the_loss_of_its_worker_frees_the_slot_of_a_canceled_job_too() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    world.start(job);
    world.cancel(job);
    let said = world.silent("w");
    assert_eq!(said.names(), ["worker_left", "attempt_lost", "released"]);
    assert_eq!(world.state_of(job), JobState::Canceled, "and it is not tried again");
    assert!(world.log.state.job(job).is_none());
}

#[test]
fn an_attempt_that_ends_by_itself_after_the_cancel_frees_its_slot_and_changes_nothing_else() {
    for end in [succeeded(), failed()] {
        let mut world = World::working(1);
        let job = world.submit(ask());
        world.start(job);
        world.cancel(job);
        let said = world.end(job, 3_000, end);
        assert_eq!(said.names(), ["stopped", "settled", "released"]);
        assert_eq!(world.state_of(job), JobState::Canceled);
    }
}

#[test]
fn a_late_start_does_not_bring_a_canceled_job_back() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    world.cancel(job);
    assert!(world.start(job).entries.is_empty());
    assert_eq!(world.state_of(job), JobState::Canceled);
}

#[test]
fn canceling_twice_is_answered_as_the_first_time_while_a_worker_holds_the_job() {
    let mut world = World::working(1);
    let (held, queued) = (world.submit(ask()), world.submit(ask()));
    for job in [held, queued] {
        world.cancel(job);
    }
    let again = world.cancel(held);
    assert!(again.entries.is_empty());
    assert!(again.accepted().repeated);
    assert_eq!(again.accepted().state, Some(JobState::Canceled));
    world.stop(held, 0);
    for job in [held, queued] {
        assert_eq!(world.cancel(job).refusal().code, ProblemCode::JobNotFound);
    }
}

#[test]
fn a_job_that_succeeded_or_failed_stays_what_it_is() {
    let mut world = World::working(2);
    world.join("w", slots(2), &[manifest("m")]);
    let (good, bad) = (world.submit(ask()), world.submit(ask()));
    world.succeed(good);
    let fatal = nox_contract::AttemptEnd::Failed {
        error: crate::world::error("exit_status"),
        retryable: false,
        crashed: false,
    };
    world.end(bad, 1, fatal);
    for (job, state) in [(good, JobState::Succeeded), (bad, JobState::Failed)] {
        let said = world.cancel(job);
        assert_eq!(said.refusal().code, ProblemCode::JobNotFound, "its row says how it ended");
        assert_eq!(world.state_of(job), state);
    }
}

#[test]
fn only_the_owner_and_admins_of_the_tenant_can_cancel_and_nobody_else_learns_of_the_job() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let number = 2;
    assert_eq!(running, job_id(number));
    let ended = world.submit(ask());
    world.cancel(ended);
    for job in [number, number + 1, 999] {
        for (tenant, by, admin) in
            [(acme(), "grace", false), (id("other"), "ada", false), (id("other"), "root", true)]
        {
            let said = cancel_as(&mut world, &tenant, by, admin, job);
            assert_eq!(said.refusal().code, ProblemCode::JobNotFound, "{by} of {tenant}: {job}");
            assert!(said.entries.is_empty());
        }
    }
    let said = cancel_as(&mut world, &acme(), "root", true, number);
    let Fact::Canceled { by } = said.of(running)[0] else { panic!("{said:?}") };
    assert_eq!(by, &id("root"), "the log says who it was");
}

#[test]
fn a_stop_is_work_of_the_session_that_holds_the_job() {
    let mut world = World::new();
    world.join("v", slots(1), &[manifest("other")]);
    world.join("w", slots(2), &[manifest("m")]);
    world.open("ada");
    let (first, second) = (world.submit(ask()), world.submit(ask()));
    let before = world.next_work();
    for (job, work) in [(second, before), (first, before + 1)] {
        let said = world.cancel(job);
        let Fact::StopRequested { worker_id, work: number, .. } = said.of(job)[1] else {
            panic!("{said:?}")
        };
        assert_eq!((worker_id.as_str(), number.0), ("w", work));
    }
}
