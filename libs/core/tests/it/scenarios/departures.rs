//! A session that is over holds what is not yet said to be lost, and nobody has a say in it meanwhile.

use nox_contract::{Fact, JobId, JobState, LostReason, WaitingCode};
use nox_core::Internal;

use crate::world::{Holding, World, ask, id, manifest, session_id, slots, succeeded};

/// Five jobs that run on worker `w`, which is given up; nothing is said of them yet.
fn given_up() -> (World, Vec<JobId>, Holding) {
    let mut world = World::working(5);
    let jobs: Vec<_> = (0..5).map(|_| world.submit(ask())).collect();
    for job in &jobs {
        world.start(*job);
    }
    let holding = world.holding(jobs[4]);
    let silent = Internal::WorkerSilent { worker_id: id("w"), session: holding.session };
    let said = world.log.internal(&silent).unwrap();
    assert_eq!(said.names(), ["worker_left"]);
    (world, jobs, holding)
}

fn left(world: &World) -> usize {
    world.log.state.workers.departed().map(|departed| departed.assignments.len()).sum()
}

#[test]
fn losses_are_told_in_portions_and_whoever_leads_next_goes_on() {
    let (mut world, jobs, _) = given_up();
    assert_eq!(world.losses(2).names(), ["attempt_lost"; 2]);
    assert_eq!(left(&world), 3);
    assert_eq!(jobs.iter().filter(|job| world.holder(**job) == Some("w")).count(), 3);
    let user = world.log.state.ledger.user(&crate::world::acme(), &id("ada")).unwrap();
    assert_eq!(user.running_jobs, 3, "what is not yet lost still counts");

    world.log.snapshot().unwrap();
    world.log.epoch().unwrap();
    assert_eq!(world.losses(2).names(), ["attempt_lost"; 2]);
    assert_eq!(world.losses(2).names(), ["attempt_lost"], "five, and each of them once");
    assert!(world.losses(2).entries.is_empty() && !world.log.state.workers.has_departed());
    for job in jobs {
        let job = &world.log.state.job(job).unwrap().job;
        assert_eq!((job.crashes, job.suspicions), (0, 1), "the last of five was not alone");
    }
}

#[test]
fn a_late_end_of_what_is_not_yet_lost_changes_nothing() {
    let (mut world, jobs, late) = given_up();
    world.losses(2);
    let report = late.ended(jobs[4], true, 1_000, succeeded());
    let said = world.log.report(&late.worker, late.session, &report).unwrap();
    assert!(said.entries.is_empty());
    world.losses(9);
    assert_eq!(world.state_of(jobs[4]), JobState::Queued);
    assert_eq!(world.waiting(jobs[4]), Some(WaitingCode::Priority));
}

#[test]
fn a_job_that_is_not_yet_lost_can_be_canceled_and_nobody_is_told_to_stop_it() {
    let (mut world, jobs, _) = given_up();
    // Another session has the name by now, and nothing to do with it.
    world.log.report(&id("w"), session_id(90), &hello()).unwrap();
    assert_eq!(world.cancel(jobs[0]).of(jobs[0]).len(), 1);
    assert_eq!((world.next_work(), world.state_of(jobs[0])), (1, JobState::Canceled));
    assert_eq!(world.balance("ada").reserved, 5 * 60, "it is settled with its loss");
    let said = world.losses(9);
    let names: Vec<_> = said.of(jobs[0]).into_iter().map(Fact::name).collect();
    assert_eq!(names, ["attempt_lost", "released"]);
    assert!(world.log.state.job(jobs[0]).is_none());
    assert_eq!(world.balance("ada").reserved, 4 * 60);
}

fn hello() -> nox_contract::Report {
    nox_contract::Report::Hello(Box::new(nox_contract::Hello {
        origin: crate::world::origin(session_id(90)),
        capacity: slots(5),
        modules: vec![manifest("m")],
        labels: Vec::new(),
    }))
}

#[test]
fn a_worker_that_is_back_gets_work_while_what_it_had_before_is_told() {
    let (mut world, jobs, _) = given_up();
    world.log.report(&id("w"), session_id(90), &hello()).unwrap();
    let new = world.submit(ask());
    assert_eq!(world.holding(new).session, session_id(90));
    let said = world.losses(2);
    let back = said.entries[0].job_id.unwrap();
    world.log.internal(&crate::log::placing(1)).unwrap();
    assert_eq!((world.holding(back).session, left(&world)), (session_id(90), 3));

    // It goes as well, before the first is done with: each loses what it had, for its own reason.
    let session = session_id(90);
    let bye = world.log.report(&id("w"), session, &nox_contract::Report::Bye).unwrap();
    assert_eq!(bye.names(), ["worker_left"]);
    let said = world.losses(99);
    let reasons =
        said.entries.iter().flat_map(|entry| entry.known_facts()).map(|fact| match fact {
            Fact::AttemptLost { reason, .. } => *reason,
            other => panic!("{other:?}"),
        });
    let (silent, draining) = (LostReason::WorkerSilent, LostReason::Draining);
    let expected = [silent, silent, silent, draining, draining];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
    assert!(jobs.iter().all(|job| world.waiting(*job) == Some(WaitingCode::Priority)));
}
