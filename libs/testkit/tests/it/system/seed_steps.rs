//! The first users' acceptance, step by step, as the very commands that they type.

use std::{process::Stdio, time::Duration};

use anyhow::Result;
use nox_testkit::system::cluster::{Cluster, Options, until};
use serde_json::{Value, json};
use tokio::process::Command;

const WITHIN: Duration = Duration::from_secs(30);
const USER: &str = "7d9f1c1e-6f3a-4c62-9a53-1d2b6a1f0c11";

/// Runs a line of shell; `$URL`, `$TOKEN` and `$JOB_ID` are what the users' own lines have.
async fn shell(url: &str, token: &str, job: &str, line: &str) -> Result<String> {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .env("URL", url)
        .env("TOKEN", format!("Bearer {token}"))
        .env("JOB_ID", job)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(WITHIN, output).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{line}\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_users_steps_work_as_they_are_written() {
    for program in ["curl", "jq"] {
        let found = std::process::Command::new(program).arg("--version").output();
        assert!(found.is_ok(), "{program} is missing: apt-get install curl jq");
    }
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client_with(json!({"sub": USER, "role": "user"}));
    let url = client.url(0, "");
    let run = async |job: &str, line: &str| -> Value {
        let text = shell(&url, client.token(), job, line).await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };

    // 1. It is up, and so is the database.
    let health = run("", "curl -fsS $URL/health | jq .").await;
    assert_eq!(health["status"], "ok");

    // 2. The registry has the module.
    let module =
        run("", r#"curl -fsS $URL/modules | jq '.modules[] | select(.name == "xtb_hello")'"#).await;
    assert_eq!(module["enabled"], true);

    // 3. Submit: 202, and the job's id.
    let submit = r#"curl -fsS -w '%{http_code}' -o /tmp/nox-answer.$$ \
          -H "Authorization: $TOKEN" -H "Content-Type: application/json" -d '{
        "module":"xtb_hello",
        "inputs":{"text":"hello from M9"},
        "requested_resources":{"cpu":1,"mem_mb":256,"wall_time_s":60}
      }' $URL/jobs > /tmp/nox-status.$$;
      jq --arg status "$(cat /tmp/nox-status.$$)" '. + {http: $status}' /tmp/nox-answer.$$;
      rm /tmp/nox-answer.$$ /tmp/nox-status.$$"#;
    let answer = run("", submit).await;
    assert_eq!(answer["http"], "202");
    let job = answer["job_id"].as_str().expect("an id").to_owned();

    // 4. Follow it: queued, running, succeeded; and a file at least.
    let mut seen = Vec::new();
    let line = r#"curl -fsS -H "Authorization: $TOKEN" $URL/jobs/$JOB_ID | jq ."#;
    let done = until(WITHIN, "the job to succeed", async || {
        let view = run(&job, line).await;
        let status = view["status"].as_str().unwrap_or_default().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        Ok((view["status"] == "succeeded").then_some(view))
    })
    .await
    .unwrap();
    println!("statuses seen: {seen:?}");
    let order = ["queued", "running", "succeeded"];
    let places: Vec<_> = seen.iter().map(|s| order.iter().position(|o| o == s)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{seen:?}");
    let file = done["outputs"]["files"][0].as_str().expect("a file");
    assert_eq!(file, format!("sandbox://{USER}/{job}/result.txt"));
    assert!(done["outputs"]["metrics"]["duration_s"].as_f64().is_some_and(|s| s > 0.0));
    assert_eq!((&done["id"], &done["user_id"]), (&json!(job), &json!(USER)));
    assert_eq!(done["inputs"], json!({"text": "hello from M9"}));
    let asked = json!({"cpu": 1, "mem_mb": 256, "wall_time_s": 60});
    assert_eq!(done["requested_resources"], asked);
    for instant in ["created_at", "started_at", "ended_at"] {
        assert!(done[instant].is_string(), "{instant}");
    }

    // 5. The list has it.
    let listed = run(
        "",
        r#"curl -fsS -H "Authorization: $TOKEN" "$URL/jobs?status=succeeded&module=xtb_hello" | jq ."#,
    )
    .await;
    assert_eq!(listed["jobs"][0]["id"], json!(job));

    // 6. Cancel a job that runs.
    let slow = json!({"module": "mark", "inputs": {"mark": "slow", "sleep": 30}});
    let slow = client.post(0, "/jobs", &slow).await.unwrap();
    let slow = slow.body["job_id"].as_str().expect("an id").to_owned();
    until(WITHIN, "the job to run", async || {
        Ok((run(&slow, line).await["status"] == "running").then_some(()))
    })
    .await
    .unwrap();
    let cancel = r#"curl -fsS -X POST -H "Authorization: $TOKEN" $URL/jobs/$JOB_ID/cancel | jq ."#;
    assert_eq!(run(&slow, cancel).await["status"], "canceled");
    until(WITHIN, "the cancel to be seen", async || {
        Ok((run(&slow, line).await["status"] == "canceled").then_some(()))
    })
    .await
    .unwrap();

    // One that fails for good, and one that can never fit.
    let fails = json!({"module": "noop", "inputs": {"fail": "error"}});
    assert_eq!(client.post(0, "/jobs", &fails).await.unwrap().status, 202);
    let large = json!({"module": "noop", "requested_resources": {"cpu": 65}});
    assert_eq!(client.post(0, "/jobs", &large).await.unwrap().status, 403);
    metrics(&url, client.token()).await;
}

/// The metrics that the users' panels are made of.
async fn metrics(url: &str, token: &str) {
    let submitted =
        format!("nox_job_submitted_total{{module=\"xtb_hello\",user_id=\"{USER}\"}} 1\n");
    let series = [
        submitted.as_str(),
        "nox_job_running{module=\"xtb_hello\"} 0",
        "nox_job_duration_seconds_bucket{module=\"xtb_hello\",le=\"+Inf\"} 1",
        "nox_job_duration_seconds_count{module=\"xtb_hello\"} 1",
        "nox_job_duration_seconds_sum{module=\"xtb_hello\"}",
        "nox_job_failures_total{module=\"noop\"} 1",
        "nox_quota_violations_total{code=\"request_too_large\"} 1",
    ];
    let mut missing = Vec::new();
    let shown = until(WITHIN, "the metrics", async || {
        // Users are named to those alone who may see their jobs.
        let line = r#"curl -fsS -H "Authorization: $TOKEN" $URL/metrics"#;
        let text = shell(url, token, "", line).await?;
        missing = series.iter().filter(|line| !text.contains(**line)).collect();
        Ok(missing.is_empty().then_some(()))
    })
    .await;
    assert!(shown.is_ok(), "missing on /metrics: {missing:?}");
}
