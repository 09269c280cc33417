//! What an executor offers may change while it runs: its modules, and how much of the machine it has.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nox_contract::JobId;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
};
use serde_json::{Value, json};

use super::admitted;

const WITHIN: Duration = Duration::from_secs(30);

fn manifest(version: &str, says: &str) -> String {
    format!(
        r#"
name = "greet"
version = "{version}"
sandbox = "none"
input_schema = {{ type = "object" }}

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", "sleep 0.3; echo {says} > said.txt", "greet"]

[[keep]]
path = "said.txt"

[[result]]
name = "said"
type = "string"
file = "said.txt"
pattern = '(?<value>\w+)'
"#
    )
}

fn folder(cluster: &Cluster) -> PathBuf {
    cluster.folder().join("modules/greet")
}

fn write(cluster: &Cluster, version: &str, says: &str) {
    fs::create_dir_all(folder(cluster)).unwrap();
    fs::write(folder(cluster).join("module.toml"), manifest(version, says)).unwrap();
}

/// Waits until the module is declared in this version.
async fn until_version(client: &Client, wanted: &str) {
    let look = async || {
        let shown = client.get(0, "/modules/greet").await.map_err(anyhow::Error::msg)?;
        Ok((shown.body["version"] == wanted).then_some(()))
    };
    until(WITHIN, "the module", look).await.unwrap();
}

async fn submit(client: &Client) -> JobId {
    ask(client, &json!({"module": "greet", "inputs": {}})).await
}

/// Each under a key of its own.
async fn ask(client: &Client, body: &Value) -> JobId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let key = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    admitted(client.submit(0, body, Some(&key)).await).0
}

async fn ended(client: &Client, job: JobId) -> Value {
    let look = async || {
        let shown = client.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?;
        Ok((!shown.body["ended_at"].is_null()).then_some(shown.body))
    };
    until(WITHIN, "the job's end", look).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_taken_on_replaced_and_given_up_while_its_executor_runs() {
    let mut cluster = Cluster::start(Options { slots: 1, ..Options::default() }).await.unwrap();
    let client = cluster.client("ada");
    write(&cluster, "1", "hello");
    until_version(&client, "1").await;
    assert_eq!(ended(&client, submit(&client).await).await["outputs"]["scalars"]["said"], "hello");

    // Of a version that is replaced, what was handed out is run, and the rest waits for who serves it.
    let running = submit(&client).await;
    let waiting = submit(&client).await;
    write(&cluster, "2", "good");
    until_version(&client, "2").await;
    let newer = submit(&client).await;
    assert_eq!(ended(&client, running).await["outputs"]["scalars"]["said"], "hello");
    assert_eq!(ended(&client, newer).await["outputs"]["scalars"]["said"], "good");
    let waits = client.get(0, &format!("/jobs/{waiting}")).await.unwrap().body;
    if waits["state"] == "queued" {
        assert_eq!(waits["waiting"]["code"], "no_worker");
        client.cancel(0, waiting).await;
    }

    // What is wrong changes nothing.
    fs::write(folder(&cluster).join("module.toml"), "name = ").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ended(&client, submit(&client).await).await["state"], "succeeded");

    // What is gone is offered no more.
    fs::remove_dir_all(folder(&cluster)).unwrap();
    let gone = async || {
        let ready = cluster.executors[0].readyz().await;
        Ok(ready.is_some_and(|(_, body)| !body.contains("greet")).then_some(()))
    };
    until(WITHIN, "the module to go", gone).await.unwrap();
    let waits = submit(&client).await;
    let look = async || {
        let shown = client.get(0, &format!("/jobs/{waits}")).await.map_err(anyhow::Error::msg)?;
        Ok((shown.body["waiting"]["code"] == "no_worker").then_some(()))
    };
    until(WITHIN, "the reason", look).await.unwrap();
    client.cancel(0, waits).await;
    assert!(cluster.executors[0].is_running());
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_an_executor_has_may_change_while_it_runs() {
    let cluster = Cluster::start(Options { slots: 2, ..Options::default() }).await.unwrap();
    let client = cluster.client("ada");
    let own = fs::read_dir(cluster.folder().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("executor-"))
        .unwrap();
    let noop = json!({"module": "noop", "inputs": {}});
    let first = ask(&client, &noop).await;
    assert_eq!(ended(&client, first).await["state"], "succeeded");

    // Nothing at all: what comes waits, and says that it waits for another worker.
    fs::write(own.join("capacity.toml"), "slots = 0\n").unwrap();
    let full = async || {
        let job = ask(&client, &noop).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let shown = client.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?.body;
        Ok((shown["waiting"]["code"] == "unsatisfiable").then_some(job))
    };
    let waits = until(WITHIN, "the executor to have nothing", full).await.unwrap();
    // What cannot be read changes nothing.
    fs::write(own.join("capacity.toml"), "slots = many\n").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let still = client.get(0, &format!("/jobs/{waits}")).await.unwrap().body;
    assert_eq!(still["state"], "queued");
    // And as configured again.
    fs::remove_file(own.join("capacity.toml")).unwrap();
    assert_eq!(ended(&client, waits).await["state"], "succeeded");
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}
