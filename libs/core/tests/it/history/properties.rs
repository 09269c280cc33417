//! The properties, and that each notices the fault it is there for.

use std::{cell::RefCell, collections::BTreeMap};

use nox_core::{Faults, Rules};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use super::{
    actor::{Actor, FORGERY},
    steps::{Step, history},
};
use crate::{
    log::{SOUND, Violation},
    watch::{DRAINED, FIXED, HOSTS, LOSSES, MADE_ONCE, NOTHING_LEFT, REASONS, TURNS},
};

/// Histories that are tried, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 500;
/// Longest history.
const STEPS_MAX: usize = 160;

/// What all histories together must show: whatever can be decided, and for what reason. A property
/// is worth what its histories show.
const EVERYTHING: [(&str, &[&str]); 5] = [
    (
        "fact",
        &[
            "submitted",
            "drafted",
            "draft_submitted",
            "rejected",
            "canceled",
            "waiting",
            "assigned",
            "retry_scheduled",
            "stop_requested",
            "attempt_lost",
            "started",
            "attempt_failed",
            "stopped",
            "succeeded",
            "failed",
            "reserved",
            "settled",
            "released",
            "limits_set",
            "granted",
            "quota_violated",
            "worker_joined",
            "worker_draining",
            "worker_paused",
            "worker_resumed",
            "worker_drained",
            "worker_undrained",
            "worker_left",
            "module_declared",
            "module_switched",
            "configured",
        ],
    ),
    (
        "waits",
        &[
            "priority",
            "concurrency",
            "quota",
            "rate",
            "no_worker",
            "resources",
            "dependency",
            "scheduled",
            "paused",
        ],
    ),
    (
        "refused",
        &[
            "invalid_request",
            "disabled_module",
            "job_not_found",
            "idempotency_conflict",
            "stale_stamp",
            "budget_exhausted",
            "queue_full",
            "request_too_large",
        ],
    ),
    ("failed", &["exit_status", "crashed", "dependency", "killed"]),
    ("lost", &["WorkerSilent", "NewSession", "NotHeld", "Draining", "CannotRun"]),
];

/// The same histories every time, unless `PROPTEST_RNG_SEED` names others.
fn runner(cases: u32) -> TestRunner {
    let by_environment = Config::default();
    let rng_seed = match by_environment.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2_026),
        fixed => fixed,
    };
    let untouched = by_environment.cases == 256;
    let cases = if untouched { cases } else { by_environment.cases };
    // A failure that was found becomes a scenario with a name, not a line in a file of seeds.
    TestRunner::new(Config { cases, rng_seed, failure_persistence: None, ..by_environment })
}

/// Lives through a history, and then lets everything end.
fn live(steps: &[Step], faults: Faults) -> Result<Actor, Violation> {
    let mut actor = Actor::new(Rules { faults, ..Rules::default() })?;
    for step in steps {
        actor.step(step)?;
    }
    actor.settle()?;
    actor.log.verify()?;
    actor.drain()?;
    actor.log.snapshot()?;
    actor.log.verify()?;
    Ok(actor)
}

/// See `log.rs`, `watch.rs` and `actor.rs` for the sentences that must hold.
#[test]
fn whatever_happens_every_sentence_holds() {
    let shown = RefCell::new(BTreeMap::new());
    let mut runner = runner(CASES);
    let outcome = runner.run(&history(STEPS_MAX), |steps| {
        let actor = live(&steps, Faults::default())
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        for (word, times) in actor.log.shown {
            *shown.borrow_mut().entry(word).or_default() += times;
        }
        Ok(())
    });
    if let Err(TestError::Fail(reason, steps)) = outcome {
        panic!("{reason}\n{steps:#?}");
    }
    assert!(outcome.is_ok(), "{outcome:?}");
    let shown: BTreeMap<(&str, String), u32> = shown.into_inner();
    for (kind, words) in EVERYTHING {
        for word in words {
            let times = shown.get(&(kind, (*word).to_owned())).copied().unwrap_or_default();
            // A few in every hundred histories.
            let enough = times > runner.config().cases / 30;
            assert!(enough, "{kind} {word} came {times} times: {shown:#?}");
        }
    }
}

/// The sentence that is not true any more when the decider is broken so.
fn broken_by(faults: Faults) -> String {
    // That it fails is enough; nobody has to read the shortest way to it.
    let config = Config { max_shrink_iters: 0, ..runner(CASES).config().clone() };
    let outcome = TestRunner::new(config).run(&history(STEPS_MAX), |steps| {
        live(&steps, faults)
            .map(drop)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    match outcome {
        Err(TestError::Fail(reason, _)) => reason.message().to_owned(),
        other => panic!("nobody noticed {faults:?}: {other:?}"),
    }
}

#[test]
fn believing_every_report_is_noticed() {
    let noticed = broken_by(Faults { token_unchecked: true, ..Faults::default() });
    assert!(noticed.contains(FORGERY), "{noticed}");
}

#[test]
fn counting_attempts_that_nobody_heard_start_is_noticed() {
    let noticed = broken_by(Faults { unstarted_counts_as_crash: true, ..Faults::default() });
    assert!(noticed.contains(LOSSES), "{noticed}");
}

#[test]
fn excusing_attempts_whose_start_nobody_heard_of_is_noticed() {
    let noticed = broken_by(Faults { unheard_starts_excused: true, ..Faults::default() });
    assert!(noticed.contains(LOSSES), "{noticed}");
}

#[test]
fn taking_silence_for_the_end_of_a_process_is_noticed() {
    let noticed = broken_by(Faults { silence_proves_an_end: true, ..Faults::default() });
    assert!(noticed.contains(LOSSES), "{noticed}");
}

#[test]
fn charging_the_neighbours_of_what_crashed_is_noticed() {
    let noticed = broken_by(Faults { neighbours_blamed: true, ..Faults::default() });
    assert!(noticed.contains(LOSSES), "{noticed}");
}

#[test]
fn charging_anybody_with_a_planned_stop_is_noticed() {
    let noticed = broken_by(Faults { planned_stop_counts: true, ..Faults::default() });
    assert!(noticed.contains(LOSSES), "{noticed}");
}

#[test]
fn admitting_what_may_have_run_and_be_forgotten_is_noticed() {
    let noticed = broken_by(Faults { stamp_unchecked: true, ..Faults::default() });
    assert!(noticed.contains(MADE_ONCE), "{noticed}");
}

#[test]
fn keeping_the_reservation_of_a_lost_job_is_noticed() {
    let noticed = broken_by(Faults { reservation_kept_on_loss: true, ..Faults::default() });
    assert!(noticed.contains(NOTHING_LEFT) || noticed.contains(SOUND), "{noticed}");
}

#[test]
fn first_come_first_served_is_noticed_where_users_take_turns() {
    let noticed = broken_by(Faults { turns_not_taken: true, ..Faults::default() });
    assert!(noticed.contains(TURNS), "{noticed}");
}

#[test]
fn looking_at_the_own_limit_of_a_key_alone_is_noticed() {
    let noticed = broken_by(Faults { key_of_others_ignored: true, ..Faults::default() });
    assert!(
        noticed.contains(HOSTS) || noticed.contains(REASONS) || noticed.contains(SOUND),
        "{noticed}"
    );
}

#[test]
fn starting_too_soon_after_others_is_noticed() {
    let noticed = broken_by(Faults { pace_unchecked: true, ..Faults::default() });
    assert!(noticed.contains(HOSTS) || noticed.contains(REASONS), "{noticed}");
}

#[test]
fn overwriting_what_an_admin_set_is_noticed() {
    let noticed = broken_by(Faults { fixed_limits_follow_role: true, ..Faults::default() });
    assert!(noticed.contains(FIXED), "{noticed}");
}

#[test]
fn giving_work_to_a_drained_worker_is_noticed() {
    let noticed = broken_by(Faults { drained_workers_given_work: true, ..Faults::default() });
    // Or, before that, a reason that takes it for a worker.
    assert!(noticed.contains(DRAINED) || noticed.contains(REASONS), "{noticed}");
}
