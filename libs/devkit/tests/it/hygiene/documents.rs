//! What the documents name is there: paths, `make` targets and variables; and what an operator can set is in
//! OPERATIONS.md, with its default and bounds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{assert_fires, assert_none, root};

/// Where a path's name ends if it stands for a file of the tree.
const ENDINGS: [&str; 8] = ["rs", "toml", "conf", "md", "sql", "yaml", "json", "css"];
/// Folders that a first run makes.
const MADE: [&str; 2] = ["target/", ".nox/"];
/// Variables that tests and programs read, beside those of the services.
const READERS: [&str; 6] = ["libs", "services", "bench", "nats", "compose", "modules"];

#[test]
fn whatever_path_a_document_names_exists() {
    let documents = documents();
    assert!(documents.len() > 20, "{} documents", documents.len());
    assert_none(documents.iter().flat_map(missing_paths).collect());

    let page = |text: &str| (root().join("docs/changes/page.md"), text.to_owned());
    for (text, about) in [
        ("see `libs/contract/src/facts.rs`", "libs/contract/src/facts.rs"),
        ("see `libs/contract/src/{fact,facts}.rs`", "libs/contract/src/facts.rs"),
        ("a file `fact.rs` in a folder that nobody names", "fact.rs"),
        ("see [a fact](facts.md)", "facts.md"),
        ("see `services/gateways/`", "services/gateways/"),
    ] {
        assert_fires(missing_paths(&page(text)), &[about]);
    }
    let right = "`GET /jobs/{id}`, `libs/contract/src/{fact,frame}.rs`, [a fact](fact.md), `target/debug/noxctl`";
    assert_none(missing_paths(&page(right)));
}

#[test]
fn whatever_target_and_variable_a_document_names_is_known() {
    let (targets, variables) = (targets(), variables());
    assert!(targets.contains("demo") && variables.contains("NOX_LOG_BYTES"));
    for document in documents() {
        assert_none(unknown_words(&document, &targets, &variables));
    }
    // In two parts, for this file is one of those that name what there is.
    let misspelt = concat!("NOX_LOG", "_BITES");
    let page = (root().join("page.md"), format!("`make demos`, `make demo`, `{misspelt}`"));
    let unknown = unknown_words(&page, &targets, &variables);
    assert_fires(unknown.clone(), &["make demos"]);
    assert_fires(unknown, &[misspelt]);
}

#[test]
fn whatever_an_operator_can_set_is_described_with_its_default_and_bounds() {
    let operations = fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let settings: Vec<_> = ["gateway", "scheduler", "executor", "projector", "notifier"]
        .into_iter()
        .flat_map(settings)
        .collect();
    assert!(settings.len() > 40, "{} settings", settings.len());
    assert_none(undescribed(&operations, &settings));

    let lines = || operations.lines().map(str::to_owned);
    let without: Vec<_> = lines().filter(|line| !line.contains("`NOX_LEASE_MS` |")).collect();
    assert_fires(undescribed(&without.join("\n"), &settings), &["NOX_LEASE_MS"]);
    let other = operations.replace("| `10000` |", "| `9000` |");
    assert_fires(undescribed(&other, &settings), &["NOX_LEASE_MS", "10000"]);
    let unbounded = operations.replace("2592000", "many");
    assert_fires(undescribed(&unbounded, &settings), &["NOX_ARCHIVE_EVERY_S", "2592000"]);
}

/// README, docs/ and the client's README, each page with its place.
fn documents() -> Vec<(PathBuf, String)> {
    let mut places = vec![root().join("README.md")];
    for folder in ["docs", "docs/decisions", "docs/changes", "clients/python"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        places.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    places.into_iter().map(read).collect()
}

fn missing_paths((document, text): &(PathBuf, String)) -> Vec<String> {
    let prose = without_blocks(text);
    let named = prose.split('`').skip(1).step_by(2).filter(|word| is_path(word));
    let named = named.flat_map(alternatives).map(|path| (root().join(&path), path));
    let links = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let links = links
        .filter(|link| !link.contains("://") && !link.starts_with('#'))
        .map(|link| link.split('#').next().unwrap_or_default().to_owned())
        .map(|link| (document.parent().unwrap_or(Path::new("")).join(&link), link));
    named
        .chain(links)
        .filter(|(place, _)| !place.exists())
        .map(|(_, path)| format!("{}: there is no {path}", document.display()))
        .collect()
}

/// The text without blocks of console output and code.
fn without_blocks(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Whether a word in code stands for a file or folder of the tree: its first folder is one, or it ends as
/// the name of a file does.
fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/{},".contains(c);
    if !word.chars().all(plain) || MADE.iter().any(|made| word.starts_with(made)) {
        return false;
    }
    let first = word.split_once('/').map(|(first, _)| first);
    let in_tree = first.is_some_and(|first| !first.is_empty() && root().join(first).is_dir());
    let ending = Path::new(word).extension().and_then(|end| end.to_str());
    in_tree || ending.is_some_and(|end| ENDINGS.contains(&end) && !word.starts_with('/'))
}

/// All that a word with alternatives in braces stands for.
fn alternatives(word: &str) -> Vec<String> {
    let parts = word.split_once('{').and_then(|(before, rest)| {
        let (inside, behind) = rest.split_once('}')?;
        Some((before, inside, behind))
    });
    match parts {
        Some((before, inside, behind)) => {
            inside.split(',').map(|one| format!("{before}{one}{behind}")).collect()
        }
        None => vec![word.to_owned()],
    }
}

fn unknown_words(
    (document, text): &(PathBuf, String),
    targets: &BTreeSet<String>,
    variables: &BTreeSet<String>,
) -> Vec<String> {
    let commands = ["`make ", "$ make "].into_iter().flat_map(|begin| text.split(begin).skip(1));
    let commands = commands.filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next());
    let unknown = commands.filter(|target| !targets.contains(*target));
    let unknown = unknown.map(|target| format!("{}: make {target}", document.display()));
    let names = words(text).into_iter().filter(|name| !variables.contains(name));
    unknown.chain(names.map(|name| format!("{}: {name}", document.display()))).collect()
}

fn targets() -> BTreeSet<String> {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', '#', ' ', '.']));
    let names = rules.filter_map(|line| Some(line.split_once(':')?.0));
    names.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Every name of ours that programs, configurations or tests have.
fn variables() -> BTreeSet<String> {
    let mut found = words(&fs::read_to_string(root().join("Makefile")).unwrap());
    let mut folders: Vec<_> = READERS.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_none_or(|end| end != "md") {
                found.extend(fs::read_to_string(path).map(|text| words(&text)).unwrap_or_default());
            }
        }
    }
    found
}

/// The names in a text that begin as ours do, of streams and variables alike.
fn words(text: &str) -> BTreeSet<String> {
    let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !name(c))
        .filter(|word| word.starts_with("NOX_") && !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// A variable that a service reads, its default and the numbers that bound it, as far as they are literals.
struct Setting {
    name: String,
    default: Option<String>,
    bounds: Vec<String>,
}

/// What a service's command line takes, but what is hidden, for tests alone.
fn settings(service: &str) -> Vec<Setting> {
    let path = root().join("services").join(service).join("src/config.rs");
    let source = fs::read_to_string(path).unwrap();
    let attributes =
        source.split("#[arg(").skip(1).filter_map(|rest| rest.split_once("\n    pub "));
    attributes
        .filter(|(attribute, _)| !attribute.contains("hide = true"))
        .filter_map(|(attribute, _)| {
            let behind = |key: &str| attribute.split_once(key).map(|(_, rest)| rest);
            let quoted = |rest: &str| Some(rest.split_once('"')?.0.to_owned());
            let name = behind("env = \"").and_then(quoted)?;
            let number = |text: &str| {
                let digits: String =
                    text.chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
                Some(digits.replace('_', "")).filter(|digits| !digits.is_empty())
            };
            let default = behind("default_value = \"")
                .and_then(quoted)
                .or_else(|| behind("default_value_t = ").and_then(number));
            let range = behind(".range(").and_then(|rest| Some(rest.split_once(')')?.0));
            let bounds = range
                .into_iter()
                .flat_map(|range| range.split(".."))
                .filter_map(|end| number(end.trim_start_matches('=')));
            Some(Setting { name, default, bounds: bounds.collect() })
        })
        .collect()
}

fn undescribed(operations: &str, settings: &[Setting]) -> Vec<String> {
    let mut violations = Vec::new();
    for Setting { name, default, bounds } in settings {
        let row = |line: &&str| line.starts_with('|') && line.contains(&format!("`{name}`"));
        // Some stand in several tables, of noxctl's as well.
        let rows: Vec<_> = operations.lines().filter(row).collect();
        let missing = |said: &String| !rows.iter().any(|row| row.contains(said.as_str()));
        if rows.is_empty() {
            violations.push(format!("{name} is in no table"));
        }
        // A program that supervises itself has a path that says nothing to people.
        let said = default.iter().filter(|default| *default != "/proc/self/exe").chain(bounds);
        violations.extend(said.filter(|said| missing(said)).map(|said| format!("{name}: {said}")));
    }
    violations
}

#[test]
fn every_sentence_of_the_users_is_tested_by_a_test_that_there_is() {
    let text = fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let tests = tests();
    assert!(tests.len() > 500, "{} tests", tests.len());
    let named = untested(&text, &tests);
    assert_none(named);
    assert_fires(
        untested("| a sentence | `no_test_is_called_so` |", &tests),
        &["no_test_is_called_so"],
    );
    assert_fires(untested("| a sentence | |", &tests), &["a sentence"]);
}

/// The lines of a table whose last column names no test, or one that there is not.
fn untested(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let rows =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| sentence"));
    let of_row = |row: &str| {
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let names: Vec<_> = column.split('`').skip(1).step_by(2).collect();
        let missing = names.iter().filter(|name| !tests.contains(**name));
        let mut missing: Vec<_> = missing.map(|name| format!("no test is called {name}")).collect();
        if names.is_empty() {
            missing.push(format!("no test: {row}"));
        }
        missing
    };
    rows.flat_map(of_row).collect()
}

/// The names of all functions in Rust files, of which tests are some.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("libs"), root().join("services")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let functions = text.lines().filter_map(|line| line.split_once("fn "));
                let name = |rest: &str| rest.split(['(', '<']).next().map(str::to_owned);
                names.extend(functions.filter_map(|(_, rest)| name(rest)));
            }
        }
    }
    names
}
