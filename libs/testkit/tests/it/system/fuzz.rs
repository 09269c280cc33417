//! Requests that the description of the API allows, and such as it does not, by Schemathesis
//! (<https://schemathesis.readthedocs.io>): `make fuzz`.

use std::path::Path;

use nox_testkit::system::cluster::{Cluster, Options};
use serde_json::json;
use tokio::process::Command;

/// Requests in all, for both askers together, unless `NOX_TEST_API_CASES` says so.
const CASES: usize = 2_000;

/// Longest time for all requests of one asker.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(1_500);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long, and needs libs/devkit/setup.sh checkers: make fuzz"]
async fn whatever_is_asked_is_answered_as_it_is_described() {
    let cases = std::env::var("NOX_TEST_API_CASES").ok().and_then(|text| text.parse().ok());
    let cases: usize = cases.unwrap_or(CASES);
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let admin = cluster.client_with(json!({"sub": "root", "role": "admin"}));
    let user = cluster.client("ada");
    let mut made = 0;
    for client in [&user, &admin] {
        made += ask(&client.url(0, ""), client.token(), cases / 2).await;
    }
    println!("{made} requests, all answered as they are described");
    assert!(made >= cases, "{made} requests");
    assert_eq!(cluster.internal_errors(), 0);
}

/// Makes at least `cases` requests, of which none may be answered otherwise than described; says how many.
async fn ask(url: &str, token: &str, cases: usize) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages = std::env::var_os("NOX_TOOLS")
        .map_or_else(|| root.join(".nox/tools"), Into::into)
        .join("checkers");
    assert!(packages.join("schemathesis").is_dir(), "libs/devkit/setup.sh checkers brings it");
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../../docs/openapi.json")).unwrap();
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|operations| operations.as_object().unwrap().len())
        .sum();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(root.join("libs/testkit/tests/it/system/schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", url.trim_end_matches('/'))])
        .args(["--checks", "all", "--no-color", "--workers", "2"])
        .args(["--max-examples", &cases.div_ceil(operations).max(1).to_string()])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--report", "ndjson", "--report-dir"])
        .arg(folder.path())
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LONGEST, output).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    println!("{said}");
    generated(&said).unwrap_or_else(|| panic!("how many requests were made is not said:\n{said}"))
}

/// Of the summary: "2,118 generated, 2,118 passed".
fn generated(said: &str) -> Option<usize> {
    let line = said.lines().rev().find(|line| line.contains(" generated"))?;
    let number = line.split(" generated").next()?.split_whitespace().last()?;
    number.replace(',', "").parse().ok()
}
