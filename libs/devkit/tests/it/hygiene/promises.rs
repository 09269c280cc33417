//! Each promise of README is followed by the name of a test that breaks when it is no longer true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{assert_fires, assert_none, root};

/// What promises begin with, and what stands behind the last of them.
const PROMISE: &str = "- **";

/// Folders without tests of ours.
const SKIPPED: [&str; 3] = ["target", ".git", ".nox"];

#[test]
fn every_promise_names_a_test_and_every_test_that_is_named_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let tests = tests(&root());
    assert!(tests.len() > 500, "{} tests", tests.len());
    assert_none(broken_promises(&readme, &tests));
    assert!(readme.matches(PROMISE).count() >= 5, "promises are found where they stand");

    let renamed =
        readme.replace("`whatever_happens_every_sentence_holds`", "`whatever_happens_to_it`");
    assert_fires(broken_promises(&renamed, &tests), &["whatever_happens_to_it", "no test"]);
    let bare = format!("{readme}\n\n{PROMISE}It is fast.** Very.\n");
    assert_fires(broken_promises(&bare, &tests), &["It is fast", "names no test"]);
    // A function that nothing runs is no test.
    let helper =
        readme.replace("`whatever_happens_every_sentence_holds`", "`every_licence_is_one`");
    assert_fires(broken_promises(&helper, &tests), &["every_licence_is_one"]);
}

fn broken_promises(readme: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let promises = readme.split("\n\n").flat_map(|paragraph| {
        // A list is one paragraph; what stands before its first item is no item.
        paragraph.split(PROMISE).skip(usize::from(!paragraph.starts_with(PROMISE)))
    });
    let bare = promises.filter(|promise| !promise.is_empty() && names(promise).is_empty());
    let bare = bare.map(|promise| format!("names no test: {promise}"));
    let unknown = names(readme).into_iter().filter(|name| !tests.contains(*name));
    bare.chain(unknown.map(|name| format!("there is no test {name}"))).collect()
}

/// The names of tests in a text: sentences in code.
fn names(text: &str) -> Vec<&str> {
    let words = text.split('`').skip(1).step_by(2);
    let sentence = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    words.filter(sentence).collect()
}

/// The names of all functions that are marked as tests below `folder`.
fn tests(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            // Not behind links: they lead to folders of others.
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "rs") {
                found.extend(tests_of(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// Tests of a source file: between an attribute that says so and the function's name, only other
/// attributes may stand.
fn tests_of(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        match function.and_then(|rest| rest.split_once('(')) {
            Some((name, _)) if marked => {
                found.insert(name.to_owned());
                marked = false;
            }
            Some(_) => marked = false,
            None if line.starts_with("#[test]") || line.starts_with("#[tokio::test") => {
                marked = true
            }
            None => {}
        }
    }
    found
}
