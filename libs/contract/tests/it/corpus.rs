//! `corpus/v1/` holds a copy of every message. It only ever grows: what was written once is read for
//! ever, and nothing of it is dropped.

use serde_json::Value;

use crate::{
    examples,
    kind::{Kind, bless},
};

/// Keys whose values are somebody else's JSON, which passes through as it is.
pub const FOREIGN: [&str; 7] =
    ["inputs", "outputs", "schema", "input_schema", "output_schema", "labels", "source"];

/// What of `before` is not in `after` any more, as paths. Fields may have come in addition.
fn dropped(path: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}/{key}");
                match after.get(key) {
                    Some(after) => dropped(&path, value, after),
                    None => vec![path],
                }
            })
            .collect(),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .flat_map(|(i, (before, after))| dropped(&format!("{path}/{i}"), before, after))
            .collect(),
        (before, after) if before == after => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// Whether a stored message is read with all that it says.
fn check(kind: Kind, text: &str) -> Result<(), String> {
    let before: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let after: Value = serde_json::from_str(&kind.rewrite(text)?).map_err(|e| e.to_string())?;
    match dropped("", &before, &after).as_slice() {
        [] => Ok(()),
        dropped => Err(format!("dropped or changed: {dropped:?}")),
    }
}

#[test]
fn every_example_is_stored() {
    for example in examples::all() {
        let file = example.kind.corpus_folder().join(format!("{}.json", example.name));
        if file.exists() {
            continue;
        }
        assert!(bless(), "{} is missing; NOX_BLESS=1 writes it", file.display());
        std::fs::create_dir_all(example.kind.corpus_folder()).unwrap();
        std::fs::write(file, example.text + "\n").unwrap();
    }
}

#[test]
fn what_was_written_once_is_still_read_and_nothing_of_it_is_dropped() {
    for kind in Kind::ALL {
        for (name, text) in kind.stored() {
            check(kind, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

#[test]
fn a_renamed_field_is_noticed_wherever_it_stands() {
    let mut renamed = 0;
    for kind in Kind::ALL {
        for (name, text) in kind.stored() {
            let stored: Value = serde_json::from_str(&text).unwrap();
            for path in fields("", &stored) {
                let mut doctored = stored.clone();
                rename(&mut doctored, &path);
                let noticed = check(kind, &doctored.to_string());
                assert!(noticed.is_err(), "{name}: {path} was renamed, and nobody noticed");
                renamed += 1;
            }
        }
    }
    assert!(renamed > 500, "only {renamed} fields were tried");
}

#[test]
fn a_changed_value_is_noticed() {
    let before: Value = serde_json::json!({"a": [1, {"b": "x"}], "c": null});
    let after: Value = serde_json::json!({"a": [1, {"b": "y", "new": 1}], "c": null});
    assert_eq!(dropped("", &before, &after), ["/a/1/b"]);
    assert_eq!(dropped("", &before, &serde_json::json!({"a": [1], "c": 0})), ["/a", "/c"]);
    assert!(dropped("", &before, &before).is_empty());
}

/// The paths of all fields that have a name of ours.
fn fields(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| {
                let here = format!("{path}/{key}");
                // The names of roles are the configuration's.
                let mut found =
                    if path.ends_with("/roles") { Vec::new() } else { vec![here.clone()] };
                if !FOREIGN.contains(&key.as_str()) {
                    found.extend(fields(&here, value));
                }
                found
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| fields(&format!("{path}/{i}"), item))
            .collect(),
        _ => Vec::new(),
    }
}

fn rename(value: &mut Value, path: &str) {
    let (parent, key) = path.rsplit_once('/').expect("a path begins with a slash");
    let object = value.pointer_mut(parent).and_then(Value::as_object_mut).expect("a path exists");
    let moved = object.remove(key).expect("a field exists");
    object.insert(format!("{key}_renamed"), moved);
}
