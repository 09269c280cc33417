//! A job that is judged and not submitted.

use nox_contract::Limits;
use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{Reply, System, send, token};

async fn dry(system: &System, token: &str, body: &Value) -> Reply {
    system.post("/jobs?dry_run=true", token, body).await
}

#[tokio::test]
async fn a_dry_run_says_what_a_submit_would_say_and_leaves_nothing_behind() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let before = system.scheduler.commands().await.len();
    let hello = json!({"module": "xtb_hello", "inputs": {"text": "a"}, "priority": 3});
    let judged = dry(&system, &ada, &hello).await.expect(200);
    assert_eq!((&judged["dry_run"], &judged["known_job_id"]), (&json!(true), &Value::Null));
    let job = &judged["job"];
    assert_eq!((&job["module"], &job["state"]), (&json!("xtb_hello"), &json!("queued")));
    assert_eq!((&job["priority"], &job["after"]), (&json!(3), &json!([])));
    assert!(job["cpu_seconds"].as_i64() > Some(0), "{job}");
    // Nobody knows her limits yet.
    assert_eq!(judged["limits_known"], false);

    // Each refusal is that of the submit.
    let eves = system.submit(&token("eve", "user"), "noop").await.0;
    for body in [
        json!({"module": "xtb_hello", "inputs": {"text": 7}}),
        json!({"module": "no-such"}),
        json!({"module": "noop", "after": [eves]}),
        json!({"module": "noop", "priority": 99}),
        json!({"module": "noop", "modul": "noop"}),
        json!({"command": "true"}),
    ] {
        let (dry, real) =
            (dry(&system, &ada, &body).await, system.post("/jobs", &ada, &body).await);
        assert!(real.status.is_client_error(), "the control: {}", real.text);
        let told = |reply: &Reply| {
            let mut told = reply.json();
            told.as_object_mut().unwrap().remove("request_id");
            (reply.status, told)
        };
        assert_eq!(told(&dry), told(&real), "{body}");
    }
    assert_eq!(system.scheduler.commands().await.len(), before + 1, "eve's alone");
    assert_eq!(system.get("/jobs", &ada).await.expect(200)["jobs"], json!([]));

    let keyed = |path: &str| {
        let request = system.request(Method::POST, path, &ada).json(&hello);
        send(request.header("idempotency-key", "one"))
    };
    assert_eq!(keyed("/jobs?dry_run=true").await.expect(200)["known_job_id"], Value::Null);
    let made = keyed("/jobs?dry_run=false").await.expect(202);
    let known = keyed("/jobs?dry_run=true").await.expect(200);
    assert_eq!(known["known_job_id"], made["job_id"]);
    for query in ["dry_run=yes", "dry_run=", "dryrun=true"] {
        let refused = system.post(&format!("/jobs?{query}"), &ada, &hello).await;
        refused.expect_problem(422, "invalid_request");
    }
}

#[tokio::test]
async fn a_dry_run_is_judged_by_the_limits_that_are_in_force() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let limits = Limits {
        cpu_seconds: 100,
        queued_jobs: 1,
        running_jobs: 1,
        cpu: 2,
        mem_mb: 1_024,
        drafts: 1,
        starts_per_minute: 60,
    };
    system.scheduler.grant("default", "ada", limits).await;
    let asks = |cpu: u32, wall: u32| json!({"module": "noop", "requested_resources": {"cpu": cpu, "mem_mb": 1, "wall_time_s": wall}});
    dry(&system, &ada, &asks(1, 100)).await.expect(200);
    let refused = dry(&system, &ada, &asks(3, 1)).await.expect_problem(403, "request_too_large");
    assert_eq!((&refused["quota_type"], &refused["limit"]), (&json!("cpu"), &json!(2)));
    dry(&system, &ada, &asks(1, 101)).await.expect_problem(403, "request_too_large");
    let body = json!({"module": "noop", "draft": true});
    dry(&system, &ada, &body).await.expect(200);
    // The control: others have other limits.
    dry(&system, &token("eve", "user"), &asks(3, 1)).await.expect(200);
}
