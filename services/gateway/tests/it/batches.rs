//! Jobs that are submitted all or none.

use nox_contract::{Command, ProblemCode, Refusal};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    stub_scheduler::Mood,
    system::{Reply, System, send, token},
};

async fn batch(system: &System, token: &str, key: Option<&str>, body: &Value) -> Reply {
    let mut request = system.request(Method::POST, "/jobs/batch", token).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(request).await
}

fn ids(answer: &Value) -> Vec<&Value> {
    let jobs = answer["jobs"].as_array().unwrap();
    jobs.iter().map(|job| &job["accepted"]["job_id"]).collect()
}

async fn count(system: &System, token: &str) -> usize {
    system.get("/jobs", token).await.expect(200)["jobs"].as_array().unwrap().len()
}

#[tokio::test]
async fn all_are_admitted_by_one_command_and_named_in_their_order() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let hello = |text: &str| json!({"module": "xtb_hello", "inputs": {"text": text}});
    let draft = json!({"module": "noop", "draft": true});
    let body = json!({"jobs": [hello("a"), draft, hello("b")]});
    let first = batch(&system, &ada, Some("order-1"), &body).await.expect(202);
    let states: Vec<_> = first["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["accepted"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["queued", "draft", "queued"]);
    let sent = system.scheduler.commands().await;
    let batches = sent.iter().filter(|command| matches!(command, Command::SubmitBatch(_)));
    assert_eq!(batches.count(), 1);
    assert_eq!(count(&system, &ada).await, 3);

    // Again: the very same jobs.
    let again = batch(&system, &ada, Some("order-1"), &body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(ids(&again.expect(202)), ids(&first));
    assert_eq!(count(&system, &ada).await, 3);
    // As another request: of fewer or more of them, in another order, or each by itself.
    let jobs = |places: &[usize]| -> Vec<Value> {
        places.iter().map(|place| body["jobs"][*place].clone()).collect()
    };
    for other in [
        json!({"jobs": jobs(&[0, 1])}),
        json!({"jobs": jobs(&[0, 1, 2, 0])}),
        json!({"jobs": jobs(&[1, 0, 2])}),
    ] {
        let reply = batch(&system, &ada, Some("order-1"), &other).await;
        assert_eq!(reply.expect(422)["code"], "idempotency_conflict", "{other}");
    }
    let each = json!({"jobs": jobs(&[0, 1, 2]), "atomic": false});
    let each = batch(&system, &ada, Some("order-1"), &each).await.expect(200);
    for one in each["jobs"].as_array().unwrap() {
        assert_eq!(one["problem"]["code"], "idempotency_conflict");
    }
    assert_eq!(count(&system, &ada).await, 3);
    // Another's key is another key.
    batch(&system, &token("bob", "user"), Some("order-1"), &body).await.expect(202);
}

/// Jobs that are wrong, with the code and the place that are told of each that stands at `/jobs/1`.
fn wrong() -> Vec<(Value, &'static str, &'static str)> {
    let molecule = json!({"xyz": "1\n\nO 0 0 0\n", "params": {"uhf": 1}});
    vec![
        (json!({"module": "nothing"}), "unknown_module", "/jobs/1/module"),
        (json!({"command": "id"}), "unknown_module", "/jobs/1/command"),
        (json!({"engine": "xtb", "inputs": molecule}), "unknown_module", "/jobs/1/engine"),
        (json!({"module": "noop", "priority": 12}), "invalid_request", "/jobs/1/priority"),
        (
            json!({"module": "xtb_hello", "inputs": {"text": 1}}),
            "invalid_inputs",
            "/jobs/1/inputs/text",
        ),
        (json!({"module": "noop", "after": [uuid()]}), "invalid_request", "/jobs/1/after/0"),
        (json!({"command": 7}), "invalid_command", "/jobs/1/command"),
        (json!(7), "invalid_request", "/jobs/1"),
    ]
}

#[tokio::test]
async fn one_that_is_wrong_by_itself_is_named_by_its_place_in_the_request() {
    let mut system = System::start().await;
    system.commands_for("user").await;
    let ada = token("ada", "user");
    let good = json!({"module": "noop"});
    for (wrong, code, pointer) in wrong() {
        let body = json!({"jobs": [good, wrong, good], "atomic": false});
        let answer = batch(&system, &ada, None, &body).await.expect(200);
        let problem = &answer["jobs"][1]["problem"];
        assert_eq!(problem["code"], code, "{answer}");
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!(errors[0]["pointer"], pointer, "{answer}");
        // And by no other in words.
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.starts_with('/') || detail.starts_with(pointer), "{answer}");
        assert!(answer["jobs"][2]["accepted"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn one_that_is_wrong_has_none_of_them_admitted_and_is_named() {
    let mut system = System::start().await;
    system.commands_for("user").await;
    let ada = token("ada", "user");
    let good = json!({"module": "noop"});
    for (wrong, code, pointer) in wrong() {
        let body = json!({"jobs": [good, wrong, good]});
        let reply = batch(&system, &ada, None, &body).await;
        let status = reply.status;
        let problem = reply.expect(status.as_u16());
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let sent = system.scheduler.commands().await;
    assert!(!sent.iter().any(|command| matches!(command, Command::SubmitBatch(_))));
    assert_eq!(count(&system, &ada).await, 0);

    // Or for the scheduler.
    let refusal = Refusal {
        job: Some(2),
        quota: Some("queued_jobs".to_owned()),
        ..Refusal::new(ProblemCode::QueueFull, "no room")
    };
    system.scheduler.set_mood(Mood::Refuse(refusal));
    let problem = batch(&system, &ada, None, &json!({"jobs": [good, good, good]})).await;
    let problem = problem.expect(429);
    assert_eq!(problem["errors"][0]["pointer"], "/jobs/2");
    assert_eq!(problem["quota_type"], "queued_jobs");
}

#[tokio::test]
async fn a_stale_stamp_is_made_anew_once() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let stale = Refusal::new(ProblemCode::StaleStamp, "too old");
    system.scheduler.set_mood(Mood::RefuseOnce(stale));
    let body = json!({"jobs": [{"module": "noop"}, {"module": "noop"}]});
    batch(&system, &ada, Some("k"), &body).await.expect(202);
    assert_eq!(count(&system, &ada).await, 2);
}

#[tokio::test]
async fn what_nobody_decides_in_time_is_told_under_its_key_later() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let body = json!({"jobs": [{"module": "noop"}, {"module": "noop"}]});
    system.scheduler.set_mood(Mood::Sleep);
    let problem = batch(&system, &ada, Some("k"), &body).await.expect(503);
    assert_eq!(problem["code"], "unavailable");
    system.scheduler.set_mood(Mood::Decide);
    let known = batch(&system, &ada, Some("k"), &body).await.expect(202);
    assert_eq!(ids(&known).len(), 2);
    assert_eq!(count(&system, &ada).await, 2);
}

#[tokio::test]
async fn what_one_message_does_not_hold_is_refused_as_a_whole() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let large = json!({"module": "xtb_hello", "inputs": {"text": "x".repeat(4_000)}});
    let problem = batch(&system, &ada, None, &json!({"jobs": vec![large.clone(); 300]})).await;
    assert_eq!(problem.expect(413)["code"], "body_too_large");
    assert_eq!(count(&system, &ada).await, 0);
    batch(&system, &ada, None, &json!({"jobs": vec![large; 50]})).await.expect(202);
}

fn uuid() -> String {
    nox_service::ids::job_id().to_string()
}
