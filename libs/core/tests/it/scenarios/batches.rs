//! Jobs that are submitted all or none.

use nox_contract::{Command, JobState, Limits, ProblemCode, SubmitBatch, WaitingCode};
use nox_core::Faults;

use crate::world::{Ask, ROOMY, World, acme, after, ask, by, config_of, id, of_module, seconds};

#[test]
fn all_are_admitted_in_one_step_and_placed_by_the_match() {
    let mut world = World::working(2);
    let (jobs, said) = world.ask_together(&[ask(), ask(), ask()]);
    assert_eq!(said.names(), ["submitted", "reserved"].repeat(3));
    assert!(said.entries.iter().all(|entry| entry.n == said.accepted().n), "in one frame");
    assert_eq!(world.balance("ada").reserved, 180);
    assert!(jobs.iter().all(|job| world.holder(*job).is_none()));
    // The third finds no place: none of them was given one that another has.
    world.place();
    let held: Vec<_> = jobs.iter().map(|job| world.holder(*job).is_some()).collect();
    assert_eq!(held, [true, true, false]);
}

#[test]
fn the_first_of_an_account_opens_it_once() {
    let mut world = World::working(0);
    let (_, said) = world.ask_together(&[by("grace"), by("grace")]);
    let names = ["limits_set", "granted", "submitted", "reserved", "submitted", "reserved"];
    assert_eq!(said.names(), names);
}

#[test]
fn one_that_is_refused_has_all_of_them_refused_and_is_named() {
    let mut world = World::working(1);
    let doomed = world.submit(ask());
    world.cancel(doomed);
    for (wrong, code) in [
        (of_module("nothing"), ProblemCode::UnknownModule),
        (after(&[doomed]), ProblemCode::InvalidRequest),
    ] {
        let (jobs, said) = world.ask_together(&[ask(), wrong.clone(), ask()]);
        let refusal = said.refusal();
        assert_eq!((refusal.code, refusal.job), (code, Some(1)), "{wrong:?}");
        assert!(said.entries.is_empty(), "{said:?}");
        assert!(jobs.iter().all(|job| world.log.state.job(*job).is_none()));
    }

    let broken = Faults { batch_taken_in_part: true, ..Faults::default() };
    world.log.rules.faults = broken;
    let (_, said) = world.ask_together(&[ask(), of_module("nothing"), ask()]);
    assert_eq!(said.names().len(), 4, "a decider that takes them in part is seen");
}

#[test]
fn a_stamp_that_is_too_old_for_one_is_for_all() {
    let mut world = World::working(2);
    let old = Ask { fingerprint: Some("f".to_owned()), seen: Some(world.log.state.n), ..ask() };
    let job = world.submit(old.clone());
    world.succeed(job);
    world.pass(seconds(15 * 60));
    world.submit(ask());
    let (_, said) = world.ask_together(&[ask(), Ask { job: Some(job), ..old }]);
    assert_eq!((said.refusal().code, said.refusal().job), (ProblemCode::StaleStamp, Some(1)));
    assert!(said.entries.is_empty());
}

#[test]
fn each_counts_beside_those_before_it() {
    let limits = [
        ("queued_jobs", Limits { queued_jobs: 2, ..ROOMY }, ProblemCode::QueueFull),
        ("cpu_seconds", Limits { cpu_seconds: 150, ..ROOMY }, ProblemCode::BudgetExhausted),
    ];
    for (quota, limits, code) in limits {
        let mut world = World::working_with(1, config_of(limits));
        world.submit(ask());
        let (_, said) = world.ask_together(&[ask(), ask()]);
        let refusal = said.refusal();
        assert_eq!((refusal.code, refusal.job), (code, Some(1)));
        assert_eq!(refusal.quota.as_deref(), Some(quota));
        assert!(refusal.retry_after_s.is_some(), "they would fit by themselves");
        // Told once, as of a job that is refused by itself.
        assert_eq!(said.names(), ["quota_violated"]);
        assert_eq!(world.balance("ada").reserved, 60);
        assert!(!world.ask_together(&[ask()]).1.accepted().repeated);

        let mut world = World::working_with(1, config_of(limits));
        world.submit(ask());
        world.log.rules.faults = Faults { batch_admitted_one_by_one: true, ..Faults::default() };
        let batch = SubmitBatch { jobs: (0..2).map(|_| world.request(&ask())).collect() };
        match world.log.command(&acme(), &Command::SubmitBatch(batch)) {
            Ok(said) => assert_eq!((said.names().len(), quota), (4, "queued_jobs")),
            Err(noticed) => assert!(noticed.to_string().contains("beyond the budget"), "{noticed}"),
        }
    }
    let mut world = World::working_with(1, config_of(Limits { drafts: 2, ..ROOMY }));
    let draft = Ask { draft: true, ..ask() };
    world.submit(draft.clone());
    let (_, said) = world.ask_together(&[draft.clone(), ask(), draft]);
    assert_eq!((said.refusal().code, said.refusal().job), (ProblemCode::QueueFull, Some(2)));
}

#[test]
fn what_can_never_fit_together_is_refused_for_good() {
    let draft = Ask { draft: true, ..ask() };
    for (quota, limits, one, requested) in [
        ("queued_jobs", Limits { queued_jobs: 2, ..ROOMY }, ask(), 3),
        ("cpu_seconds", Limits { cpu_seconds: 120, ..ROOMY }, ask(), 180),
        ("drafts", Limits { drafts: 2, ..ROOMY }, draft, 3),
    ] {
        let mut world = World::working_with(1, config_of(limits));
        let (_, said) = world.ask_together(&[one.clone(), one.clone(), one.clone()]);
        let refusal = said.refusal();
        assert_eq!((refusal.code, refusal.job), (ProblemCode::RequestTooLarge, None));
        assert_eq!((refusal.quota.as_deref(), refusal.requested), (Some(quota), Some(requested)));
        assert_eq!(refusal.retry_after_s, None, "waiting does not help");
        assert_eq!(said.names(), ["quota_violated"]);
        // One less fits.
        world.ask_together(&[one.clone(), one]).1.accepted();
    }
}

#[test]
fn a_repeated_batch_changes_nothing_and_a_known_job_among_new_ones_is_a_conflict() {
    let mut world = World::working(1);
    let keyed = |key: &str| Ask { fingerprint: Some(key.to_owned()), ..ask() };
    let asks = [keyed("f"), keyed("g")];
    let (jobs, first) = world.ask_together(&asks);
    let again: Vec<_> =
        asks.iter().zip(&jobs).map(|(ask, job)| Ask { job: Some(*job), ..ask.clone() }).collect();
    for _ in 0..2 {
        let (_, said) = world.ask_together(&again);
        assert!(said.accepted().repeated && said.entries.is_empty());
        assert!(said.accepted().n >= first.accepted().n);
        world.cancel(jobs[0]);
    }
    let (_, said) = world.ask_together(&[again[0].clone(), keyed("h")]);
    assert_eq!(said.refusal().code, ProblemCode::IdempotencyConflict);
    let other = Ask { fingerprint: Some("x".to_owned()), ..again[1].clone() };
    let (_, said) = world.ask_together(&[again[0].clone(), other]);
    assert_eq!(said.refusal().code, ProblemCode::IdempotencyConflict);
    assert!(said.entries.is_empty());
}

#[test]
fn what_each_waits_for_is_its_own() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    let run_at = Some(world.log.now + seconds(60));
    let asks = [after(&[first]), Ask { run_at, ..ask() }, Ask { draft: true, ..ask() }, ask()];
    let (jobs, _) = world.ask_together(&asks);
    assert_eq!(world.waiting(jobs[0]), Some(WaitingCode::Dependency));
    assert_eq!(world.waiting(jobs[1]), Some(WaitingCode::Scheduled));
    assert_eq!(world.state_of(jobs[2]), JobState::Draft);
    world.place();
    assert!(world.holder(jobs[3]).is_some());
    world.succeed(first);
    world.place();
    assert!(world.holder(jobs[0]).is_some());
}

#[test]
fn what_is_no_batch_is_refused() {
    let mut world = World::working(1);
    let nothing = SubmitBatch { jobs: Vec::new() };
    let said = world.command(&acme(), Command::SubmitBatch(nothing));
    assert_eq!(said.refusal().code, ProblemCode::InvalidRequest);
    let job = crate::world::job_id(77);
    let twice = [Ask { job: Some(job), ..ask() }, Ask { job: Some(job), ..ask() }];
    for asks in [twice.to_vec(), vec![ask(), by("grace")], vec![ask(); 901]] {
        let (_, said) = world.ask_together(&asks);
        assert_eq!(said.refusal().code, ProblemCode::InvalidRequest);
        assert!(said.entries.is_empty());
    }
    let (_, said) = world.ask_together(&vec![ask(); 900]);
    assert_eq!(said.entries.len(), 900);
}

#[test]
fn what_no_frame_holds_is_refused() {
    let mut world = World::working(1);
    let large = Ask { fingerprint: Some("x".repeat(2_000)), ..ask() };
    let (_, said) = world.ask_together(&vec![large.clone(); 300]);
    assert_eq!(said.names(), ["submitted", "reserved"].repeat(300));
    let (_, said) = world.ask_together(&vec![large; 600]);
    assert_eq!(said.refusal().code, ProblemCode::BodyTooLarge);
    let entries = world.ask_together(&[Ask { user: id("ada"), ..ask() }]).1.entries;
    assert_eq!(entries.len(), 1);
}
