//! What a newer version adds does not stop an older one.

use nox_contract::{
    Answer, AnswerMessage, Command, CommandMessage, Entry, Fact, FactOrUnknown, Frame, JobState,
    Outcome, ProblemCode, Refusal, Report, ReportMessage, WaitingCode, Work, WorkMessage,
};
use serde_json::{Value, json};

use crate::{corpus::FOREIGN, kind::Kind};

/// Where externally tagged enums stand: their objects have one key, and that is the tag.
const TAGGED: [&str; 8] =
    ["commands", "reports", "work", "facts", "outcome", "end", "handed_back", "to"];

#[test]
fn unknown_fields_are_ignored_wherever_they_stand() {
    let mut added = 0;
    for kind in Kind::ALL {
        for (name, text) in kind.stored() {
            let stored: Value = serde_json::from_str(&text).unwrap();
            let read = kind.rewrite(&stored.to_string()).unwrap();
            for path in objects("", &stored) {
                let mut newer = stored.clone();
                let object = newer.pointer_mut(&path).and_then(Value::as_object_mut).unwrap();
                object.insert("of_a_newer_version".to_owned(), serde_json::json!([{"a": 1}]));
                let read_newer = kind
                    .rewrite(&newer.to_string())
                    .unwrap_or_else(|e| panic!("{name}: a field in {path:?}: {e}"));
                assert_eq!(read, read_newer, "{name}: {path}");
                added += 1;
            }
        }
    }
    assert!(added > 200, "only {added} objects were tried");
}

/// The paths of all objects that have fields of ours.
fn objects(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let parent = path.rsplit('/').find(|part| part.parse::<usize>().is_err());
            // A variant without fields within another one is a text.
            let is_tag = parent.is_some_and(|parent| TAGGED.contains(&parent))
                && object.values().all(|value| value.is_object() || value.is_string())
                && object.len() == 1;
            let is_map = path.ends_with("/roles");
            let mut found = if is_tag || is_map { Vec::new() } else { vec![path.to_owned()] };
            for (key, value) in object {
                if !FOREIGN.contains(&key.as_str()) {
                    found.extend(objects(&format!("{path}/{key}"), value));
                }
            }
            found
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| objects(&format!("{path}/{i}"), item))
            .collect(),
        _ => Vec::new(),
    }
}

/// A frame with these facts in its one entry, as a newer version would have written it.
fn frame_with(facts: &str) -> Frame {
    let stored = Kind::Frames.stored();
    let (_, text) = stored.into_iter().find(|(n, _)| n == "frames/worker_draining").unwrap();
    let text: String = text.split_whitespace().collect();
    let at = text.find(r#""facts":["#).unwrap();
    serde_json::from_str(&format!(r#"{}"facts":[{facts}]}}]}}"#, &text[..at])).unwrap()
}

fn only_entry(frame: &Frame) -> &Entry {
    let [entry] = frame.entries.as_slice() else { panic!("{frame:?}") };
    entry
}

#[test]
fn an_unknown_fact_keeps_its_bytes_and_hides_no_other() {
    // Neither the order of its fields nor its numbers nor its spaces are ours to change.
    let unknown = r#"{"teleported": {"z": 1.0, "a":1e2,  "to": "\u00e9"}}"#;
    let frame = frame_with(&format!(r#"{{"waiting":{{"code":"rate"}}}},{unknown},"frobnicated""#));
    let entry = only_entry(&frame);

    assert_eq!(entry.facts.len(), 3);
    let FactOrUnknown::Unknown(raw) = &entry.facts[1] else { panic!("{:?}", entry.facts[1]) };
    assert_eq!(raw.get(), unknown);
    assert!(
        matches!(&entry.facts[2], FactOrUnknown::Unknown(raw) if raw.get() == "\"frobnicated\"")
    );
    let known: Vec<_> = entry.known_facts().collect();
    assert_eq!(known, [&Fact::Waiting { code: WaitingCode::Rate }]);
    assert!(serde_json::to_string(&frame).unwrap().contains(unknown));
}

#[test]
fn a_known_fact_with_a_word_that_is_not_known_counts_as_unknown() {
    for fact in [r#"{"waiting":{"code":"moon_phase"}}"#, r#"{"waiting":{}}"#, r#"{"submitted":7}"#]
    {
        let frame = frame_with(fact);
        let entry = only_entry(&frame);
        let [FactOrUnknown::Unknown(raw)] = entry.facts.as_slice() else {
            panic!("{:?}", entry.facts)
        };
        assert_eq!(raw.get(), fact);
    }
}

#[test]
fn user_json_passes_through_byte_for_byte() {
    let inputs = r#"{ "b":1.50,"a" : [1e400, "\u0041"] , "b":2 }"#;
    let text = format!(
        r#"{{"submitted":{{"module_version":"1","inputs":{inputs},"requested_resources":
        {{"cpu":1,"mem_mb":1,"wall_time_s":1}},"priority":5}}}}"#
    );
    let fact: Fact = serde_json::from_str(&text).unwrap();
    assert!(serde_json::to_string(&fact).unwrap().contains(inputs));
}

#[test]
fn what_is_left_out_has_its_default() {
    let submit: nox_contract::Submit = serde_json::from_str(
        r#"{"job_id": "0193a000-0000-7000-8000-000000000001", "user_id": "ada", "role": "user",
            "module": "xtb", "inputs": {}, "seen": 0,
            "requested_resources": {"cpu": 1, "mem_mb": 256, "wall_time_s": 60}}"#,
    )
    .unwrap();
    assert_eq!(submit.priority, nox_contract::command::PRIORITY_DEFAULT);
    assert_eq!(submit.requested_resources.gpu, 0);
    assert!(!submit.pending && submit.after.is_empty() && submit.run_at.is_none());
}

/// A stored message of several parts, with more parts before, between and behind them.
fn with_parts(kind: Kind, name: &str, parts: &str, more: &[Value]) -> String {
    let (_, text) = kind.stored().into_iter().find(|(n, _)| n == name).unwrap();
    let mut message: Value = serde_json::from_str(&text).unwrap();
    let known = message[parts].as_array_mut().unwrap();
    let mut mixed = more.to_vec();
    for part in known.drain(..) {
        mixed.push(part);
        mixed.extend_from_slice(more);
    }
    *known = mixed;
    message.to_string()
}

/// Checks that every part but each third stands where it stood, and nothing else was lost.
fn lost_nothing_else<T: PartialEq + std::fmt::Debug>(read: &[T], known: &[T], unreadable: &T) {
    assert!(known.len() > 1 && !known.contains(unreadable));
    assert_eq!(read.len(), 3 * known.len() + 2);
    for (place, part) in read.iter().enumerate() {
        let expected = if place % 3 == 2 { &known[place / 3] } else { unreadable };
        assert_eq!(part, expected, "in place {place}");
    }
}

#[test]
fn a_part_that_cannot_be_read_costs_that_part_alone() {
    let unknown = [json!({"teleport": {"to": 1}}), json!("levitate")];

    let text = with_parts(Kind::Commands, "commands/packed", "commands", &unknown);
    let read: CommandMessage = serde_json::from_str(&text).unwrap();
    let known: CommandMessage =
        serde_json::from_str(&with_parts(Kind::Commands, "commands/packed", "commands", &[]))
            .unwrap();
    lost_nothing_else(&read.commands, &known.commands, &Command::Unreadable);

    // Also a known report with a word in it that is not.
    let end = json!({"ended": {"end": {"evaporated": {}}, "started": true}});
    let text = with_parts(Kind::Reports, "reports/packed", "reports", &[unknown[0].clone(), end]);
    let read: ReportMessage = serde_json::from_str(&text).unwrap();
    let known: ReportMessage =
        serde_json::from_str(&with_parts(Kind::Reports, "reports/packed", "reports", &[])).unwrap();
    lost_nothing_else(&read.reports, &known.reports, &Report::Unreadable);

    let text = with_parts(Kind::Work, "work/redelivered", "work", &unknown);
    let read: WorkMessage = serde_json::from_str(&text).unwrap();
    let known: WorkMessage =
        serde_json::from_str(&with_parts(Kind::Work, "work/redelivered", "work", &[])).unwrap();
    lost_nothing_else(&read.work, &known.work, &Work::Unreadable);
}

#[test]
fn what_could_not_be_read_is_never_written() {
    assert!(serde_json::to_string(&Command::Unreadable).is_err());
    assert!(serde_json::to_string(&Report::Unreadable).is_err());
    assert!(serde_json::to_string(&Work::Unreadable).is_err());
}

#[test]
fn an_answer_with_an_unknown_word_says_what_can_be_understood_of_it() {
    let text = json!({"answers": [
        {"part": 0, "outcome": {"refused": {
            "code": "moon_phase", "detail": "come back at full moon", "retry_after_s": 9,
        }}},
        {"part": 1, "outcome": {"postponed": {"until": "full moon"}}},
        {"part": 2, "outcome": {"accepted": {"n": 7, "state": "levitating"}}},
        {"part": 3, "outcome": {"refused": {"code": "queue_full", "detail": "full"}}},
    ]});
    let read: AnswerMessage = serde_json::from_str(&text.to_string()).unwrap();
    let [refused, accepted, known] = &read.answers[..] else { panic!("{:?}", read.answers) };

    let mut generic = Refusal::new(ProblemCode::Refused, "moon_phase: come back at full moon");
    generic.retry_after_s = Some(9);
    assert_eq!(*refused, Answer { part: 0, outcome: Outcome::Refused(generic) });
    let Outcome::Accepted(said) = &accepted.outcome else { panic!("{accepted:?}") };
    assert_eq!((accepted.part, said.n.0, said.state), (2, 7, None::<JobState>));
    let full = Refusal::new(ProblemCode::QueueFull, "full");
    assert_eq!(*known, Answer { part: 3, outcome: Outcome::Refused(full) });
}

#[test]
fn a_manifest_that_cannot_be_read_does_not_keep_a_worker_from_joining() {
    let (_, text) =
        Kind::Reports.stored().into_iter().find(|(n, _)| n.ends_with("/hello")).unwrap();
    let known: ReportMessage = serde_json::from_str(&text).unwrap();
    let newer = text.replace("\"modules\": [", "\"modules\": [{\"name\": \"of a newer version\"},");
    assert_ne!(text, newer);
    let read: ReportMessage = serde_json::from_str(&newer).unwrap();
    assert_eq!(read, known);
}
