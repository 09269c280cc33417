//! Submitting once, twice, too late and in vain.

use nox_contract::{Fact, FrameNumber, JobState, ProblemCode, SchedulerConfig, WaitingCode};

use crate::world::{Ask, World, acme, after, ask, by, config, id, job_id, of_module, seconds};

#[test]
fn a_job_that_a_worker_has_room_for_is_admitted_and_assigned_in_one_entry() {
    let mut world = World::working(1);
    let (job, said) = world.ask(&ask());
    assert_eq!(said.names(), ["submitted", "reserved", "assigned"]);
    assert_eq!(said.entries.len(), 1);
    assert_eq!((world.holder(job), world.attempt(job)), (Some("w"), 1));
    let accepted = said.accepted();
    assert_eq!((accepted.job_id, accepted.state), (Some(job), Some(JobState::Queued)));
    assert_eq!((accepted.n, accepted.repeated), (said.entries[0].n, false));
}

#[test]
fn a_job_that_nobody_has_room_for_is_admitted_with_the_reason() {
    let mut world = World::working(1);
    world.submit(ask());
    let (job, said) = world.ask(&by("ada"));
    assert_eq!(said.names(), ["submitted", "reserved", "waiting"]);
    assert_eq!(world.waiting(job), Some(WaitingCode::Resources));
}

#[test]
fn the_first_submit_of_an_account_opens_it_before_the_job() {
    let mut world = World::working(1);
    let (job, said) = world.ask(&by("grace"));
    assert_eq!(said.names(), ["limits_set", "granted", "submitted", "reserved"]);
    assert_eq!(said.entries[0].account.as_deref(), Some("user/grace"));
    // The limits were not in force yet when the job was admitted, so the match places it.
    assert_eq!(world.waiting(job), Some(WaitingCode::Priority));
    world.place();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn the_first_submit_of_a_tenant_opens_both_accounts() {
    let mut world = World::working(1);
    let (_, said) = world.ask(&Ask { tenant: id("other"), ..ask() });
    let accounts: Vec<_> = said.entries.iter().filter_map(|e| e.account.as_deref()).collect();
    assert_eq!(accounts, ["tenant", "user/ada"]);
    assert!(said.entries.iter().all(|entry| entry.tenant == id("other")));
}

#[test]
fn a_repeated_submit_changes_nothing_and_is_answered_as_the_first() {
    let mut world = World::working(1);
    let with_key = Ask { fingerprint: Some("f".to_owned()), ..ask() };
    let (job, first) = world.ask(&with_key);
    let again = Ask { job: Some(job), ..with_key };
    for state in [JobState::Queued, JobState::Running, JobState::Succeeded] {
        match state {
            JobState::Running => drop(world.start(job)),
            JobState::Succeeded => drop(world.succeed(job)),
            _ => {}
        }
        let (_, said) = world.ask(&again);
        assert!(said.entries.is_empty());
        let accepted = said.accepted();
        assert!(accepted.repeated);
        assert_eq!((accepted.job_id, accepted.state), (Some(job), Some(state)));
        assert!(accepted.n >= first.accepted().n, "who reads up to there sees the job");
    }
}

#[test]
fn a_repeated_submit_of_a_promised_job_that_was_refused_says_that_it_failed() {
    let mut world = World::working(1);
    let promised = Ask { pending: true, ..of_module("nothing") };
    let (job, said) = world.ask(&promised);
    assert_eq!(said.refusal().code, ProblemCode::UnknownModule);
    let (_, again) = world.ask(&Ask { job: Some(job), ..promised });
    assert_eq!(again.accepted().state, Some(JobState::Failed));
}

#[test]
fn an_id_that_is_used_for_another_request_is_a_conflict() {
    let mut world = World::working(2);
    let first = Ask { fingerprint: Some("f".to_owned()), ..ask() };
    let job = world.submit(first.clone());
    world.open("grace");
    for end in [false, true] {
        if end {
            world.succeed(job);
        }
        for other in [
            Ask { fingerprint: Some("g".to_owned()), ..first.clone() },
            Ask { fingerprint: None, ..first.clone() },
            Ask { user: id("grace"), ..first.clone() },
            Ask { tenant: id("other"), ..first.clone() },
            // Promised or not: the id is taken, so there is no job to fail.
            Ask { fingerprint: Some("g".to_owned()), pending: true, ..first.clone() },
        ] {
            let (_, said) = world.ask(&Ask { job: Some(job), ..other });
            assert_eq!(said.refusal().code, ProblemCode::IdempotencyConflict);
            assert!(said.entries.is_empty());
        }
    }
}

/// Of a job with a key, under a key of its own for every test.
fn keyed(key: &str) -> Ask {
    Ask { fingerprint: Some(key.to_owned()), ..ask() }
}

#[test]
fn a_job_with_a_key_is_remembered_for_a_quarter_of_an_hour_and_then_a_stale_stamp_is_refused() {
    let mut world = World::working(2);
    let seen = world.log.state.n;
    let job = world.submit(keyed("f"));
    world.succeed(job);
    let again = Ask { job: Some(job), seen: Some(seen), ..keyed("f") };

    world.pass(seconds(15 * 60 - 1));
    world.submit(ask());
    assert!(world.ask(&again).1.accepted().repeated);

    world.pass(seconds(1));
    world.submit(ask());
    let (_, said) = world.ask(&again);
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
    assert!(said.entries.is_empty(), "whoever asks hears it, and asks again");
    // Of a promised one nobody hears. What the table of transitions makes of it is nothing, where
    // there was a job.
    let (_, said) = world.ask(&Ask { pending: true, ..again.clone() });
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
    assert_eq!(said.names(), ["rejected"]);
    let never = world.ask(&Ask { job: None, pending: true, ..again.clone() });
    assert_eq!(never.1.names(), ["rejected"]);
    assert_eq!(world.state_of(never.0), JobState::Failed);
    let fresh = world.submit(Ask { seen: Some(world.log.state.n), ..keyed("g") });
    assert_eq!(world.state_of(fresh), JobState::Queued);
}

#[test]
fn a_stamp_is_stale_only_if_a_job_submitted_after_it_was_forgotten() {
    let mut world = World::working(2);
    let before = world.log.state.n;
    let first = world.submit(keyed("f"));
    let submitted = world.log.state.n;
    world.succeed(first);
    world.pass(seconds(15 * 60));
    world.submit(ask());
    world.submit(Ask { seen: Some(submitted), ..keyed("g") });
    let (_, said) = world.ask(&Ask { seen: Some(before), ..keyed("h") });
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
}

#[test]
fn what_ended_before_a_takeover_is_remembered_from_the_takeover_on() {
    for first in [ask(), keyed("f")] {
        let mut world = World::working(2);
        let seen = world.log.state.n;
        let job = world.submit(first.clone());
        world.succeed(job);
        world.pass(seconds(3_600));
        world.log.epoch().unwrap();
        world.submit(ask());
        let again = Ask { job: Some(job), seen: Some(seen), ..first };
        assert!(
            world.ask(&again).1.accepted().repeated,
            "nobody led, so it was sent again only now"
        );
        world.pass(seconds(15 * 60));
        world.submit(ask());
        assert_eq!(world.ask(&again).1.refusal().code, ProblemCode::StaleStamp);
    }
}

/// Remembers eight jobs without a key.
fn forgetful() -> World {
    World::working_with(2, SchedulerConfig { unkeyed_remembered_max: 8, ..config() })
}

#[test]
fn of_jobs_without_a_key_so_many_are_remembered_and_a_copy_of_an_older_one_runs_no_second_time() {
    let mut world = forgetful();
    let seen = world.log.state.n;
    let (first, with_key) = (world.submit(ask()), world.submit(keyed("f")));
    let again = Ask { job: Some(first), seen: Some(seen), ..ask() };
    for job in [first, with_key] {
        world.place();
        world.succeed(job);
    }
    let mut remembered = 0;
    while world.log.state.ended(first).is_some() {
        assert!(world.ask(&again).1.accepted().repeated);
        let job = world.submit(ask());
        world.succeed(job);
        remembered += 1;
    }
    assert!((8..=10).contains(&remembered), "{remembered}");
    assert_eq!(world.ask(&again).1.refusal().code, ProblemCode::StaleStamp);
    // That says nothing of those with a key.
    let again = Ask { job: Some(with_key), seen: Some(seen), ..keyed("f") };
    assert!(world.ask(&again).1.accepted().repeated);
    world.submit(Ask { seen: Some(seen), ..keyed("g") });
}

#[test]
fn of_jobs_with_a_key_so_many_are_remembered_and_a_repetition_of_an_older_one_runs_no_second_time()
{
    let mut world = World::working_with(2, SchedulerConfig { keyed_remembered_max: 8, ..config() });
    let seen = world.log.state.n;
    let first = world.submit(keyed("f"));
    let again = Ask { job: Some(first), seen: Some(seen), ..keyed("f") };
    world.place();
    world.succeed(first);
    let mut remembered = 0;
    while world.log.state.ended(first).is_some() {
        assert!(remembered < 20, "it is remembered for ever");
        assert!(world.ask(&again).1.accepted().repeated);
        let job = world.submit(keyed("others"));
        world.succeed(job);
        remembered += 1;
    }
    assert!((8..=10).contains(&remembered), "{remembered}");
    // The gateway looks whether the key was used, and finds the job.
    assert_eq!(world.ask(&again).1.refusal().code, ProblemCode::StaleStamp);
    // Whoever has seen that this key was not used where the forgotten ones were is not refused in vain.
    world.submit(keyed("g"));
}

#[test]
fn a_submit_without_a_key_that_waited_for_long_is_not_stale_for_those_that_were_made_after_it() {
    let mut world = forgetful();
    let seen = world.log.state.n;
    // Some others came and went while it waited; a gateway makes ids that rise.
    let waited = job_id(5_000);
    for number in 1..30 {
        let job = world.submit(Ask { job: Some(job_id(4_000 + number)), ..ask() });
        world.succeed(job);
    }
    assert!(world.log.state.ended(job_id(4_001)).is_none());
    world.submit(Ask { job: Some(waited), seen: Some(seen), ..ask() });
    // With an id that is as old as theirs, it may be one of them.
    let (_, said) = world.ask(&Ask { job: Some(job_id(4_000)), seen: Some(seen), ..ask() });
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
    // By a gateway whose clock is behind, and which has seen that they have gone.
    world.submit(Ask { job: Some(job_id(3_000)), ..ask() });
}

#[test]
fn an_unknown_module_is_refused() {
    let mut world = World::working(1);
    let (_, said) = world.ask(&of_module("nothing"));
    assert_eq!(said.refusal().code, ProblemCode::UnknownModule);
    assert!(said.entries.is_empty());
}

#[test]
fn a_disabled_module_is_refused() {
    let mut world = World::working(1);
    world.switch("m", false);
    assert_eq!(world.ask(&ask()).1.refusal().code, ProblemCode::DisabledModule);
    world.switch("m", true);
    world.submit(ask());
}

#[test]
fn a_module_whose_workers_are_gone_is_known() {
    let mut world = World::working(1);
    world.silent("w");
    let job = world.submit(ask());
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
}

#[test]
fn a_promised_job_that_is_refused_becomes_a_failed_job_with_the_code() {
    let mut world = World::working(1);
    let huge = nox_contract::Resources { cpu: 65, ..crate::world::SMALL };
    for (refused, code) in [
        (of_module("nothing"), ProblemCode::UnknownModule),
        (after(&[job_id(999)]), ProblemCode::StaleStamp),
        (Ask { resources: huge, ..ask() }, ProblemCode::RequestTooLarge),
    ] {
        let (job, said) = world.ask(&Ask { pending: true, ..refused });
        assert_eq!(said.refusal().code, code);
        let [Fact::Rejected(rejected)] = said.of(job)[..] else { panic!("{:?}", said.of(job)) };
        assert_eq!(rejected.refusal.code, code);
        assert_eq!(world.state_of(job), JobState::Failed);
    }
    let queued = world.log.state.ledger.user(&acme(), &id("ada")).unwrap().queued_jobs;
    assert_eq!(queued, 0, "a rejected job was never admitted");
}

#[test]
fn a_submit_counts_from_the_stamp_of_an_empty_log() {
    let mut world = World::working(1);
    world.submit(Ask { seen: Some(FrameNumber(0)), ..ask() });
}
