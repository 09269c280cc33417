//! `schemas/v1/` describes every message to whoever reads it without Rust.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::kind::{Kind, bless};

fn stored(kind: Kind) -> Value {
    let file = kind.schema_file();
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|e| panic!("{}: {e}; NOX_BLESS=1 writes it", file.display()));
    serde_json::from_str(&text).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).expect("a schema is a schema")
}

/// A schema's definition of one of the types that it mentions.
fn definition(schema: &Value, name: &str) -> Validator {
    let definitions = &schema["$defs"];
    assert!(definitions[name].is_object(), "no {name} in {definitions}");
    validator(&json!({"$ref": format!("#/$defs/{name}"), "$defs": definitions}))
}

fn assert_valid(validator: &Validator, value: &Value, name: &str) {
    let errors: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}");
}

#[test]
fn the_stored_schemas_are_those_of_todays_types() {
    for kind in Kind::ALL {
        let today = kind.schema();
        let file = kind.schema_file();
        if bless() {
            let text = serde_json::to_string_pretty(&today).unwrap();
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text + "\n").unwrap();
        }
        let name = file.display();
        assert_eq!(stored(kind), today.to_value(), "{name} is old; NOX_BLESS=1 writes it");
    }
}

#[test]
fn every_stored_message_is_what_its_schema_says() {
    for kind in Kind::ALL {
        let schema = stored(kind);
        let validator = validator(&schema);
        for (name, text) in kind.stored() {
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_valid(&validator, &message, &name);
            // A frame's schema lets any fact pass, since a newer version may write others.
            let entries = message["entries"].as_array().into_iter().flatten();
            for fact in entries.flat_map(|entry| entry["facts"].as_array().into_iter().flatten()) {
                assert_valid(&definition(&schema, "Fact"), fact, &name);
            }
        }
    }
}

#[test]
fn a_message_without_a_field_that_it_needs_is_not_what_its_schema_says() {
    for kind in Kind::ALL {
        let schema = stored(kind);
        let validator = validator(&schema);
        let (name, text) = kind.stored().swap_remove(0);
        let message: Value = serde_json::from_str(&text).unwrap();
        let required = schema["required"].as_array().expect("every message needs something");
        for field in required {
            let mut doctored = message.clone();
            doctored.as_object_mut().unwrap().remove(field.as_str().unwrap());
            assert!(!validator.is_valid(&doctored), "{name} without {field}");
        }
    }
    let fact = definition(&stored(Kind::Frames), "Fact");
    assert!(fact.is_valid(&json!({"waiting": {"code": "rate"}})));
    assert!(!fact.is_valid(&json!({"waiting": {"code": "moon_phase"}})));
    assert!(!fact.is_valid(&json!({"waiting": {}})));
}

#[test]
fn every_field_of_every_schema_stands_in_a_stored_message() {
    for kind in Kind::ALL {
        let mut said = BTreeSet::new();
        for (_, text) in kind.stored() {
            keys(&serde_json::from_str(&text).unwrap(), &mut said);
        }
        let mut described = BTreeSet::new();
        properties(&stored(kind), &mut described);
        let missing: Vec<_> = described.difference(&said).collect();
        assert!(missing.is_empty(), "{}: no example has {missing:?}", kind.name());
    }
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            found.insert(key.clone());
            keys(value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| properties(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}
