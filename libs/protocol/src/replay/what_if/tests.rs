use nox_core::Faults;

use super::*;
use crate::{
    fixtures,
    replay::{Measures, RecordingError},
};

fn record() -> Recording {
    let log = fixtures::Recording::story(Faults::default());
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
    assert_eq!(model(r#"{"slots": {"another": 2}}"#).wait_max_ms, 2_000);
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
