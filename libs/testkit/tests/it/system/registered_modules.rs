//! Modules that an admin registers over HTTP: who runs them, and what they survive.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nox_contract::JobId;
use nox_testkit::system::{
    checker::check,
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::admitted;

const WITHIN: Duration = Duration::from_secs(40);

/// What an executor is told that takes all of them.
const TAKES_ALL: [(&str, &str); 1] = [("NOX_REGISTERED_MODULES", "none")];

/// A module that says which of its versions it is, after it was told how long to wait.
fn manifest(version: &str, says: &str, sandbox: &str) -> Value {
    json!({
        "name": "greet",
        "version": version,
        "sandbox": sandbox,
        "input_schema": {"type": "object", "properties": {"wait": {"type": "string", "default": "0"}}},
        "resources": {"cpu": 1, "mem_mb": 64, "wall_time_s": 60},
        "run": {"program": "sh", "args": ["script.sh", "{inputs.wait}"]},
        "write": [{"path": "script.sh", "text": format!("sleep \"$1\"; echo {says}\n")}],
        "result": [{"name": "said", "type": "string", "stream": "stdout", "pattern": "(?<value>\\w+)"}],
    })
}

async fn register(admin: &Client, manifest: &Value) -> Answer {
    admin.post(0, "/modules", manifest).await.unwrap()
}

async fn submit(client: &Client, more: Value) -> JobId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut body = json!({"module": "greet", "inputs": {}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    admitted(client.submit(0, &body, Some(&key)).await).0
}

async fn until_shown(
    client: &Client,
    job: JobId,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let look = async || {
        let shown = client.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?;
        Ok(is_so(&shown.body).then_some(shown.body))
    };
    until(WITHIN, what, look).await.unwrap()
}

async fn said(client: &Client, job: JobId) -> Value {
    let ended = until_shown(client, job, "the job's end", |job| !job["ended_at"].is_null()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    ended["outputs"]["scalars"]["said"].clone()
}

async fn until_waiting(client: &Client, job: JobId) {
    until_shown(client, job, "the reason", |job| job["waiting"]["code"] == "no_worker").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_module_is_run_where_it_is_taken_and_outlives_everybody() {
    // As long as nobody says so, executors take none.
    let mut cluster = Cluster::start(Options { executors: 2, ..Options::default() }).await.unwrap();
    let (client, admin) =
        (cluster.client("ada"), cluster.client_with(json!({"sub": "root", "role": "admin"})));
    cluster.executors[1].stop().await;

    let refused = register(&client, &manifest("1", "hello", "none")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let mut wrong = manifest("1", "hello", "none");
    wrong["run"]["secret_env"] = json!(["HOME"]);
    let refused = register(&admin, &wrong).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid_manifest")
    );
    assert_eq!(refused.body["errors"][0]["pointer"], "/run/secret_env");

    let first = register(&admin, &manifest("1", "hello", "none")).await;
    assert_eq!((first.status, &first.body["version"]), (StatusCode::CREATED, &json!("1")));
    assert_eq!(register(&admin, &manifest("1", "hello", "none")).await.status, StatusCode::OK);
    let conflict = register(&admin, &manifest("1", "good", "none")).await;
    assert_eq!((conflict.status, conflict.code()), (StatusCode::CONFLICT, "version_conflict"));
    let shown = client.get(0, "/modules/greet").await.unwrap().body;
    assert_eq!((&shown["registered"]["by"], &shown["enabled"]), (&json!("root"), &json!(true)));

    let waits = submit(&client, json!({})).await;
    until_waiting(&client, waits).await;
    // It beats many times meanwhile, and is told nothing.
    tokio::time::sleep(Duration::from_secs(5)).await;
    until_waiting(&client, waits).await;

    // One that takes them joins later.
    cluster.executors[1].start_with(&TAKES_ALL).unwrap();
    assert_eq!(said(&client, waits).await, "hello");

    // Whoever was away is told again, by whoever leads then.
    cluster.schedulers[0].kill9();
    cluster.executors[1].kill9();
    cluster.schedulers[0].start().unwrap();
    let away = submit(&client, json!({})).await;
    cluster.executors[1].start_with(&TAKES_ALL).unwrap();
    assert_eq!(said(&client, away).await, "hello");

    // What was submitted for the first version is run by it, whatever comes.
    let running = submit(&client, json!({"inputs": {"wait": "4"}})).await;
    until_shown(&client, running, "the start", |job| job["state"] == "running").await;
    assert_eq!(register(&admin, &manifest("2", "good", "none")).await.status, StatusCode::CREATED);
    let newer = submit(&client, json!({})).await;
    let older = submit(&client, json!({"module_version": "1"})).await;
    assert_eq!(said(&client, newer).await, "good");
    assert_eq!(said(&client, older).await, "hello");
    assert_eq!(said(&client, running).await, "hello");
    let versions = client.get(0, "/modules/greet/versions").await.unwrap().body;
    let versions: Vec<_> = versions["versions"].as_array().unwrap().iter().collect();
    let told = versions.iter().map(|of| (&of["version"], &of["registered"]["by"]));
    let (root, one, two) = (json!("root"), json!("1"), json!("2"));
    assert_eq!(told.collect::<Vec<_>>(), [(&two, &root), (&one, &root)]);

    admin.post(0, "/modules/greet/disable", &json!({})).await.unwrap();
    let refused = client.post(0, "/jobs", &json!({"module": "greet", "inputs": {}})).await.unwrap();
    assert_eq!(refused.code(), "disabled_module");
    admin.post(0, "/modules/greet/enable", &json!({})).await.unwrap();
    let enabled = submit(&client, json!({})).await;
    assert_eq!(said(&client, enabled).await, "good");
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

/// The negative control of the levels: the module is the same, and the executor takes less.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_a_lower_level_than_is_taken_is_not_run() {
    let mut cluster = Cluster::start(Options::default().env(
        Kind::Executor,
        "NOX_REGISTERED_MODULES",
        "isolated",
    ))
    .await
    .unwrap();
    let (client, admin) =
        (cluster.client("ada"), cluster.client_with(json!({"sub": "root", "role": "admin"})));
    register(&admin, &manifest("1", "hello", "none")).await;
    let job = submit(&client, json!({})).await;
    let told = async || {
        let ready = cluster.executors[0].readyz().await;
        let says = |body: &str| body.contains("NOX_REGISTERED_MODULES is `isolated`");
        Ok(ready.is_some_and(|(_, body)| says(&body)).then_some(()))
    };
    until(WITHIN, "why it is left out", told).await.unwrap();
    until_waiting(&client, job).await;
    cluster.executors[0].stop().await;
    cluster.executors[0].start_with(&TAKES_ALL).unwrap();
    assert_eq!(said(&client, job).await, "hello");
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}
