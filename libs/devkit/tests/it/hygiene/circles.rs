//! No circles: what the parts of the gateway import of each other goes one way, from the surfaces down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{assert_fires, assert_none, root};

/// Each part, and those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_parts_of_the_gateway_import_each_other_one_way() {
    let imports = imports(&root().join("services/gateway/src"));
    assert!(imports["surfaces"].contains("use_cases") && imports["use_cases"].contains("commands"));
    assert_none(circles(&imports));
    assert_none(http_in_use_cases(&root().join("services/gateway/src/use_cases")));

    let mut circular = imports;
    circular.get_mut("read").unwrap().insert("surfaces".to_owned());
    assert_fires(circles(&circular), &["read", "surfaces"]);
    assert_eq!(
        imported("use crate::{app::App, read::{a, b::C}};\nuse crate::problem::X;"),
        ["app", "read", "problem"]
    );
}

fn imports(folder: &Path) -> Imports {
    let mut all = Imports::new();
    for file in files(folder) {
        let part = file.strip_prefix(folder).unwrap().iter().next().unwrap().to_str().unwrap();
        let part = part.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).unwrap();
        // What holds the parts together may know them all.
        if ["lib", "main"].contains(&part.as_str()) {
            continue;
        }
        let others = imported(&text).into_iter().filter(|other| *other != part);
        all.entry(part.clone()).or_default().extend(others);
    }
    all
}

/// The first names of the paths that a file imports from its crate.
fn imported(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for import in text.split("use crate::").skip(1) {
        let import = import.split(';').next().unwrap_or_default();
        let Some(group) = import.strip_prefix('{') else {
            names.extend(import.split("::").next().map(str::to_owned));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if (c == ',' && depth == 0) || depth < 0 {
                names.extend(item.trim().split("::").next().map(str::to_owned));
                item.clear();
            } else {
                item.push(c);
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The parts that stand in a circle, found by taking away those that import none of the rest.
fn circles(imports: &Imports) -> Vec<String> {
    let mut left = imports.clone();
    loop {
        let names: BTreeSet<_> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, others| others.iter().any(|other| names.contains(other)));
        if left.is_empty() {
            return Vec::new();
        }
        if left.len() == before {
            return vec![format!("a circle among {}", Vec::from_iter(names).join(", "))];
        }
    }
}

/// A use case that knows how a request or an answer is written.
fn http_in_use_cases(folder: &Path) -> Vec<String> {
    let files = files(folder);
    assert!(files.len() > 10);
    let knows = |file: &&std::path::PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        ["axum", "hyper", "StatusCode"].iter().any(|word| text.contains(word))
    };
    files.iter().filter(knows).map(|file| format!("{} knows HTTP", file.display())).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
