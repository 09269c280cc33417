//! The steps that the first users check an installation by, typed as they are written down.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    dev::Dev,
    program::{Ended, run},
};

const SUCCEEDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// `curl -fsS` with further words: fails on any status that is no success.
fn curl(words: &[&str]) -> Ended {
    let mut command = Command::new("curl");
    command.args(["-fsS", "--max-time", "30"]).args(words);
    run(command)
}

#[test]
fn the_first_users_steps_work_with_curl() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let at = |path: &str| format!("{}{path}", dev.url());
    let token = format!("Authorization: Bearer {}", dev.token());
    let get = |path: &str| curl(&["-H", &token, &at(path)]).json();

    // 1. It is up.
    assert_eq!(curl(&[&at("/health")]).json()["status"], "ok");

    // 2. There is something to run.
    let modules = curl(&[&at("/modules")]).json();
    let modules = modules["modules"].as_array().unwrap();
    let hello = modules.iter().find(|module| module["name"] == "xtb_hello").unwrap();
    assert_eq!(hello["enabled"], true);

    // 3. A job is taken.
    let body = json!({
        "module": "xtb_hello",
        "inputs": {"text": "hello from M9"},
        "requested_resources": {"cpu": 1, "mem_mb": 256, "wall_time_s": 60},
    });
    let kind = "Content-Type: application/json";
    let answer = curl(&[
        "-H",
        &token,
        "-H",
        kind,
        "-d",
        &body.to_string(),
        "-w",
        "\n%{http_code}",
        &at("/jobs"),
    ])
    .with(0);
    let (answer, status) = answer.rsplit_once('\n').unwrap();
    assert_eq!(status, "202");
    let answer: Value = serde_json::from_str(answer).unwrap();
    let id = answer["job_id"].as_str().unwrap();

    // 4. It succeeds, and leaves a file.
    let begun = Instant::now();
    let job = loop {
        let job = get(&format!("/jobs/{id}"));
        let status = job["status"].as_str().unwrap().to_owned();
        if status == "succeeded" {
            break job;
        }
        assert!(["queued", "running"].contains(&&*status), "{job}");
        assert!(begun.elapsed() < SUCCEEDED_WITHIN, "{job}");
        thread::sleep(LOOK_AGAIN);
    };
    let file = job["outputs"]["files"][0].as_str().unwrap();
    assert!(file.starts_with("sandbox://") && file.ends_with("/result.txt"), "{file}");
    assert!(job["outputs"]["metrics"]["duration_s"].is_number(), "{job}");
    for member in ["created_at", "started_at", "ended_at"] {
        assert!(job[member].is_string(), "{job}");
    }

    // 5. It is listed.
    let list = get("/jobs?status=succeeded&module=xtb_hello");
    assert_eq!(list["jobs"][0]["id"], id);

    // 6. A job that runs is canceled; one that has ended is not.
    let nap = json!({"module": "noop", "inputs": {"sleep_ms": 60_000}}).to_string();
    let nap = curl(&["-H", &token, "-H", kind, "-d", &nap, &at("/jobs")]).json();
    let cancel = |id: &Value| {
        let path = at(&format!("/jobs/{}/cancel", id.as_str().unwrap()));
        curl(&["-X", "POST", "-H", &token, &path])
    };
    assert_eq!(cancel(&nap["job_id"]).json()["status"], "canceled");
    assert_ne!(cancel(&answer["job_id"]).status, 0);

    // What the dashboards are drawn from.
    let metrics = curl(&["-H", &token, &at("/metrics")]).with(0);
    for metric in [
        "nox_job_submitted_total{module=\"xtb_hello\",user_id=\"dev\"} 1",
        "nox_job_running{",
        "nox_job_duration_seconds_bucket{",
    ] {
        assert!(metrics.contains(metric), "no {metric} in {metrics}");
    }

    // Nobody gets in without a token.
    let answer = curl(&["-o", "/dev/null", "-w", "%{http_code}", &at("/jobs")]);
    assert_eq!(answer.stdout, "401");
}
