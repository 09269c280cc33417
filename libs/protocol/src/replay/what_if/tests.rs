use nox_core::Faults;

use super::*;
use crate::{
    fixtures,
    replay::{Measures, RecordingError},
};

fn record() -> Recording {
    recorded(&fixtures::Recording::story(Faults::default()))
}

fn recorded(log: &fixtures::Recording) -> Recording {
    let mut recording = Recording::by_key(fixtures::TOKEN_KEY);
    recording.epoch(FrameNumber(1), &log.epoch).unwrap();
    for frame in &log.frames {
        recording.frame(frame, &log.inputs).unwrap();
    }
    recording
}

fn model(patch: &str) -> Measures {
    let patch: Patch = serde_json::from_str(patch).unwrap();
    patch.check().unwrap();
    what_if(&record(), &patch).unwrap().outcome.measures(None)
}

#[test]
fn a_model_without_a_change_tells_what_is_recorded() {
    let recording = record();
    let modelled = what_if(&recording, &Patch::default()).unwrap();
    assert_eq!(modelled.guessed, 0);
    let ends =
        |of: &Outcome| of.jobs().map(|(id, job)| (id, job.end, job.attempts)).collect::<Vec<_>>();
    assert_eq!(ends(&modelled.outcome), ends(recording.outcome()));
    let (was, is) = (recording.outcome().measures(None), modelled.outcome.measures(None));
    assert_eq!((was.jobs, was.succeeded, was.attempts), (2, 2, 3));
    // The second waits for the only slot.
    assert_eq!((was.wait_max_ms, is.wait_max_ms), (2_000, 2_000));
}

#[test]
fn with_another_slot_nobody_waits_for_one() {
    let measures = model(r#"{"slots": {"*": 2}}"#);
    assert_eq!((measures.succeeded, measures.wait_max_ms), (2, 0));
    assert_eq!(model(r#"{"slots": {"w1": 2}}"#).wait_max_ms, 0);
}

#[test]
fn a_worker_that_the_record_does_not_have_is_refused_by_its_name() {
    let patch: Patch = serde_json::from_str(r#"{"slots": {"*": 3, "w2": 2}}"#).unwrap();
    let error = what_if(&record(), &patch).unwrap_err().to_string();
    assert!(error.contains("w2") && error.contains("it has w1"), "{error}");
}

/// A job runs from second 1 until it is canceled in second 9, and another one waits for its slot; the medians know
/// that such a job takes two seconds.
fn canceled() -> Recording {
    let mut log = fixtures::Recording::story(Faults::default());
    let submit = |number| {
        let submit = Submit {
            module: "noop".parse().unwrap(),
            pending: false,
            seen: log.frames.last().unwrap().n,
            ..fixtures::submit(fixtures::job(number))
        };
        Command::Submit(Box::new(submit))
    };
    let cancel =
        nox_contract::Cancel { job_id: fixtures::job(3), by: "ada".parse().unwrap(), admin: false };
    let submits = vec![submit(3), submit(4)];
    log.commands(submits, fixtures::second(101));
    log.look(fixtures::second(101));
    log.seal(fixtures::second(101));
    log.commands(vec![Command::Cancel(cancel)], fixtures::second(109));
    log.seal(fixtures::second(109));
    let stopped = log.stopped(fixtures::job(3), Attempt(1));
    log.reports(vec![stopped], fixtures::second(110));
    log.look(fixtures::second(110));
    log.seal(fixtures::second(110));
    let succeeded = AttemptEnd::Succeeded { outputs: RawJson::default() };
    let ended = log.ended(fixtures::job(4), Attempt(1), succeeded);
    log.reports(vec![ended], fixtures::second(112));
    log.seal(fixtures::second(112));
    recorded(&log)
}

#[test]
fn an_attempt_that_was_stopped_goes_on_until_it_is_stopped() {
    let recording = canceled();
    for patch in ["{}", r#"{"slots": {"*": 2}}"#] {
        let patch: Patch = serde_json::from_str(patch).unwrap();
        let modelled = what_if(&recording, &patch).unwrap();
        let job = modelled.outcome.job(fixtures::job(3)).unwrap();
        assert_eq!((job.end, job.ended_at), (Some("canceled"), Some(fixtures::second(109))));
        assert_eq!(modelled.outcome.job(fixtures::job(4)).unwrap().end, Some("succeeded"));
        assert_eq!(modelled.guessed, 0);
    }
    // The control: as soon as nobody knows that it was stopped, it is taken to end as its like did.
    let mut unknown = canceled();
    unknown.stopped.clear();
    let modelled = what_if(&unknown, &Patch::default()).unwrap();
    assert_eq!(modelled.outcome.job(fixtures::job(3)).unwrap().end, Some("succeeded"));
}

#[test]
fn who_may_queue_one_job_has_the_second_refused() {
    for patch in [
        r#"{"config": {"roles": {"user": {"queued_jobs": 1}}}}"#,
        r#"{"limits": {"acme/user/ada": {"queued_jobs": 1}}}"#,
    ] {
        let measures = model(patch);
        assert_eq!((measures.jobs, measures.violations), (1, 1), "{patch}");
    }
    let other = model(r#"{"limits": {"acme/user/bob": {"queued_jobs": 1}}}"#);
    assert_eq!((other.jobs, other.violations), (2, 0));
}

#[test]
fn who_has_priority_is_first() {
    let first = |patch: &str| {
        let patch: Patch = serde_json::from_str(patch).unwrap();
        let outcome = what_if(&record(), &patch).unwrap().outcome;
        outcome.jobs().min_by_key(|(_, job)| job.placed_at).map(|(id, _)| id)
    };
    assert_eq!(first("{}"), Some(fixtures::job(1)));
    // All of one user alike, so nobody overtakes.
    assert_eq!(first(r#"{"priorities": [{"user": "ada", "priority": 9}]}"#), first("{}"));
}

#[test]
fn what_cannot_be_changed_is_refused_by_its_name() {
    for (patch, named) in [
        (r#"{"config": {"agein_ms": 1}}"#, "agein_ms"),
        (r#"{"config": {"roles": {"user": {"cpus": 1}}}}"#, "cpus"),
        (r#"{"config": {"ageing_ms": "soon"}}"#, "config"),
        (r#"{"limits": {"ada": {}}}"#, "ada"),
        (r#"{"priorities": [{"priority": 10}]}"#, "10"),
    ] {
        let patch: Patch = serde_json::from_str(patch).unwrap();
        let error = patch.check().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(serde_json::from_str::<Patch>(r#"{"slot": {}}"#).is_err());
}

#[test]
fn nothing_is_modelled_on_messages_that_are_gone() {
    let mut log = fixtures::Recording::story(Faults::default());
    log.inputs.forget_before(nox_contract::Source::Commands, 2);
    let mut recording = Recording::by_key(fixtures::TOKEN_KEY);
    recording.epoch(FrameNumber(1), &log.epoch).unwrap();
    let n = log.frames[0].n;
    let gone = recording.frame(&log.frames[0], &log.inputs);
    assert_eq!(gone, Err(RecordingError::Gone { n }));
}
