//! Jobs that are found by what their submitters say of them, repeated, and kept as drafts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{Reply, System, send, token};

fn body() -> Value {
    json!({"module": "xtb_hello", "inputs": {"text": "hello"}, "priority": 7,
           "requested_resources": {"cpu": 1, "mem_mb": 256, "wall_time_s": 60},
           "labels": {"team": "quantum", "run": "18446744073709551617"},
           "release_id": "2026.11", "concurrency": {"key": "database", "limit": 2}})
}

async fn submit(system: &System, token: &str, body: &Value) -> String {
    let answer = system.post("/jobs", token, body).await.expect(202);
    answer["job_id"].as_str().unwrap().to_owned()
}

async fn shown(system: &System, token: &str, id: &str) -> Value {
    system.get(&format!("/jobs/{id}"), token).await.expect(200)
}

async fn retry(system: &System, token: &str, id: &str, key: &str, body: Option<Value>) -> Reply {
    let request = system.request(Method::POST, &format!("/jobs/{id}/retry"), token);
    let request = request.header("Idempotency-Key", key);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn what_a_submitter_says_of_a_job_is_shown_as_it_was_said() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let id = submit(&system, &ada, &body()).await;
    for ended in [false, true] {
        if ended {
            system.scheduler.succeed(id.parse().unwrap()).await;
        }
        let job = shown(&system, &ada, &id).await;
        for member in ["labels", "release_id", "concurrency"] {
            assert_eq!(job[member], body()[member], "{job}");
        }
        assert!(job.get("retry_of").is_none(), "{job}");
    }
    let plain =
        submit(&system, &ada, &json!({"module": "xtb_hello", "inputs": {"text": "a"}})).await;
    let job = shown(&system, &ada, &plain).await;
    for member in ["labels", "release_id", "concurrency", "retry_of"] {
        assert!(job.get(member).is_none(), "{job}");
    }
}

#[tokio::test]
async fn a_job_that_has_ended_is_repeated_by_a_new_one_that_names_it() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let id = submit(&system, &ada, &body()).await;
    retry(&system, &ada, &id, "k", None).await.expect_problem(409, "not_ended");
    system.scheduler.succeed(id.parse().unwrap()).await;

    let first = retry(&system, &ada, &id, "k", None).await.expect(202);
    let again = retry(&system, &ada, &id, "k", Some(json!({}))).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let new = first["job_id"].as_str().unwrap();
    assert_ne!(new, id);
    assert_eq!(again.expect(202)["job_id"], new);
    let edited =
        json!({"inputs": {"text": "other"}, "requested_resources": {"cpu": 2}, "labels": {}});
    retry(&system, &ada, &id, "k", Some(edited.clone()))
        .await
        .expect_problem(422, "idempotency_conflict");
    let job = shown(&system, &ada, new).await;
    assert_eq!(job["retry_of"], id);
    for member in
        ["labels", "release_id", "concurrency", "inputs", "priority", "requested_resources"]
    {
        assert_eq!(job[member], body()[member], "{job}");
    }

    let other = retry(&system, &ada, &id, "l", Some(edited)).await.expect(202);
    let job = shown(&system, &ada, other["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["inputs"]["text"], job.get("labels")), (&json!("other"), None));
    assert_eq!(job["requested_resources"], json!({"cpu": 2, "mem_mb": 256, "wall_time_s": 60}));
    assert_eq!((&job["retry_of"], &job["release_id"]), (&json!(id), &json!("2026.11")));

    // Nobody else's matter; an admin's is the admin's job.
    retry(&system, &token("bob", "user"), &id, "k", None)
        .await
        .expect_problem(404, "job_not_found");
    let root = token("root", "admin");
    let hers = retry(&system, &root, &id, "k", None).await.expect(202);
    let job = shown(&system, &root, hers["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["user_id"], &job["retry_of"]), (&json!("root"), &json!(id)));
    for wrong in
        [json!({"priority": 1}), json!({"labels": {"a b": ""}}), json!({"inputs": {"text": 5}})]
    {
        let reply = retry(&system, &ada, &id, "m", Some(wrong.clone())).await;
        assert_eq!(reply.status, 422, "{wrong}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_draft_is_listed_submitted_and_canceled() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let mut asked = body();
    asked["draft"] = json!(true);
    let answer = system.post("/jobs", &ada, &asked).await.expect(202);
    assert_eq!((&answer["state"], &answer["status"]), (&json!("draft"), &json!("draft")));
    let id = answer["job_id"].as_str().unwrap();
    let job = shown(&system, &ada, id).await;
    assert_eq!((&job["state"], &job["waiting"]), (&json!("draft"), &Value::Null));
    assert_eq!(job["reserved_resources"], Value::Null);
    let states = ["draft", "queued", "running"];
    let listed = async |status: &str| {
        let list = system.get(&format!("/jobs?status={status}"), &ada).await.expect(200);
        list["jobs"].as_array().unwrap().len()
    };
    for (status, count) in states.iter().zip([1, 0, 0]) {
        assert_eq!(listed(status).await, count, "{status}");
    }
    let path = format!("/jobs/{id}/submit");
    system
        .post(&path, &token("bob", "user"), &json!({}))
        .await
        .expect_problem(404, "job_not_found");
    let answer = system.post(&path, &ada, &json!({})).await.expect(202);
    assert_eq!(answer["state"], "queued");
    for (status, count) in states.iter().zip([0, 1, 0]) {
        assert_eq!(listed(status).await, count, "{status}");
    }
    system.scheduler.succeed(id.parse().unwrap()).await;
    system.post(&path, &ada, &json!({})).await.expect_problem(409, "already_ended");

    let other = system.post("/jobs", &ada, &asked).await.expect(202);
    let other = other["job_id"].as_str().unwrap();
    system.post(&format!("/jobs/{other}/cancel"), &ada, &json!({})).await.expect(200);
    assert_eq!(shown(&system, &ada, other).await["state"], "canceled");
    assert_eq!(listed("draft").await, 0);
}

#[tokio::test]
async fn a_key_knows_a_request_again_that_names_what_it_left_out() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let post = async |body: &str| {
        let request = system.request(Method::POST, "/jobs", &ada).header("Idempotency-Key", "one");
        send(request.header("Content-Type", "application/json").body(body.to_owned())).await
    };
    let first = post(r#"{"module":"xtb_hello","inputs":{"text":"é"}}"#).await.expect(202);
    let job = shown(&system, &ada, first["job_id"].as_str().unwrap()).await;
    let given = &job["requested_resources"];
    let named = format!(
        r#"{{"inputs":{{"\u0074ext":"\u00E9"}},"priority":5.0,"requested_resources":{given},"labels":{{}},
             "draft":false,"module":"xtb_hello"}}"#
    );
    let again = post(&named).await;
    assert_eq!(again.headers["idempotency-replayed"], "true", "{}", again.text);
    assert_eq!(again.expect(202)["job_id"], first["job_id"]);
    let other = r#"{"module":"xtb_hello","inputs":{"text":"é"},"requested_resources":{"cpu":7}}"#;
    post(other).await.expect_problem(422, "idempotency_conflict");
}
