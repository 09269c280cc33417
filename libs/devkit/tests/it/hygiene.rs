//! What the workspace may depend on: layering, licences, sources, versions that are known to be bad.
//!
//! Each rule is a function from `cargo metadata` to its violations, and each is also shown metadata
//! with one violation in it, so that a rule that never fires is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

mod circles;
mod documents;
mod licence;
mod promises;

/// Who may depend on whom: what a job passes through stands from the bottom up, and an arrow that is
/// not listed does not exist. Development dependencies are free, except on `nox-testkit`.
const LAYERS: &[(&str, &[&str])] = &[
    ("nox-contract", &[]),
    ("nox-core", &["nox-contract"]),
    ("nox-molecule", &[]),
    ("nox-calendar", &["nox-contract"]),
    ("nox-schema", &["nox-contract", "nox-molecule"]),
    ("nox-manifest", &["nox-contract", "nox-molecule", "nox-schema"]),
    ("nox-protocol", &["nox-contract", "nox-core", "nox-calendar"]),
    ("nox-store", &["nox-contract"]),
    ("nox-streams", &["nox-contract", "nox-core", "nox-protocol"]),
    ("nox-archive", &["nox-contract", "nox-core", "nox-protocol", "nox-store", "nox-streams"]),
    ("nox-readmodel", &["nox-contract", "nox-core", "nox-protocol"]),
    ("nox-service", &["nox-contract"]),
    ("nox-egress", &[]),
    ("nox-devkit", &[]),
    (
        "nox-gateway",
        &[
            "nox-contract",
            "nox-calendar",
            "nox-core",
            "nox-protocol",
            "nox-store",
            "nox-streams",
            "nox-archive",
            "nox-readmodel",
            "nox-schema",
            "nox-manifest",
            "nox-service",
            "nox-egress",
        ],
    ),
    (
        "nox-scheduler",
        &["nox-contract", "nox-core", "nox-protocol", "nox-streams", "nox-archive", "nox-service"],
    ),
    (
        "nox-executor",
        &[
            "nox-contract",
            "nox-core",
            "nox-protocol",
            "nox-schema",
            "nox-manifest",
            "nox-store",
            "nox-streams",
            "nox-service",
        ],
    ),
    (
        "nox-projector",
        &[
            "nox-contract",
            "nox-core",
            "nox-protocol",
            "nox-store",
            "nox-streams",
            "nox-archive",
            "nox-readmodel",
            "nox-service",
        ],
    ),
    (
        "nox-notifier",
        &[
            "nox-contract",
            "nox-core",
            "nox-protocol",
            "nox-streams",
            "nox-archive",
            "nox-readmodel",
            "nox-service",
            "nox-egress",
        ],
    ),
    ("noxctl", ALL_BUT_TESTKIT),
    ("nox-testkit", ALL_BUT_TESTKIT),
];

const ALL_BUT_TESTKIT: &[&str] = &[
    "nox-contract",
    "nox-calendar",
    "nox-core",
    "nox-molecule",
    "nox-schema",
    "nox-manifest",
    "nox-protocol",
    "nox-store",
    "nox-streams",
    "nox-archive",
    "nox-readmodel",
    "nox-service",
    "nox-egress",
    "nox-devkit",
    "nox-gateway",
    "nox-scheduler",
    "nox-executor",
    "nox-projector",
    "nox-notifier",
];

/// Crates that one place alone may know.
const KNOWN_TO_ONE: &[(&str, &str)] = &[("async-nats", "nox-streams"), ("sqlx", "nox-readmodel")];

/// What a crate must not even reach through others.
const OUT_OF_REACH: &[(&str, &[&str])] = &[
    ("nox-contract", IMPURE),
    ("nox-core", IMPURE),
    ("nox-molecule", IMPURE),
    ("nox-calendar", IMPURE),
    ("nox-schema", IMPURE),
    ("nox-protocol", IMPURE),
    ("nox-scheduler", &["nox-readmodel", "sqlx"]),
    ("nox-executor", &["nox-readmodel", "sqlx"]),
];

/// The same input gives the same output in these: no I/O, no runtime, no chance.
const IMPURE: &[&str] = &["async-nats", "mio", "rand", "reqwest", "socket2", "sqlx", "tokio"];

/// Known-bad versions that advisory databases miss or reach us too late with.
const FLOORS: &[(&str, [u64; 3], &str)] =
    &[("jsonwebtoken", [10, 3, 0], "CVE-2026-25537: claims of the wrong type pass")];

const BANNED: &[(&str, &str)] = &[(
    "rsa",
    "RUSTSEC-2023-0071: its timing gives away keys; jsonwebtoken's `rust_crypto` wants it",
)];

/// Where the same rules stand once for each crate, because clippy reads one file a crate.
const PURE_CRATES: [&str; 6] = [
    "libs/calendar",
    "libs/contract",
    "libs/core",
    "libs/molecule",
    "libs/protocol",
    "libs/schema",
];

#[test]
fn arrows_point_down() {
    let metadata = metadata();
    assert_none(layering(&metadata));

    for (from, to, kind) in [
        ("nox-contract", "nox-core", None),
        ("nox-streams", "nox-readmodel", None),
        ("nox-streams", "nox-archive", None),
        ("nox-gateway", "nox-scheduler", None),
        ("nox-service", "nox-streams", Some("build")),
        ("nox-scheduler", "nox-devkit", None),
        ("noxctl", "nox-testkit", None),
        ("nox-streams", "nox-testkit", Some("dev")),
    ] {
        let doctored = with_dependency(&metadata, from, to, kind);
        assert_fires(layering(&doctored), &[from, to]);
    }
    assert_none(layering(&with_dependency(&metadata, "nox-streams", "nox-devkit", Some("dev"))));

    let mut newcomer = metadata;
    package_mut(&mut newcomer, "nox-core")["name"] = json!("nox-newcomer");
    assert_fires(layering(&newcomer), &["nox-newcomer", "LAYERS"]);
}

#[test]
fn one_place_knows_nats_and_one_knows_sql() {
    let metadata = metadata();
    assert_none(known_to_one(&metadata));

    let doctored = with_dependency(&metadata, "nox-gateway", "sqlx", None);
    assert_fires(known_to_one(&doctored), &["nox-gateway", "sqlx"]);
    let doctored = with_dependency(&metadata, "nox-executor", "async-nats", None);
    assert_fires(known_to_one(&doctored), &["nox-executor", "async-nats"]);
    let in_tests = with_dependency(&metadata, "nox-gateway", "sqlx", Some("dev"));
    assert_none(known_to_one(&in_tests));
}

#[test]
fn the_core_reaches_no_io_and_the_writers_no_sql() {
    let metadata = metadata();
    assert_none(out_of_reach(&metadata));

    let direct = with_edge(&metadata, "nox-core", "tokio", None);
    assert_fires(out_of_reach(&direct), &["nox-core", "tokio"]);
    let through_others = with_edge(&metadata, "serde_json", "tokio", None);
    assert_fires(out_of_reach(&through_others), &["nox-contract", "serde_json", "tokio"]);
    let through_others = with_edge(&metadata, "nox-streams", "nox-readmodel", None);
    assert_fires(out_of_reach(&through_others), &["nox-scheduler", "nox-readmodel"]);
    let in_tests = with_edge(&metadata, "nox-core", "tokio", Some("dev"));
    assert_none(out_of_reach(&in_tests));
}

#[test]
fn every_licence_is_one_we_accept() {
    let metadata = metadata();
    assert_none(licences(&metadata));

    for licence in
        [json!("GPL-3.0-only"), json!("MIT AND AGPL-3.0-only"), json!(null), json!("MIT OR")]
    {
        let mut doctored = metadata.clone();
        package_mut(&mut doctored, "serde")["license"] = licence;
        assert_fires(licences(&doctored), &["serde"]);
    }
}

#[test]
fn everything_comes_from_the_registry() {
    let metadata = metadata();
    assert_none(sources(&metadata));

    let mut doctored = metadata.clone();
    package_mut(&mut doctored, "serde")["source"] = json!("git+ssh://somewhere/serde#0123");
    assert_fires(sources(&doctored), &["serde", "git+"]);
    let mut doctored = metadata;
    package_mut(&mut doctored, "serde")["source"] = json!(null);
    assert_fires(sources(&doctored), &["serde"]);
}

#[test]
fn no_version_is_known_to_be_bad() {
    let metadata = metadata();
    assert_none(bad_versions(&metadata));

    for (version, bad) in
        [("10.2.9", true), ("9.10.0", true), ("10.3.0", false), ("10.12.0", false)]
    {
        let mut doctored = metadata.clone();
        package_mut(&mut doctored, "jsonwebtoken")["version"] = json!(version);
        assert_eq!(!bad_versions(&doctored).is_empty(), bad, "{version}");
    }
    let mut doctored = metadata;
    package_mut(&mut doctored, "serde")["name"] = json!("rsa");
    assert_fires(bad_versions(&doctored), &["rsa"]);
}

#[test]
fn the_pure_crates_share_one_list_of_what_they_may_not_call() {
    let read = |folder: &str| fs::read_to_string(root().join(folder).join("clippy.toml")).unwrap();
    let [first, others @ ..] = PURE_CRATES.map(read);
    assert!(
        others.iter().all(|other| *other == first),
        "{PURE_CRATES:?} have different clippy.toml"
    );
}

fn layering(metadata: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    let members = members(metadata);
    let names: BTreeSet<&str> = members.iter().map(|package| name(package)).collect();
    for package in members {
        let from = name(package);
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == from) else {
            violations.push(format!("{from} has no place in LAYERS"));
            continue;
        };
        for dependency in array(&package["dependencies"]) {
            let to = name(dependency);
            let free = dependency["kind"] == "dev" && to != "nox-testkit";
            if names.contains(to) && !free && !allowed.contains(&to) {
                violations.push(format!("{from} must not depend on {to}"));
            }
        }
    }
    violations
}

fn known_to_one(metadata: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    for package in members(metadata) {
        for dependency in array(&package["dependencies"]) {
            let (from, to) = (name(package), name(dependency));
            let rule = KNOWN_TO_ONE.iter().find(|(known, _)| *known == to);
            if dependency["kind"] != "dev"
                && let Some((_, by)) = rule
                && *by != from
            {
                violations.push(format!("{from} must not depend on {to}, which is {by}'s"));
            }
        }
    }
    violations
}

fn out_of_reach(metadata: &Value) -> Vec<String> {
    let names: BTreeMap<&str, &str> = array(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), name(package)))
        .collect();
    let arrows: BTreeMap<&str, Vec<&str>> = array(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let used = array(&node["deps"]).iter().filter(|dependency| {
                array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev")
            });
            (text(&node["id"]), used.map(|dependency| text(&dependency["pkg"])).collect())
        })
        .collect();

    let mut violations = Vec::new();
    for (from, banned) in OUT_OF_REACH {
        let start = names.iter().find(|(_, name)| *name == from).map(|(id, _)| *id);
        // By which way each was reached first.
        let mut ways: BTreeMap<&str, String> =
            start.into_iter().map(|id| (id, (*from).to_owned())).collect();
        let mut next: Vec<&str> = start.into_iter().collect();
        while let Some(id) = next.pop() {
            for to in arrows.get(id).into_iter().flatten().copied() {
                if !ways.contains_key(to) {
                    ways.insert(to, format!("{} > {}", ways[id], names[to]));
                    next.push(to);
                }
            }
        }
        let reached = ways.into_iter().filter(|(id, _)| banned.contains(&names[id]));
        violations.extend(reached.map(|(_, way)| way));
    }
    violations
}

fn licences(metadata: &Value) -> Vec<String> {
    let judge = |package: &Value| {
        let expression = package["license"].as_str().unwrap_or_default();
        licence::accepted(expression).err().map(|why| {
            format!("{} {} ({expression:?}): {why}", name(package), text(&package["version"]))
        })
    };
    array(&metadata["packages"]).iter().filter_map(judge).collect()
}

fn sources(metadata: &Value) -> Vec<String> {
    let ours: BTreeSet<&str> =
        members(metadata).iter().map(|package| text(&package["id"])).collect();
    array(&metadata["packages"])
        .iter()
        .filter(|package| !ours.contains(text(&package["id"])))
        .filter(|package| {
            !package["source"].as_str().is_some_and(|from| from.starts_with("registry+"))
        })
        .map(|package| format!("{} comes from {}", name(package), package["source"]))
        .collect()
}

fn bad_versions(metadata: &Value) -> Vec<String> {
    let judge = |package: &Value| {
        let (name, version) = (name(package), text(&package["version"]));
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            return Some(format!("{name} must not be in the tree: {why}"));
        }
        let (_, floor, why) = FLOORS.iter().find(|(floored, ..)| *floored == name)?;
        let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
        let parts: [u64; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
        (parts < *floor).then(|| format!("{name} {version} is below {floor:?}: {why}"))
    };
    array(&metadata["packages"]).iter().filter_map(judge).collect()
}

fn metadata() -> Value {
    let run = |offline: &[&str]| {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(offline)
            .current_dir(root())
            .output()
            .unwrap()
    };
    let mut output = run(&["--offline"]);
    if !output.status.success() {
        // It names the packages of every platform, and not all need to have been fetched before.
        output = run(&[]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn members(metadata: &Value) -> Vec<&Value> {
    let ids: BTreeSet<&str> = array(&metadata["workspace_members"]).iter().map(text).collect();
    array(&metadata["packages"])
        .iter()
        .filter(|package| ids.contains(text(&package["id"])))
        .collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("a list in cargo's metadata")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text in cargo's metadata")
}

fn name(value: &Value) -> &str {
    text(&value["name"])
}

/// The first of this name; some are there in two versions.
fn package_mut<'a>(metadata: &'a mut Value, wanted: &str) -> &'a mut Value {
    let packages = metadata["packages"].as_array_mut().unwrap();
    packages.iter_mut().find(|package| name(package) == wanted).expect("a package of this name")
}

/// `from` names `to` in its manifest.
fn with_dependency(metadata: &Value, from: &str, to: &str, kind: Option<&str>) -> Value {
    let mut doctored = metadata.clone();
    let dependencies = &mut package_mut(&mut doctored, from)["dependencies"];
    dependencies.as_array_mut().unwrap().push(json!({"name": to, "kind": kind}));
    doctored
}

/// `from` uses `to` in the resolved graph.
fn with_edge(metadata: &Value, from: &str, to: &str, kind: Option<&str>) -> Value {
    let mut doctored = metadata.clone();
    let from = package_mut(&mut doctored, from)["id"].clone();
    let to = package_mut(&mut doctored, to)["id"].clone();
    let nodes = doctored["resolve"]["nodes"].as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["id"] == from).unwrap();
    let edge = json!({"name": to, "pkg": to, "dep_kinds": [{"kind": kind, "target": null}]});
    node["deps"].as_array_mut().unwrap().push(edge);
    doctored
}

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

fn assert_fires(violations: Vec<String>, about: &[&str]) {
    let told = violations.iter().any(|line| about.iter().all(|word| line.contains(word)));
    assert!(told, "nothing about {about:?} in {violations:?}");
}
