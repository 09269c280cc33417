//! Whatever is wrong with a request, the answer says what: a status and a code, and never a 500.

use std::time::Duration;

use nox_testkit::system::{
    checker::check,
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    recorder::Heard,
};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{admitted, mark};

const WITHIN: Duration = Duration::from_secs(30);
const SOMEBODYS: &str = "0193a000-0000-7000-8000-000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_is_told_what_is_wrong_with_it() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    bodies(&ada).await;
    resources(&ada).await;
    addresses(&ada).await;
    identities(&cluster).await;
    keys(&ada).await;
    ended_jobs(&ada).await;
    modules(&cluster, &ada).await;
    let refused = cluster.recorder.calls();
    let refused =
        refused.iter().filter(|c| matches!(c.heard, Some((_, Heard::Refused { .. })))).count();
    println!("{refused} of the recorded calls were refused");

    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
    assert_eq!(cluster.internal_errors(), 0);
}

#[track_caller]
fn is(answer: &Answer, status: u16, code: &str) {
    let found = (answer.status.as_u16(), answer.code());
    assert_eq!(found, (status, code), "{}", answer.body);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    assert!(answer.body["detail"].is_string() && answer.body["type"].is_string());
}

async fn post_text(client: &Client, path: &str, body: impl Into<String>) -> Answer {
    let request = client.request(0, Method::POST, path);
    let request = request.header(CONTENT_TYPE, "application/json").body(body.into());
    client.send(request).await.unwrap()
}

async fn post(client: &Client, body: Value) -> Answer {
    post_text(client, "/jobs", body.to_string()).await
}

async fn bodies(ada: &Client) {
    for malformed in ["", "{", "nonsense", "{\"module\":}", "{\"module\":\"mark\"}}", "\u{1}"] {
        is(&post_text(ada, "/jobs", malformed).await, 400, "malformed_json");
    }
    for wrong in [
        json!(null),
        json!([]),
        json!("mark"),
        json!({}),
        json!({"module": 7}),
        json!({"module": null}),
        json!({"module": "Not A Name"}),
        json!({"module": "mark", "inputs": {}, "unknown": 1}),
        json!({"module": "mark", "priority": 10}),
        json!({"module": "mark", "priority": -1}),
        json!({"module": "mark", "priority": "high"}),
        json!({"module": "mark", "run_at": "tomorrow"}),
        json!({"module": "mark", "after": "x"}),
        json!({"module": "mark", "after": [SOMEBODYS]}),
        json!({"module": "mark", "after": [SOMEBODYS, SOMEBODYS]}),
    ] {
        is(&post(ada, wrong).await, 422, "invalid_request");
    }
    // One member twice.
    let twice = r#"{"module":"mark","module":"noop"}"#;
    is(&post_text(ada, "/jobs", twice).await, 422, "invalid_request");

    for (inputs, pointer) in [
        (json!({"mark": 5}), "/inputs/mark"),
        (json!({"sleep": -1}), "/inputs/sleep"),
        (json!({"fails": 0.5}), "/inputs/fails"),
        (json!([]), "/inputs"),
        (json!("text"), "/inputs"),
        (json!(null), "/inputs"),
    ] {
        let answer = post(ada, json!({"module": "mark", "inputs": inputs})).await;
        is(&answer, 422, "invalid_inputs");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{}", answer.body);
    }
    let hello = post(ada, json!({"module": "xtb_hello", "inputs": {}})).await;
    is(&hello, 422, "invalid_inputs");

    let large = json!({"module": "mark", "inputs": {"mark": "x".repeat(17 * 1024)}});
    is(&post(ada, large).await, 413, "body_too_large");
    let huge = format!("{{\"module\":\"mark\",\"x\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    is(&post_text(ada, "/jobs", huge).await, 413, "body_too_large");
    let unstorable = r#"{"module":"mark","inputs":{"mark":"\u0000"}}"#;
    is(&post_text(ada, "/jobs", unstorable).await, 422, "unstorable_json");

    let request = ada.request(0, Method::POST, "/jobs").header(CONTENT_TYPE, "text/plain");
    is(&ada.send(request.body("{}")).await.unwrap(), 415, "unsupported_media_type");
    let request = ada.request(0, Method::POST, "/jobs").header(CONTENT_TYPE, "application/json");
    let packed = request.header("Content-Encoding", "gzip").body("{}");
    is(&ada.send(packed).await.unwrap(), 415, "unsupported_media_type");

    for wrong in ["{}", "[]", r#"{"jobs":[]}"#, r#"{"jobs":{}}"#, r#"{"jobs":[1],"x":1}"#] {
        is(&post_text(ada, "/jobs/batch", wrong).await, 422, "invalid_request");
    }
    // Each job of many is judged by itself.
    let good = json!({"module": "mark", "inputs": {"mark": "among bad ones"}});
    let bodies = [json!(1), json!({"module": "nowhere"}), good.clone()];
    let heard = ada.submit_bulk(0, &bodies, Some("mixed")).await;
    assert!(matches!(&heard[0], Heard::Refused { code, .. } if code == "invalid_request"));
    assert!(matches!(&heard[1], Heard::Refused { code, .. } if code == "unknown_module"));
    assert!(matches!(heard[2], Heard::Admitted { .. }));
}

async fn resources(ada: &Client) {
    for wrong in [
        json!({"cpu": -1}),
        json!({"cpu": 0}),
        json!({"cpu": 1.5}),
        json!({"cpu": "1"}),
        json!({"mem_mb": -256}),
        json!({"wall_time_s": 0}),
        json!({"wall_time_s": -60}),
        json!({"wall_time_s": 1e30}),
        json!({"gpu": -1}),
        json!({"cores": 1}),
        json!([]),
        json!(null),
    ] {
        let answer = post(ada, json!({"module": "mark", "requested_resources": wrong})).await;
        is(&answer, 422, "invalid_request");
    }
    // Larger than its owner may ever have, and no time to come helps.
    let body = json!({"module": "mark", "inputs": {"mark": "too large"},
        "requested_resources": {"cpu": 65, "mem_mb": 1, "wall_time_s": 1}});
    let heard = ada.submit(0, &body, None).await;
    assert_eq!(heard, Heard::Refused { status: 403, code: "request_too_large".to_owned() });
    // More core seconds than the day has left: one job has nearly all of them, and is not due yet.
    let long = |mark: &str, seconds: u32| {
        json!({"module": "mark", "inputs": {"mark": mark}, "run_at": "2099-01-01T00:00:00Z",
            "requested_resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": seconds}})
    };
    let (first, _) = admitted(ada.submit(0, &long("long", 190_000), None).await);
    let answer = post(ada, long("too long", 20_000)).await;
    is(&answer, 429, "budget_exhausted");
    assert!(matches!(ada.cancel(0, first).await, Heard::Canceled { n: Some(_) }));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(answer.body["quota_type"], "cpu_seconds");
    let violations = async || {
        let answer = ada.get(0, "/quotas/my/violations").await.map_err(anyhow::Error::msg)?;
        Ok(answer.body.to_string().contains("budget_exhausted").then_some(()))
    };
    until(WITHIN, "the violation to be listed", violations).await.unwrap();
}

async fn addresses(ada: &Client) {
    for path in ["/nowhere", "/jobs/", "/api", "/jobs/batch/x", "/modules/mark/switch"] {
        is(&ada.get(0, path).await.unwrap(), 404, "route_not_found");
    }
    for (method, path) in [
        (Method::DELETE, "/jobs"),
        (Method::PUT, "/jobs/batch"),
        (Method::POST, "/health"),
        (Method::PATCH, "/modules"),
    ] {
        let answer = ada.send(ada.request(0, method, path)).await.unwrap();
        is(&answer, 405, "method_not_allowed");
    }
    for id in ["1", "not-a-uuid", "0193a000-0000-7000-8000-00000000000g", "%00", "..%2f"] {
        is(&ada.get(0, &format!("/jobs/{id}")).await.unwrap(), 400, "invalid_id");
        let answer = ada.send(ada.request(0, Method::POST, &format!("/jobs/{id}/cancel"))).await;
        is(&answer.unwrap(), 400, "invalid_id");
    }
    for rest in ["", "/logs", "/events"] {
        let path = format!("/jobs/{SOMEBODYS}{rest}");
        is(&ada.get(0, &path).await.unwrap(), 404, "job_not_found");
    }
    let path = format!("/jobs/{SOMEBODYS}/cancel");
    is(&ada.send(ada.request(0, Method::POST, &path)).await.unwrap(), 404, "job_not_found");
    for query in ["status=odd", "limit=0", "limit=1001", "limit=x", "cursor=x", "misspelt=1", "n=x"]
    {
        let answer = ada.get(0, &format!("/jobs?{query}")).await.unwrap();
        is(&answer, 422, "invalid_request");
    }
    is(&ada.get(0, "/modules/nowhere").await.unwrap(), 404, "module_not_found");
    let heard = ada.submit(0, &json!({"module": "nowhere", "inputs": {"mark": "?"}}), None).await;
    assert_eq!(heard, Heard::Refused { status: 422, code: "unknown_module".to_owned() });
}

async fn identities(cluster: &Cluster) {
    let ada = cluster.client("ada");
    let anonymous = reqwest::Client::new();
    let send = async |request: reqwest::RequestBuilder| ada.send(request).await.unwrap();
    let jobs = ada.url(0, "/jobs");
    for request in [
        anonymous.get(&jobs),
        anonymous.post(&jobs).json(&mark("anonymous")),
        anonymous.get(&jobs).bearer_auth("nonsense"),
        anonymous.get(&jobs).header("Authorization", format!("Basic {}", ada.token())),
        anonymous.get(format!("{jobs}?token={}", ada.token())),
        anonymous.get(&jobs).bearer_auth(ada.token()).header("Authorization", "Bearer x"),
    ] {
        let answer = send(request).await;
        is(&answer, 401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let claimed = async |claims: Value| {
        let mut all = json!({"sub": "ada", "role": "user"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let client = cluster.client_with(all);
        client.get(0, "/jobs").await.unwrap()
    };
    is(&claimed(json!({"exp": 1_000_000_000})).await, 401, "token_expired");
    for forged in [
        json!({"exp": 99_999_999_999u64}),
        json!({"exp": "soon"}),
        json!({"nbf": 99_999_999_999u64}),
        json!({"roles": 7}),
    ] {
        is(&claimed(forged).await, 401, "unauthenticated");
    }
    let system = cluster.client_with(json!({"sub": "ada", "role": "user", "tenant": "_system"}));
    is(&system.get(0, "/jobs").await.unwrap(), 401, "unauthenticated");
    for powerless in [json!({"role": "guest"}), json!({"role": ""})] {
        is(&claimed(powerless).await, 403, "forbidden");
    }
    let reader =
        cluster.client_with(json!({"sub": "ada", "role": "user", "scope": "compute:read"}));
    assert_eq!(reader.get(0, "/jobs").await.unwrap().status, 200);
    is(&post(&reader, mark("read only")).await, 403, "forbidden");
    let switch = ada.request(0, Method::POST, "/modules/mark/disable");
    is(&ada.send(switch).await.unwrap(), 403, "forbidden");

    // Another user's job and another tenant's look like none at all.
    let (job, n) = admitted(ada.submit(0, &mark("private"), None).await);
    let none = ada.get(0, &format!("/jobs/{SOMEBODYS}")).await.unwrap();
    let strangers = [
        cluster.client("eve"),
        cluster.client_with(json!({"sub": "ada", "role": "admin", "tenant": "other"})),
    ];
    for stranger in strangers {
        for rest in ["", "/logs", "/events", &format!("?n={n}")] {
            let answer = stranger.get(0, &format!("/jobs/{job}{rest}")).await.unwrap();
            is(&answer, 404, "job_not_found");
            assert_eq!(answer.body["detail"], none.body["detail"]);
        }
        let cancel = stranger.request(0, Method::POST, &format!("/jobs/{job}/cancel"));
        is(&stranger.send(cancel).await.unwrap(), 404, "job_not_found");
        let listed = stranger.get(0, &format!("/jobs?user_id=ada&n={n}")).await.unwrap();
        assert_eq!(listed.body["jobs"], json!([]), "a stranger sees {}", listed.body);
    }
}

async fn keys(ada: &Client) {
    let body = mark("keyed");
    let (first, _) = admitted(ada.submit(0, &body, Some("order-7")).await);
    let (again, _) = admitted(ada.submit(0, &body, Some("order-7")).await);
    assert_eq!(first, again);
    let other = ada.submit(0, &mark("something else"), Some("order-7")).await;
    assert_eq!(other, Heard::Refused { status: 422, code: "idempotency_conflict".to_owned() });
    for key in ["", " ", &"x".repeat(256)] {
        let request = ada.request(0, Method::POST, "/jobs").header("Idempotency-Key", key);
        is(&ada.send(request.json(&body)).await.unwrap(), 422, "invalid_request");
    }
    let request = ada.request(0, Method::POST, "/jobs");
    let request = request.header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    is(&ada.send(request.json(&body)).await.unwrap(), 422, "invalid_request");
}

async fn ended_jobs(ada: &Client) {
    let (job, _) = admitted(ada.submit(0, &mark("over soon"), None).await);
    let over = async || {
        let answer = ada.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?;
        Ok((answer.body["state"] == "succeeded").then_some(()))
    };
    until(WITHIN, "a job to succeed", over).await.unwrap();
    let heard = ada.cancel(0, job).await;
    assert_eq!(heard, Heard::Refused { status: 409, code: "already_ended".to_owned() });
    let ended = json!({"module": "mark", "inputs": {"mark": "follows"}, "after": [job]});
    admitted(ada.submit(0, &ended, None).await);
}

async fn modules(cluster: &Cluster, ada: &Client) {
    let admin = cluster.client_with(json!({"sub": "root", "role": "admin"}));
    let switch = |to: &str| admin.request(0, Method::POST, &format!("/modules/xtb_hello/{to}"));
    assert_eq!(admin.send(switch("disable")).await.unwrap().status, 200);
    let body = json!({"module": "xtb_hello", "inputs": {"text": "x", "mark": "disabled"}});
    let heard = ada.submit(0, &body, None).await;
    assert_eq!(heard, Heard::Refused { status: 409, code: "disabled_module".to_owned() });
    assert_eq!(admin.send(switch("enable")).await.unwrap().status, 200);
    let elsewhere = cluster.client_with(json!({"sub": "root", "role": "admin", "tenant": "other"}));
    let request = elsewhere.request(0, Method::POST, "/modules/mark/disable");
    is(&elsewhere.send(request).await.unwrap(), 403, "forbidden");
    let request = admin.request(0, Method::POST, "/modules/nowhere/disable");
    is(&admin.send(request).await.unwrap(), 404, "module_not_found");
}
