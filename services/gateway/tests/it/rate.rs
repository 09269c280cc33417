//! How many requests a user may make, and what it is told of that; and answers that it has already.

use nox_gateway::RateSettings;
use reqwest::Method;
use serde_json::json;

use crate::system::{System, send, token};

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_ask_again_and_others_are_not() {
    let mut system = System::start().await;
    system.limited_to(RateSettings { per_second: 1, burst: 5 }).await;
    let (ada, eve) = (token("ada", "user"), token("eve", "user"));
    let mut refused = None;
    for left in (0..5).rev() {
        let answer = system.get("/me", &ada).await;
        assert_eq!(answer.headers["ratelimit-policy"], "\"user\";q=5;w=5");
        let limit = answer.headers["ratelimit"].to_str().unwrap();
        assert!(limit.starts_with(&format!("\"user\";r={left};t=")), "{limit}");
        answer.expect(200);
    }
    // Some may have become free meanwhile.
    for _ in 0..5 {
        let answer = system.get("/me", &ada).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("one of ten");
    let seconds: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    refused.expect_problem(429, "rate_limited");
    system.get("/me", &eve).await.expect(200);
    // What asks for no token has no limit of a user.
    let health = system.get("/health", "").await;
    assert!(!health.headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn a_job_that_its_reader_has_is_not_sent_again_until_it_changes() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, n) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}?n={n}");
    let first = system.get(&path, &ada).await;
    let tag = first.headers["etag"].clone();
    assert_eq!(first.headers["cache-control"], "private, no-cache");
    first.expect(200);
    let again = |tag: &str| system.request(Method::GET, &path, &ada).header("If-None-Match", tag);
    let same = send(again(tag.to_str().unwrap())).await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    assert_eq!(same.headers["etag"], tag);
    assert_eq!(send(again("\"another\"")).await.status, 200);
    system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(200);
    let changed = send(again(tag.to_str().unwrap())).await;
    assert_ne!(changed.headers["etag"], tag);
    assert_eq!(changed.expect(200)["state"], "canceled");
}
