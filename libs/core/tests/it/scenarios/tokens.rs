//! An attempt is a token that only its worker holds.

use nox_contract::{
    Attempt, AttemptEnd, FrameNumber, JobId, JobState, Report, Token,
    report::{Ended, Started, Stopped},
};

use crate::{
    log::TOKEN_KEY,
    world::{Holding, World, ask, failed, id, manifest, slots, succeeded},
};

/// Everything that can be said of an attempt.
fn everything(job_id: JobId, attempt: Attempt, token: &Token) -> Vec<Report> {
    let token = || token.clone();
    let ended = |end: AttemptEnd| {
        Report::Ended(Box::new(Ended {
            job_id,
            attempt,
            token: token(),
            started: true,
            usage: Default::default(),
            end,
        }))
    };
    vec![
        Report::Started(Started { job_id, attempt, token: token(), elapsed_ms: 0 }),
        ended(succeeded()),
        ended(failed()),
        Report::Stopped(Stopped { job_id, attempt, token: token(), usage: Default::default() }),
    ]
}

fn assert_not_believed(world: &mut World, from: &Holding, job: JobId, attempt: u32, token: &Token) {
    for report in everything(job, Attempt(attempt), token) {
        let said = world.report(&from.worker, from.session, report.clone());
        assert!(said.entries.is_empty(), "{report:?} was believed: {:?}", said.names());
    }
}

#[test]
fn a_report_with_another_token_changes_nothing() {
    for (starts, cancels) in [(false, false), (true, false), (true, true)] {
        let mut world = World::working(2);
        let job = world.submit(ask());
        let assigned = world.log.state.n;
        let other = world.submit(ask());
        if starts {
            world.start(job);
        }
        if cancels {
            world.cancel(job);
        }
        let holding = world.holding(job);
        let token = |key: &[u8; 32], attempt, n| Token::compute(key, job, Attempt(attempt), n);
        for forged in [
            token(&[0; 32], 1, assigned),
            token(&TOKEN_KEY, 2, assigned),
            token(&TOKEN_KEY, 1, FrameNumber(assigned.0 - 1)),
            token(&TOKEN_KEY, 1, FrameNumber(0)),
            world.holding(other).token,
            serde_json::from_str(r#""""#).unwrap(),
        ] {
            assert_not_believed(&mut world, &holding, job, 1, &forged);
        }
        // A token of an attempt that will be, of another that is, or for another job.
        assert_not_believed(&mut world, &holding, job, 2, &token(&TOKEN_KEY, 2, assigned));
        assert_not_believed(&mut world, &holding, job, 2, &holding.token);
        assert_not_believed(&mut world, &holding, other, 1, &holding.token);
    }
}

#[test]
fn a_stolen_token_is_worth_nothing_to_another_worker() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let session = world.join("thief", slots(1), &[manifest("m")]);
    let holding = world.holding(job);
    let thief = Holding { worker: id("thief"), session, ..holding.clone() };
    assert_not_believed(&mut world, &thief, job, 1, &holding.token);
    assert_eq!(world.state_of(job), JobState::Queued);
}

#[test]
fn the_token_of_an_attempt_that_is_over_is_worth_nothing() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let first = world.holding(job);
    world.end(job, 0, failed());
    assert_not_believed(&mut world, &first, job, 1, &first.token);
    world.pass(crate::world::seconds(60));
    world.timer();
    assert_eq!(world.attempt(job), 2);
    assert_not_believed(&mut world, &first, job, 1, &first.token);
    assert_not_believed(&mut world, &first, job, 2, &first.token);
    world.succeed(job);
    let second_session = first.session;
    let again = Holding { session: second_session, ..first.clone() };
    assert_not_believed(&mut world, &again, job, 2, &first.token);
    assert_eq!(world.state_of(job), JobState::Succeeded);
}

#[test]
fn a_report_that_is_heard_twice_is_believed_once() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let holding = world.holding(job);
    let started = holding.started(job);
    let ended = holding.ended(job, true, 1_000, succeeded());
    for (report, facts) in [(started.clone(), 1), (started.clone(), 0), (ended.clone(), 3)] {
        let said = world.report(&holding.worker, holding.session, report);
        assert_eq!(said.names().len(), facts, "{:?}", said.names());
    }
    for report in [started, ended] {
        assert!(world.report(&holding.worker, holding.session, report).entries.is_empty());
    }
}

#[test]
fn who_was_not_asked_to_stop_is_not_believed_to_have() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    assert!(world.stop(job, 0).entries.is_empty());
    world.start(job);
    assert!(world.stop(job, 0).entries.is_empty());
    assert_eq!(world.holder(job), Some("w"));
}
