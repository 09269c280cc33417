//! All jobs of a list, canceled or repeated at once.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{Reply, System, send, token};

async fn act(system: &System, token: &str, path: &str, key: Option<&str>) -> Reply {
    let mut request = system.request(Method::POST, path, token);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(request).await
}

async fn submit(system: &System, token: &str, body: &Value, count: usize) {
    let body = json!({"jobs": vec![body; count]});
    system.post("/jobs/batch", token, &body).await.expect(202);
}

async fn states(system: &System, token: &str, query: &str) -> Vec<String> {
    let list = system.get(&format!("/jobs?limit=200&{query}"), token).await.expect(200);
    let jobs = list["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_a_preview_counts_is_what_is_canceled_and_nothing_else() {
    let system = System::start().await;
    let (ada, eve, root) = (token("ada", "user"), token("eve", "user"), token("root", "admin"));
    let red = json!({"module": "noop", "labels": {"colour": "red"}});
    let blue = json!({"module": "noop", "labels": {"colour": "blue"}});
    submit(&system, &ada, &red, 300).await;
    submit(&system, &ada, &blue, 2).await;
    submit(&system, &eve, &red, 3).await;

    let filter = "label=colour%3Dred";
    let preview = act(&system, &ada, &format!("/jobs/cancel?{filter}&preview=true"), None).await;
    let preview = preview.expect(200);
    assert_eq!((&preview["preview"], &preview["count"]), (&json!(true), &json!(300)));
    assert_eq!(preview["complete"], true);
    let there = states(&system, &ada, filter).await;
    assert!(there.iter().all(|state| state == "queued"), "a preview does nothing");

    // More than was said: nothing happens.
    let path = format!("/jobs/cancel?{filter}&at_most=299");
    assert_eq!(act(&system, &ada, &path, None).await.expect(409)["code"], "at_most_exceeded");
    assert!(states(&system, &ada, filter).await.iter().all(|state| state == "queued"));

    // In two requests.
    let path = format!("/jobs/cancel?{filter}&at_most=300&limit=250");
    let first = act(&system, &ada, &path, None).await.expect(200);
    assert_eq!((&first["count"], &first["complete"]), (&json!(250), &json!(false)));
    let path = format!("/jobs/cancel?{filter}&cursor={}", first["next"].as_str().unwrap());
    let second = act(&system, &ada, &path, None).await.expect(200);
    assert_eq!((&second["count"], &second["complete"]), (&json!(50), &json!(true)));
    let jobs = [&first, &second].into_iter().flat_map(|answer| answer["jobs"].as_array().unwrap());
    let ids: BTreeSet<_> = jobs.map(|job| job["job_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 300);
    // They are seen to be.
    assert!(states(&system, &ada, filter).await.iter().all(|state| state == "canceled"));
    let blue = states(&system, &ada, "label=colour%3Dblue").await;
    assert_eq!(blue, ["queued", "queued"]);
    assert_eq!(states(&system, &eve, filter).await, ["queued", "queued", "queued"]);
    let none = act(&system, &ada, &format!("/jobs/cancel?{filter}"), None).await.expect(200);
    assert_eq!(none["count"], 0);

    // Another's are neither counted nor ended, and an admin's word ends them.
    for path in ["/jobs/cancel?user_id=eve&preview=true", "/jobs/cancel?user_id=eve"] {
        assert_eq!(act(&system, &ada, path, None).await.expect(200)["count"], 0);
    }
    assert_eq!(act(&system, &root, "/jobs/cancel?user_id=eve", None).await.expect(200)["count"], 3);
    assert!(states(&system, &eve, "").await.iter().all(|state| state == "canceled"));
}

#[tokio::test]
async fn each_job_of_a_list_is_repeated_once_under_a_key() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let hello = json!({"module": "xtb_hello", "inputs": {"text": "a"}, "release_id": "r-1"});
    submit(&system, &ada, &hello, 5).await;
    let list = system.get("/jobs?release_id=r-1", &ada).await.expect(200);
    let ids: Vec<_> =
        list["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
    act(&system, &ada, "/jobs/cancel?release_id=r-1&limit=3", None).await.expect(200);

    // Those that have ended.
    let preview = act(&system, &ada, "/jobs/retry?release_id=r-1&preview=true", None).await;
    assert_eq!(preview.expect(200)["count"], 3);
    let path = "/jobs/retry?release_id=r-1&status=canceled";
    let first = act(&system, &ada, path, Some("again")).await.expect(200);
    assert_eq!((&first["count"], &first["complete"]), (&json!(3), &json!(true)));
    for one in first["jobs"].as_array().unwrap() {
        assert!(ids.contains(&one["retry_of"]), "{one}");
        let id = one["job_id"].as_str().unwrap();
        let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
        assert_eq!(job["retry_of"], one["retry_of"]);
        assert_eq!(job["inputs"], json!({"text": "a"}));
    }
    let again = act(&system, &ada, path, Some("again")).await.expect(200);
    assert_eq!(again["jobs"], first["jobs"]);
    let other = act(&system, &ada, path, Some("once more")).await.expect(200);
    assert_ne!(other["jobs"], first["jobs"]);
}

#[tokio::test]
async fn nothing_is_done_to_all_jobs_by_mistake() {
    let system = System::start().await;
    let ada = token("ada", "user");
    submit(&system, &ada, &json!({"module": "noop"}), 2).await;
    for path in ["/jobs/cancel", "/jobs/retry", "/jobs/cancel?limit=5", "/jobs/cancel?stauts=x"] {
        let problem = act(&system, &ada, path, None).await.expect(422);
        assert_eq!(problem["code"], "invalid_request", "{path}");
    }
    assert_eq!(states(&system, &ada, "").await, ["queued", "queued"]);
}
