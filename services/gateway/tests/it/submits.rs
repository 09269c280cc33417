//! From a body to a command, and from its answer to the client.

use std::{collections::HashSet, time::Duration};

use nox_contract::{Command, ProblemCode, Refusal, Submit};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    stub_scheduler::Mood,
    system::{Reply, System, send, token, until},
};

async fn keyed(system: &System, token: &str, key: &str, body: &Value) -> Reply {
    let request = system.request(Method::POST, "/jobs", token).json(body);
    send(request.header("idempotency-key", key)).await
}

async fn submits(system: &System) -> Vec<Submit> {
    let commands = system.scheduler.commands().await.into_iter();
    let submits = commands.filter_map(|command| match command {
        Command::Submit(submit) => Some(*submit),
        _ => None,
    });
    submits.collect()
}

#[tokio::test]
async fn a_key_is_one_job_however_often_it_is_used() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let body = json!({"module": "xtb_hello", "inputs": {"text": "once"}});
    let first = keyed(&system, &ada, "order-1", &body).await.expect(202);

    // By many at once, through two gateways, before and after the projection knows.
    let (other, other_runtime) = system.another_gateway().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let at_other = || {
        let request = client.post(format!("http://{other}/jobs")).bearer_auth(&ada).json(&body);
        send(request.header("idempotency-key", "order-1"))
    };
    let many = futures_util::future::join_all((0..20).map(|i| {
        let (system, ada, body) = (&system, &ada, &body);
        async move {
            if i % 2 == 0 { keyed(system, ada, "order-1", body).await } else { at_other().await }
        }
    }));
    for reply in many.await {
        assert_eq!(reply.expect(202), first);
        assert_eq!(reply.headers["idempotency-replayed"], "true");
    }
    other_runtime.stop.cancel();
    let list = system.get("/jobs", &ada).await.expect(200);
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);

    // The same request written in another way is the same; any other is another.
    let request = system.request(Method::POST, "/jobs", &ada);
    let request =
        request.header("idempotency-key", "order-1").header("content-type", "application/json");
    let turned = r#"{ "inputs": {"\u0074ext" : "onc\u0065"}, "module": "xtb_hello" }"#;
    assert_eq!(send(request.body(turned)).await.expect(202), first);
    let other = json!({"module": "xtb_hello", "inputs": {"text": "twice"}});
    let conflict = keyed(&system, &ada, "order-1", &other).await;
    conflict.expect_problem(422, "idempotency_conflict");

    // Keys are each user's own.
    let eve = keyed(&system, &token("eve", "user"), "order-1", &other).await.expect(202);
    assert_ne!(eve["id"], first["id"]);
    // The same answer after the job has ended.
    system.scheduler.succeed(first["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(keyed(&system, &ada, "order-1", &body).await.expect(202), first);
}

#[tokio::test]
async fn a_repeated_request_has_the_same_answer_whatever_has_become_of_what_it_needs() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (before, _) = system.submit(&ada, "noop").await;
    let body = json!({"module": "noop", "after": [before]});
    let first = keyed(&system, &ada, "k", &body).await.expect(202);
    assert_eq!(keyed(&system, &ada, "k", &body).await.expect(202), first);

    // Nothing that follows this job can be admitted any more.
    let path = format!("/jobs/{before}/cancel");
    let canceled = system.post(&path, &ada, &json!({})).await.expect(200);
    system.get(&format!("/jobs/{before}?n={}", canceled["n"]), &ada).await.expect(200);
    system.post("/jobs", &ada, &body).await.expect_problem(422, "invalid_request");
    let again = keyed(&system, &ada, "k", &body).await;
    assert_eq!(again.expect(202), first);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = json!({"module": "noop", "after": [before], "priority": 1});
    keyed(&system, &ada, "k", &other).await.expect_problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn a_bulk_s_key_is_no_other_request_s() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let job = json!({"module": "noop"});
    let bulk = json!({"jobs": [job], "atomic": false});
    let request = || system.request(Method::POST, "/jobs/batch", &ada).json(&bulk);
    let first = send(request().header("idempotency-key", "k")).await.expect(200);
    assert_eq!(send(request().header("idempotency-key", "k")).await.expect(200), first);
    let first = &first["jobs"][0]["accepted"]["id"];
    for key in ["k#0", "k0", "k"] {
        let single = keyed(&system, &ada, key, &job).await.expect(202);
        assert_ne!(&single["id"], first, "{key}");
    }
}

#[tokio::test]
async fn a_conflict_is_found_although_the_projection_lags() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.hold_projection().await;
    let first = keyed(&system, &ada, "k", &json!({"module": "noop"})).await.expect(202);
    assert_eq!(keyed(&system, &ada, "k", &json!({"module": "noop"})).await.expect(202), first);
    let other = keyed(&system, &ada, "k", &json!({"module": "noop", "priority": 1})).await;
    other.expect_problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn an_old_stamp_is_made_new_once() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let stale = Refusal::new(ProblemCode::StaleStamp, "older than what is remembered");
    for key in [None, Some("k")] {
        system.scheduler.set_mood(Mood::RefuseOnce(stale.clone()));
        let before = submits(&system).await.len();
        let body = json!({"module": "noop"});
        let reply = match key {
            Some(key) => keyed(&system, &ada, key, &body).await,
            None => system.post("/jobs", &ada, &body).await,
        };
        let body = reply.expect(202);
        let tries = submits(&system).await.split_off(before);
        assert_eq!(tries.len(), 2);
        assert_eq!(tries[0].job_id, tries[1].job_id);
        assert_eq!(body["job_id"], tries[1].job_id.to_string());
        assert!(tries[1].seen >= tries[0].seen && tries[0].seen.0 > 0);
    }
    system.scheduler.set_mood(Mood::Refuse(stale));
    let reply = system.post("/jobs", &ada, &json!({"module": "noop"})).await;
    reply.expect_problem(503, "stale_stamp");
}

#[tokio::test]
async fn a_new_id_is_stamped_by_the_log_s_end_however_far_the_view_is_behind() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.hold_projection().await;
    let (_, n) = system.submit(&ada, "noop").await;
    // One that has heard of nothing yet.
    let (other, _) = system.another_gateway().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{other}/jobs")).bearer_auth(&ada);
    send(request.json(&json!({"module": "noop"}))).await.expect(202);
    let last = submits(&system).await.pop().unwrap();
    assert!(last.seen.0 >= n, "{} is from before {n}", last.seen);
}

#[tokio::test]
async fn a_job_that_nobody_decides_in_time_is_pending_and_will_be_decided() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.set_mood(Mood::Sleep);
    let reply = system.post("/jobs", &ada, &json!({"module": "noop"})).await;
    let body = reply.expect(202);
    assert_eq!(body["pending"], true);
    assert_eq!((&body["status"], &body["state"]), (&json!("queued"), &json!("queued")));
    assert!(body["n"].is_null());
    let id = body["job_id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("/jobs/{id}"));

    system.scheduler.set_mood(Mood::Decide);
    until(async || submits(&system).await.len() == 2).await;
    let tries = submits(&system).await;
    assert!(!tries[0].pending && tries[1].pending);
    assert_eq!(tries[0].job_id, tries[1].job_id);
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!(job["status"], "queued");

    system.scheduler.set_mood(Mood::Mute);
    let canceled = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(202);
    assert_eq!(canceled["pending"], true);
    assert_eq!(canceled["status"], "queued");
    until(async || {
        let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
        job["status"] == "canceled"
    })
    .await;
}

#[tokio::test]
async fn what_the_scheduler_refuses_has_the_status_that_clients_expect() {
    let system = System::start().await;
    let ada = token("ada", "user");
    for (code, status, retry) in [
        (ProblemCode::BudgetExhausted, 429, true),
        (ProblemCode::QueueFull, 429, true),
        (ProblemCode::RequestTooLarge, 403, false),
        (ProblemCode::DisabledModule, 409, false),
        (ProblemCode::UnknownModule, 422, false),
        (ProblemCode::Overloaded, 503, true),
    ] {
        let mut refusal = Refusal::new(code, "the reason");
        refusal.quota = Some("cpu_seconds".to_owned());
        refusal.usage = Some(90);
        refusal.limit = Some(100);
        refusal.requested = Some(60);
        system.scheduler.set_mood(Mood::Refuse(refusal));
        let reply = system.post("/jobs", &ada, &json!({"module": "noop"})).await;
        let body = reply.expect_problem(status, code.as_str());
        assert_eq!(body["message"], "the reason");
        assert_eq!(body["quota_type"], "cpu_seconds");
        assert_eq!(body["current_usage"], 90);
        assert_eq!(body["limit"], 100);
        assert_eq!(body["percentage"], 90.0);
        assert_eq!(reply.headers.contains_key("retry-after"), retry, "{code}");
        assert_eq!(body["retry_after"].is_u64(), retry, "{code}");
        let page = system.get(body["type"].as_str().unwrap(), "").await;
        assert_eq!(page.status, 200);
    }
}

#[tokio::test]
async fn inputs_are_checked_by_the_module_s_schema() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let ask = async |inputs: Value| {
        system.post("/jobs", &ada, &json!({"module": "xtb_hello", "inputs": inputs})).await
    };
    let body = ask(json!({"text": 5})).await.expect_problem(422, "invalid_inputs");
    assert_eq!(body["errors"][0]["pointer"], "/inputs/text");
    ask(json!({})).await.expect_problem(422, "invalid_inputs");
    ask(Value::Null).await.expect_problem(422, "invalid_inputs");
    ask(json!({"text": "\u{0}"})).await.expect_problem(422, "unstorable_json");
    ask(json!({"text": "x".repeat(20_000)})).await.expect_problem(413, "body_too_large");
    assert!(submits(&system).await.is_empty());

    // A new version of the module counts soon after it was declared.
    system.scheduler.declare_module("xtb_hello", json!({"required": ["number"]})).await;
    until(async || ask(json!({"number": 1})).await.status == 202).await;
    ask(json!({"text": "old"})).await.expect_problem(422, "invalid_inputs");
}

#[tokio::test]
async fn a_job_may_follow_others() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (done, _) = system.submit(&ada, "noop").await;
    let (open, _) = system.submit(&ada, "noop").await;
    system.scheduler.succeed(done.parse().unwrap()).await;
    let body = json!({"module": "noop", "after": [done, open], "run_at": "2030-01-01T00:00:00Z"});
    system.post("/jobs", &ada, &body).await.expect(202);
    let last = submits(&system).await.pop().unwrap();
    assert_eq!(last.after, vec![open.parse().unwrap()]);
    assert_eq!(last.run_at.unwrap().to_string(), "2030-01-01T00:00:00Z");

    system.post(&format!("/jobs/{open}/cancel"), &ada, &json!({})).await.expect(200);
    let body = system.post("/jobs", &ada, &body).await.expect_problem(422, "invalid_request");
    assert_eq!(body["errors"][0]["pointer"], "/after/1");
}

#[tokio::test]
async fn many_jobs_in_one_request_are_each_judged_by_themselves() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let jobs: Vec<_> = (0..900)
        .map(|i| match i {
            7 => json!({"module": "noop", "priority": 77}),
            8 => json!("no job"),
            9 => json!({"module": "xtb_hello", "inputs": {}}),
            i => json!({"module": "noop", "inputs": {"i": i}}),
        })
        .collect();
    let request = system
        .request(Method::POST, "/jobs/batch", &ada)
        .json(&json!({"jobs": jobs, "atomic": false}));
    let answers = send(request.header("idempotency-key", "bulk-1")).await.expect(200);
    let answers = answers["jobs"].as_array().unwrap();
    assert_eq!(answers.len(), 900);
    assert_eq!(answers[7]["problem"]["errors"][0]["pointer"], "/jobs/7/priority");
    assert_eq!(answers[8]["problem"]["code"], "invalid_request");
    assert_eq!(answers[9]["problem"]["code"], "invalid_inputs");

    let submits = submits(&system).await;
    assert_eq!(submits.len(), 897);
    for (place, answer) in answers.iter().enumerate().filter(|(place, _)| !(7..10).contains(place))
    {
        let id = answer["accepted"]["job_id"].as_str().unwrap();
        let submit = submits.iter().find(|submit| submit.job_id.to_string() == id).unwrap();
        assert_eq!(submit.inputs.get(), format!("{{\"i\":{place}}}"));
    }
    // Packed: a write to stable storage for hundreds of them.
    let messages = system.scheduler.messages().await;
    assert!(messages.len() <= 6, "{} messages", messages.len());

    // Repeated, they are the same jobs.
    let request = system
        .request(Method::POST, "/jobs/batch", &ada)
        .json(&json!({"jobs": jobs, "atomic": false}));
    let again = send(request.header("idempotency-key", "bulk-1")).await.expect(200);
    assert_eq!(again["jobs"][0], answers[0]);
    assert_eq!(again["jobs"][899], answers[899]);
    for body in [json!({"jobs": []}), json!({}), json!({"jobs": [{}], "x": 1})] {
        let reply = system.post("/jobs/batch", &ada, &body).await;
        reply.expect_problem(422, "invalid_request");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_messages_and_tenants_do_not() {
    let system = System::start().await;
    let tokens: Vec<_> =
        (0..4).map(|i| crate::system::tenant_token(&format!("t{i}"), "ada", "user")).collect();
    let body = json!({"module": "noop"});
    // From here on the module is known: what is tried is packing, not reading.
    system.submit(&token("ada", "user"), "noop").await;
    let before = system.scheduler.messages().await.len();
    let requests = (0..400).map(|i| system.post("/jobs", &tokens[i % 4], &body));
    let replies = futures_util::future::join_all(requests).await;
    let ids: HashSet<_> =
        replies.iter().map(|reply| reply.expect(202)["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 400);
    let messages = system.scheduler.messages().await.split_off(before);
    assert_eq!(messages.iter().map(|message| message.commands.len()).sum::<usize>(), 400);
    assert!(messages.len() < 300, "{} messages", messages.len());
    for token in &tokens {
        let list = system.get("/jobs?limit=200", token).await.expect(200);
        assert_eq!(list["jobs"].as_array().unwrap().len(), 100);
    }
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_in_hand() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.set_mood(Mood::Sleep);
    let body = json!({"module": "noop"});
    let in_hand = system.post("/jobs", &ada, &body);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        system.runtime.stop.cancel();
        tokio::time::sleep(Duration::from_millis(200)).await;
        system.scheduler.set_mood(Mood::Decide);
    };
    let (reply, ()) = tokio::join!(in_hand, stop);
    reply.expect(202);
    tokio::time::timeout(Duration::from_secs(10), system.gateway).await.unwrap().unwrap();
}
