//! What a newer version adds does not stop an older one.

use nox_contract::{Event, Fact, FactOrUnknown, WaitingCode};
use serde_json::Value;

use crate::{corpus::FOREIGN, kind::Kind};

/// Where externally tagged enums stand: their objects have one key, and that is the tag.
const TAGGED: [&str; 6] = ["commands", "reports", "work", "facts", "outcome", "end"];

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
            let is_tag = parent.is_some_and(|parent| TAGGED.contains(&parent))
                && object.values().all(Value::is_object)
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

/// An event with these facts, as a newer version would have written it.
fn event_with(facts: &str) -> Event {
    let (_, text) = Kind::Events.stored().into_iter().find(|(n, _)| n == "events/mark").unwrap();
    let text: String = text.split_whitespace().collect();
    let newer = text.replace(r#""facts":["mark"]"#, &format!(r#""facts":[{facts}]"#));
    assert_ne!(text, newer);
    serde_json::from_str(&newer).unwrap()
}

#[test]
fn an_unknown_fact_keeps_its_bytes_and_hides_no_other() {
    // Neither the order of its fields nor its numbers nor its spaces are ours to change.
    let unknown = r#"{"teleported": {"z": 1.0, "a":1e2,  "to": "\u00e9"}}"#;
    let event = event_with(&format!(r#"{{"waiting":{{"code":"rate"}}}},{unknown},"frobnicated""#));

    assert_eq!(event.facts.len(), 3);
    let FactOrUnknown::Unknown(raw) = &event.facts[1] else { panic!("{:?}", event.facts[1]) };
    assert_eq!(raw.get(), unknown);
    assert!(
        matches!(&event.facts[2], FactOrUnknown::Unknown(raw) if raw.get() == "\"frobnicated\"")
    );
    let known: Vec<_> = event.known_facts().collect();
    assert_eq!(known, [&Fact::Waiting { code: WaitingCode::Rate }]);
    assert!(serde_json::to_string(&event).unwrap().contains(unknown));
}

#[test]
fn a_known_fact_with_a_word_that_is_not_known_counts_as_unknown() {
    for fact in [r#"{"waiting":{"code":"moon_phase"}}"#, r#"{"waiting":{}}"#, r#"{"mark":{}}"#] {
        let event = event_with(fact);
        let [FactOrUnknown::Unknown(raw)] = event.facts.as_slice() else {
            panic!("{:?}", event.facts)
        };
        assert_eq!(raw.get(), fact);
    }
}

#[test]
fn user_json_passes_through_byte_for_byte() {
    let inputs = r#"{ "b":1.50,"a" : [1e400, "\u0041"] , "b":2 }"#;
    let text = format!(
        r#"{{"submitted":{{"inputs":{inputs},"requested_resources":
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
