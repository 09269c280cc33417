use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::Wrong;

/// A manifest that is right.
fn right() -> Value {
    json!({
        "name": "count",
        "version": "1",
        "sandbox": "isolated",
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "resources": {"cpu": 1, "mem_mb": 64, "wall_time_s": 10},
        "run": {"program": "wc", "args": ["-c", "input.txt"]},
        "write": [
            {"path": "input.txt", "template": "{inputs.text}"},
            {"path": "script.sh", "text": "echo {not a template}"},
        ],
        "result": [
            {"name": "bytes", "type": "integer", "stream": "stdout", "pattern": "(?<value>\\d+)"},
        ],
    })
}

fn read(manifest: &Value) -> Result<Manifest, AllWrong> {
    Manifest::registered(&RawJson::of(manifest).unwrap())
}

#[test]
fn a_manifest_means_the_same_in_json_as_in_a_folder() {
    let folder = std::env::temp_dir().join(format!("nox-manifest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let text = toml::to_string(&right()).unwrap();
    std::fs::write(folder.join(crate::FILE), text).unwrap();
    let of_folder = Manifest::read(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(read(&right()).unwrap().declared, of_folder.unwrap().declared);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (place, value, pointer) in [
        ("/name", json!("Count"), "/name"),
        ("/name", json!("command"), "/name"),
        ("/name", json!("joblib"), "/name"),
        ("/version", json!(1), "/version"),
        ("/version", json!(""), "/version"),
        ("/sandbox", json!("strong"), "/sandbox"),
        ("/read", json!(["/home"]), "/read"),
        ("/resources/cpu", json!(0), "/resources"),
        ("/resources/cpu", json!("1"), "/resources/cpu"),
        ("/resources/cpus", json!(1), "/resources/cpus"),
        ("/run/program", json!("/home/me/bin/wc"), "/run/program"),
        ("/run/program", json!("bin/wc"), "/run/program"),
        ("/run/program_env", json!("SECRET"), "/run/program_env"),
        ("/run/secret_env", json!(["SECRET"]), "/run/secret_env"),
        ("/run/folder_env", json!("SECRET"), "/run/folder_env"),
        ("/run/args", json!(["{inputs."]), "/run/args/0"),
        ("/run", json!({"program": "sh", "args": ["-c", "{inputs.text}"]}), "/run/args"),
        ("/input_schema", json!("inputs.json"), "/input_schema"),
        ("/input_schema", json!({"type": "text"}), "/input_schema"),
        ("/output_schema", json!("outputs.json"), "/output_schema"),
        ("/output_schema", json!({"type": 1}), "/output_schema"),
        ("/write/1", json!({"path": "a", "file": "a"}), "/write/1/file"),
        ("/write/0/path", json!("../a"), "/write/0/path"),
        ("/result/0/pattern", json!("("), "/result/0"),
        ("/retry", json!({"attempts_max": 0}), "/retry"),
        ("/limits", json!({"disk_mb": 0}), "/limits"),
        ("/stop_grace_s", json!(601), "/stop_grace_s"),
        ("/no~such/thing", json!(1), "/no~0such~1thing"),
    ] {
        let mut wrong = right();
        match wrong.pointer_mut(place) {
            Some(member) => *member = value.clone(),
            None => {
                let (parent, name) = match place {
                    "/no~such/thing" => ("", "no~such/thing"),
                    _ => place.rsplit_once('/').unwrap(),
                };
                wrong.pointer_mut(parent).unwrap()[name] = value.clone();
            }
        }
        let AllWrong(all) = read(&wrong).expect_err(place);
        let Wrong { pointer: found, reason } = &all[0];
        // What a table says of itself has the place of the table.
        assert!(
            found == pointer || pointer.starts_with(&format!("{found}/")),
            "{place} {value}: {found}: {reason}"
        );
        assert!(
            !found.is_empty() && !reason.is_empty() && !reason.contains(" at line "),
            "{place}: {found}: {reason}"
        );
    }
}

#[test]
fn without_what_it_needs_it_is_refused() {
    for member in ["name", "version", "sandbox", "input_schema", "resources", "run"] {
        let mut wrong = right();
        wrong.as_object_mut().unwrap().remove(member);
        let told = read(&wrong).expect_err(member).to_string();
        assert!(told.contains(member), "{told}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut wrong = right();
    for (member, value) in [
        ("name", json!("joblib")),
        ("version", json!("")),
        ("read", json!(["home"])),
        ("resources", json!({"cpu": 0, "mem_mb": 1, "wall_time_s": 1})),
        ("run", json!({"program": "bin/wc", "program_env": "A", "secret_env": ["B"]})),
        ("retry", json!({"attempts_max": 0})),
        ("limits", json!({"disk_mb": 0})),
        ("stop_grace_s", json!(601)),
        ("input_schema", json!("inputs.json")),
        ("output_schema", json!({"type": 1})),
        ("write", json!([{"path": "a", "file": "a"}, {"path": "b", "file": "b"}])),
    ] {
        wrong[member] = value;
    }
    let AllWrong(all) = read(&wrong).unwrap_err();
    let pointers: BTreeSet<_> = all.iter().map(|wrong| wrong.pointer.as_str()).collect();
    let expected = [
        "/name",
        "/version",
        "/read",
        "/resources",
        "/run/program",
        "/run/program_env",
        "/run/secret_env",
        "/retry",
        "/limits",
        "/stop_grace_s",
        "/input_schema",
        "/output_schema",
        "/write/0/file",
        "/write/1/file",
    ];
    assert_eq!(pointers, BTreeSet::from(expected));
}
