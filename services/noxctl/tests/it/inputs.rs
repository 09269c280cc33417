//! Inputs are sent as they were typed, or not at all.

use std::{fs, process::Command};

use serde_json::json;

use crate::{
    gateway::{Gateway, JOB},
    program::run,
};

/// What a double cannot hold, each to its last digit.
const NUMBERS: [&str; 5] = [
    "12345678901234567890123",
    "0.1000000000000000055511151231257827",
    "9007199254740993.5",
    "1.50",
    "1e400",
];

fn taking() -> Gateway {
    Gateway::start(|_, _, _| (202, json!({"job_id": JOB, "n": 1})))
}

fn submit(gateway: &Gateway, words: &[String]) -> Command {
    let mut command = gateway.command(&["job", "submit", "noop"]);
    command.args(words);
    command
}

/// The same inputs as parameters and as a file.
fn both(folder: &tempfile::TempDir, value: &str) -> [Vec<String>; 2] {
    let path = folder.path().join("inputs.json");
    fs::write(&path, format!("{{\"a\": {value}}}\n")).unwrap();
    [vec!["-p".to_owned(), format!("a={value}")], vec!["-i".to_owned(), path.display().to_string()]]
}

#[test]
fn numbers_are_sent_with_all_their_digits() {
    let temp = tempfile::tempdir().unwrap();
    for number in NUMBERS {
        for words in both(&temp, number) {
            let gateway = taking();
            run(submit(&gateway, &words)).with(0);
            let sent = gateway.bodies().concat().replace(' ', "");
            assert!(sent.contains(&format!("\"a\":{number}}}")), "{words:?}: {sent}");
        }
    }
}

#[test]
fn what_the_gateway_would_refuse_for_its_meaning_is_refused_with_its_place_and_not_sent() {
    let temp = tempfile::tempdir().unwrap();
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    for (value, told) in [
        (r#"{"b": [0, {"c": 1, "c": 2}]}"#, "/inputs/a/b/1/c stands there twice"),
        (r#"{"c": 1, "\u0063": 2}"#, "/inputs/a/c stands there twice"),
        ("1e99999", "number out of range"),
        (r#""\ud800""#, "lone surrogate"),
        (r#"["\u0000"]"#, "U+0000"),
        (&deep, "nested deeper"),
    ] {
        for words in both(&temp, value) {
            let gateway = taking();
            let ended = run(submit(&gateway, &words));
            assert_eq!(ended.status, 1, "{words:?}: {ended:?}");
            assert!(ended.stderr.contains(told), "{words:?}: {ended:?}");
            assert_eq!(gateway.bodies(), [""; 0], "{words:?}");
        }
    }
    // In the members of the file itself, too.
    let path = temp.path().join("twice.json");
    fs::write(&path, r#"{"a": 1, "a": 2}"#).unwrap();
    let gateway = taking();
    let (named, read) = (path.display().to_string(), "standard input".to_owned());
    for (word, name) in [(named.clone(), named), ("-".to_owned(), read)] {
        let mut command = submit(&gateway, &["-i".to_owned(), word]);
        command.stdin(fs::File::open(&path).unwrap());
        let ended = run(command);
        let told = format!("{name}: /inputs/a stands there twice");
        assert!(ended.stderr.contains(&told), "no {told} in {ended:?}");
    }
    assert_eq!(gateway.bodies(), [""; 0]);
    // A name may stand in two objects.
    let gateway = taking();
    let apart = r#"a=[{"c": 1}, {"c": 2}]"#.to_owned();
    run(submit(&gateway, &["-p".to_owned(), apart])).with(0);
    assert_eq!(gateway.bodies().len(), 1);
}
