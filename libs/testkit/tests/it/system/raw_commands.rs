//! Raw commands through services that are processes of their own.

use std::{fs, path::Path, time::Duration};

use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options, until},
    service::Kind,
};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(30);

/// A length of sleep that nobody else on the machine sleeps.
const SLEEP: &str = "86321.125";

/// Whether a process has `argument` among its arguments.
fn lives(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|found| found == argument.as_bytes())
    })
}

async fn submitted(client: &Client, line: &str) -> String {
    let answer = client.post(0, "/jobs", &json!({"command": line})).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn rows(client: &Client, job: &str) -> Vec<String> {
    let rows = client.get(0, &format!("/jobs/{job}/status")).await.unwrap().body;
    let output = |row: &Value| row["output"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(output).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_whole_when_it_is_canceled_and_outlives_its_executor_by_nothing() {
    let options = Options::default().env(Kind::Gateway, "NOX_COMMAND_ROLES", "user");
    let mut cluster = Cluster::servers(options).await.unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/command");
    let own = cluster.folder().join("modules/command");
    fs::create_dir(&own).unwrap();
    for name in ["module.toml", "inputs.json"] {
        fs::copy(shipped.join(name), own.join(name)).unwrap();
    }
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let ada = cluster.client("ada");
    let first = ada.post(0, "/jobs", &json!({"command": "true"})).await.unwrap();
    if first.status == 422 {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{}", first.body);
        println!("skipped: this machine cannot isolate: {}", first.body);
        return;
    }
    let line = format!(
        "echo begun; trap '' TERM; setsid sh -c 'sleep {SLEEP} & sleep {SLEEP}' & sleep {SLEEP}"
    );
    let job = submitted(&ada, &line).await;
    let state = async |job: &str| ada.get(0, &format!("/jobs/{job}")).await.unwrap().body;
    let begun = async || {
        Ok(rows(&ada, &job).await.first().is_some_and(|row| row == "begun\n").then_some(()))
    };
    until(WITHIN, "the command to begin", begun).await.unwrap();
    assert!(lives(SLEEP), "the control: it is found while it runs");
    let path = format!("/jobs/{job}/cancel");
    let canceled = ada.post(0, &path, &json!({})).await.unwrap();
    assert_eq!(
        (&canceled.body["status"], &canceled.body["state"]),
        (&json!("cancelled"), &json!("canceled"))
    );
    until(WITHIN, "all of it to end", async || Ok((!lives(SLEEP)).then_some(()))).await.unwrap();
    let last = rows(&ada, &job).await.pop().unwrap();
    assert_eq!(last, "Process ended without an exit code: canceled");

    // An executor that is killed leaves nothing of what it ran when it is back; the job is run again and ends once.
    let job = submitted(&ada, &format!("echo begun; sleep {SLEEP}")).await;
    let runs = async || Ok((state(&job).await["state"] == "running" && lives(SLEEP)).then_some(()));
    until(WITHIN, "the command to run", runs).await.unwrap();
    cluster.executors[0].kill9();
    until(WITHIN, "nothing of it to live", async || Ok((!lives(SLEEP)).then_some(())))
        .await
        .unwrap();
    cluster.executors[0].start().unwrap();
    let again = async || Ok((state(&job).await["attempt"] == 2 && lives(SLEEP)).then_some(()));
    until(WITHIN, "another attempt", again).await.unwrap();
    ada.post(0, &format!("/jobs/{job}/cancel"), &json!({})).await.unwrap();
    until(WITHIN, "all of it to end", async || Ok((!lives(SLEEP)).then_some(()))).await.unwrap();
}
