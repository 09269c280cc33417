//! The published language: an example for each type, its schema, and what is not published.

use std::{collections::BTreeSet, path::PathBuf};

use nox_contract::{
    CloudEvent, Entry, EventType, Fact, FactOrUnknown, FactPlace, Frame, FrameNumber, RawJson,
    event,
};
use serde_json::{Value, json};

use crate::kind::{Kind, bless};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name).join("v1")
}

/// Every published fact of every stored frame, with its event.
fn published() -> Vec<(Fact, CloudEvent)> {
    let frames = Kind::Frames.stored().into_iter();
    let frames = frames.map(|(_, text)| serde_json::from_str::<Frame>(&text).unwrap());
    frames.flat_map(|frame| events_of(&frame)).collect()
}

fn events_of(frame: &Frame) -> Vec<(Fact, CloudEvent)> {
    let mut events = Vec::new();
    for (entry, of) in (0..).zip(&frame.entries) {
        for (fact, known) in (0..).zip(of.known_facts()) {
            let place = FactPlace { n: frame.n, entry, fact };
            let event = CloudEvent::of(place, frame.at, of, known).unwrap();
            events.extend(event.map(|event| (known.clone(), event)));
        }
    }
    events
}

#[test]
fn the_names_of_facts_are_those_that_the_log_has() {
    let schema = schemars::schema_for!(Fact).to_value();
    let all = schema["oneOf"].as_array().unwrap().iter();
    let tagged = all.map(|one| one["properties"].as_object().unwrap().keys().next().unwrap());
    let in_log: BTreeSet<String> = tagged.cloned().collect();
    assert_eq!(EventType::fact_names().into_iter().collect::<BTreeSet<_>>(), in_log);
}

fn document(event: &CloudEvent) -> Value {
    serde_json::to_value(event).unwrap()
}

#[test]
fn there_is_a_stored_example_of_every_type_and_it_is_what_is_published_today() {
    let published = published();
    for event_type in EventType::ALL {
        let of_type: Vec<_> = published
            .iter()
            .filter(|(_, event)| event.event_type == *event_type)
            .map(|(_, event)| event)
            .collect();
        let file = folder("corpus").join("events").join(format!("{event_type}.json"));
        if bless() && !file.exists() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let example = of_type.first().unwrap_or_else(|| panic!("no frame has {event_type}"));
            std::fs::write(&file, serde_json::to_string_pretty(example).unwrap() + "\n").unwrap();
        }
        let stored = std::fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("{}: {e}; NOX_BLESS=1 writes it", file.display()));
        let stored: Value = serde_json::from_str(&stored).unwrap();
        let is_published = of_type.iter().any(|event| document(event) == stored);
        assert!(is_published, "{event_type}: nothing is published as {stored}");
    }
}

#[test]
fn the_stored_schema_is_that_of_todays_types_and_every_event_is_as_it_says() {
    let today = event::schemas().to_value();
    let file = folder("schemas").join("events.json");
    if bless() {
        std::fs::write(&file, serde_json::to_string_pretty(&today).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(stored, today, "events.json is old; NOX_BLESS=1 writes it");
    let schema_of = |event_type: EventType| {
        let name = format!("#/$defs/{event_type}");
        jsonschema::validator_for(&json!({"$ref": name, "$defs": today["$defs"]})).unwrap()
    };
    for (fact, event) in published() {
        let (schema, document) = (schema_of(event.event_type), document(&event));
        let errors: Vec<_> = schema.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {document}");
        // A schema that lets everything pass would have let this pass.
        let others = EventType::ALL.iter().find(|other| **other != event.event_type).unwrap();
        assert!(!schema_of(*others).is_valid(&document), "{document} as {others}");
        for member in document["data"].as_object().unwrap().keys() {
            let needed = schema_needs(&today, event.event_type, member);
            let mut doctored = document.clone();
            doctored["data"].as_object_mut().unwrap().remove(member);
            assert_eq!(schema.is_valid(&doctored), !needed, "{} without {member}", fact.name());
        }
    }
}

/// Whether a type's data must have a member.
fn schema_needs(schemas: &Value, event_type: EventType, member: &str) -> bool {
    let parts = &schemas["$defs"][event_type.to_string()]["properties"]["data"]["allOf"];
    parts.as_array().unwrap().iter().any(|part| {
        let name = part["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        let part = name.map_or(part, |name| &schemas["$defs"][name]);
        let required = part["required"].as_array();
        required.is_some_and(|names| names.iter().any(|name| name == member))
    })
}

#[test]
fn what_is_withheld_is_in_facts_and_in_no_event() {
    let mut withheld = BTreeSet::new();
    for (fact, event) in published() {
        let inside = serde_json::to_value(&fact).unwrap()[fact.name()].clone();
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        for path in event.event_type.withheld() {
            let pointer = format!("/{path}");
            assert_eq!(data.pointer(&pointer), None, "{path} in {data}");
            if inside.pointer(&pointer).is_some() {
                withheld.insert((event.event_type, *path));
            }
        }
    }
    let all: BTreeSet<_> = EventType::ALL
        .iter()
        .flat_map(|of| of.withheld().iter().map(move |path| (*of, *path)))
        .collect();
    assert_eq!(withheld, all, "a path that no fact has withholds nothing");
}

#[test]
fn an_event_says_all_else_that_its_fact_says_and_what_it_is_about() {
    for (fact, event) in published() {
        let text = event.data.get();
        let data: Value = serde_json::from_str(text).unwrap();
        let inside = serde_json::to_value(&fact).unwrap()[fact.name()].clone();
        for (name, value) in inside.as_object().unwrap() {
            let withheld = event.event_type.withheld();
            let in_part = withheld.iter().any(|path| path.split('/').next() == Some(name));
            assert!(in_part || data[name] == *value, "{name} of {inside} in {data}");
        }
        let names = text.matches("\"job_id\":").count();
        let elsewhere = inside.to_string().matches("\"job_id\":").count();
        assert!(names <= elsewhere + 1, "a member stands twice in {text}");
        let about = [
            "job_id",
            "account",
            "worker_id",
            "module",
            "topic",
            "key_id",
            "schedule_id",
            "webhook_id",
        ];
        assert!(about.iter().any(|name| data[name].is_string()), "{data}");
        assert_eq!(event.event_type.fact_name(), fact.name());
        assert!(!event.subject.is_empty() && event.source.starts_with("/nox/"));
    }
}

#[test]
fn facts_about_the_log_itself_are_not_published() {
    let frames = Kind::Frames.stored().into_iter();
    let facts: Vec<_> = frames
        .flat_map(|(_, text)| serde_json::from_str::<Frame>(&text).unwrap().entries)
        .flat_map(|entry| entry.known_facts().cloned().collect::<Vec<_>>())
        .filter(|fact| EventType::of(fact).is_none())
        .map(|fact| fact.name())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(facts, ["configured", "inputs_reset"]);
}

#[test]
fn what_users_sent_passes_byte_for_byte_and_a_job_keeps_its_trace() {
    let (_, text) =
        Kind::Frames.stored().into_iter().find(|(name, _)| name.ends_with("/started")).unwrap();
    let frame: Frame = serde_json::from_str(&text).unwrap();
    let odd = "{ \"e\" : 1.50e+2,\t\"big\": 123456789012345678901234567890 }";
    let outputs = RawJson::parse(odd.to_owned()).unwrap();
    let attempt = nox_contract::Attempt(1);
    let fact = Fact::Succeeded { attempt, outputs, wall_ms: 1 };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let entry = Entry {
        facts: vec![FactOrUnknown::Known(fact.clone())],
        traceparent: Some(trace.into()),
        ..frame.entries[0].clone()
    };
    let place = FactPlace { n: FrameNumber(7), entry: 0, fact: 2 };
    let event = CloudEvent::of(place, frame.at, &entry, &fact).unwrap().unwrap();
    assert!(event.data.get().contains(odd), "{:?}", event.data);
    let document = document(&event);
    assert_eq!(document["id"], "7-0-2");
    assert_eq!(document["traceparent"], trace);
    assert_eq!(document["type"], "nox.job.succeeded.v1");
    let untraced = Entry { traceparent: None, ..entry };
    let event = CloudEvent::of(place, frame.at, &untraced, &fact).unwrap().unwrap();
    assert_eq!(event.traceparent, None);
}

#[test]
fn a_type_is_read_as_it_is_written() {
    for event_type in EventType::ALL {
        assert_eq!(event_type.to_string().parse(), Ok(*event_type));
    }
    for other in ["", "nox.job.succeeded", "job.succeeded.v1", "nox.job.succeeded.v2", "nox.job.v1"]
    {
        assert!(other.parse::<EventType>().is_err(), "{other}");
    }
}

#[test]
fn places_are_ordered_as_the_log_is_and_each_has_one_text() {
    let place = |n, entry, fact| FactPlace { n: FrameNumber(n), entry, fact };
    let rising = [place(1, 0, 0), place(1, 0, 1), place(1, 2, 0), place(9, 0, 0), place(10, 0, 0)];
    assert!(rising.is_sorted());
    for place in rising {
        assert_eq!(place.to_string().parse(), Ok(place));
        let json = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<FactPlace>(&json).unwrap(), place);
    }
    for other in
        ["", "1", "1-0", "1-0-0-0", "01-0-0", "+1-0-0", "1-0--1", " 1-0-0", "1-0-4294967296"]
    {
        assert!(other.parse::<FactPlace>().is_err(), "{other}");
    }
}
