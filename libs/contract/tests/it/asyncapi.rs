//! The document of the feed: the stored one is what the types say, and its examples are what it describes.

use std::{collections::BTreeMap, path::PathBuf};

use nox_contract::{EventType, event};
use serde_json::{Value, json};

use crate::kind::bless;

fn examples() -> BTreeMap<String, Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/v1/events");
    let read = |of: &EventType| {
        let text = std::fs::read_to_string(folder.join(format!("{of}.json"))).unwrap();
        (of.to_string(), serde_json::from_str(&text).unwrap())
    };
    EventType::ALL.iter().map(read).collect()
}

#[test]
fn the_stored_document_is_what_the_types_say() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.json");
    let document = format!("{:#}\n", event::asyncapi(&examples()));
    if bless() {
        std::fs::write(&path, &document).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == document, "docs/asyncapi.json differs: NOX_BLESS=1 writes it anew");
}

/// What a type is called within the document.
fn key(name: &str) -> String {
    name.trim_start_matches("nox.").replace('.', "_")
}

/// A validator of one schema of the document.
fn validator(document: &Value, name: &str) -> jsonschema::Validator {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{}", key(name)),
        "components": document["components"],
    });
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn each_type_has_an_example_that_its_schema_allows_and_no_other_does() {
    let document = event::asyncapi(&examples());
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), EventType::ALL.len());
    let submitted = validator(&document, "nox.job.submitted.v1");
    for (named, message) in messages {
        let name = message["name"].as_str().unwrap();
        assert_eq!(key(name), *named);
        assert_eq!(message["payload"]["$ref"], format!("#/components/schemas/{named}"));
        let example = &message["examples"][0];
        let errors: Vec<_> = validator(&document, name)
            .iter_errors(&example["payload"])
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert_eq!(submitted.is_valid(&example["payload"]), name == "nox.job.submitted.v1");
        let mut doctored = example["payload"].clone();
        doctored["data"] = json!(7);
        assert!(!validator(&document, name).is_valid(&doctored), "{name}");
    }
}

#[test]
fn every_example_is_published_on_a_subject_that_the_document_has() {
    let document = event::asyncapi(&examples());
    for (name, example) in examples() {
        let mut words = name.split('.').skip(1);
        let (kind, what) = (words.next().unwrap(), words.next().unwrap());
        let channel = &document["channels"][kind];
        assert_eq!(
            channel["messages"][what]["$ref"],
            format!("#/components/messages/{}", key(&name))
        );
        let address: Vec<_> = channel["address"].as_str().unwrap().split('.').collect();
        assert_eq!(address.len(), 6);
        assert_eq!(&address[..4], ["nox", "feed", "{tenant}", kind]);
        let parameters = channel["parameters"].as_object().unwrap();
        for token in [address[2], address[4], address[5]] {
            assert!(parameters.contains_key(token.trim_matches(['{', '}'])), "{token}");
        }
        let whats = channel["parameters"]["what"]["enum"].as_array().unwrap();
        assert!(whats.contains(&json!(what)), "{example}");
    }
}

/// Everything that is referred to is there.
#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = event::asyncapi(&examples());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let place = reference.trim_start_matches('#');
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}
