//! What operators and admins look at and change: workers, limits, and what these refuse.

use std::time::Duration;

use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{noop, slow_mark};

const WITHIN: Duration = Duration::from_secs(30);

fn operator(cluster: &Cluster) -> Client {
    cluster.client_with(json!({"sub": "root", "role": "admin"}))
}

async fn get(client: &Client, path: &str) -> Value {
    let answer = client.get(0, path).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.body
}

async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let request = client.request(0, method, path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    client.send(request).await.unwrap()
}

/// Submits a job; returns its id.
async fn submit(client: &Client, body: &Value) -> String {
    let answer = client.post(0, "/jobs", body).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn until_job(client: &Client, id: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let job = client.get(0, &format!("/jobs/{id}")).await.map_err(anyhow::Error::msg)?.body;
        Ok(is_it(&job).then_some(job))
    };
    until(WITHIN, what, look).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_is_told_as_such_and_so_is_what_waits_for_it() {
    let cluster = Cluster::start(Options { slots: 1, ..Options::default() }).await.unwrap();
    let (ada, root) = (cluster.client("ada"), operator(&cluster));
    let running = submit(&ada, &slow_mark("drained", 3.0)).await;
    until_job(&ada, &running, "the job to run", |job| job["state"] == "running").await;
    let waiting = submit(&ada, &noop()).await;
    until_job(&ada, &waiting, "its reason", |job| job["waiting"]["code"] == "resources").await;

    let listed = get(&ada, "/workers").await;
    let [worker] = listed["workers"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    let id = worker["id"].as_str().unwrap().to_owned();
    assert_eq!((&worker["state"], &worker["capacity"]["slots"]), (&json!("joined"), &json!(1)));
    assert_eq!(worker["running"][0]["job_id"], running, "{worker}");
    assert_eq!(worker.get("running_jobs"), None, "how much others run is for operators");
    let eve = cluster.client("eve");
    assert_eq!(get(&eve, "/workers").await["workers"][0]["running"], json!([]));
    assert_eq!(get(&root, "/workers").await["workers"][0]["running_jobs"], 1);

    let drain = format!("/workers/{id}/drain");
    assert_eq!(send(&ada, Method::POST, &drain, None).await.status, StatusCode::FORBIDDEN);
    let drained = send(&root, Method::POST, &drain, None).await;
    assert_eq!(drained.status, StatusCode::OK, "{}", drained.body);
    assert_eq!((&drained.body["worker_id"], &drained.body["drained"]), (&json!(id), &json!(true)));
    // Twice is as good as once.
    assert_eq!(send(&root, Method::POST, &drain, None).await.status, StatusCode::OK);

    let shown = get(&ada, &format!("/workers/{id}")).await;
    assert_eq!((&shown["state"], &shown["drained_by"]), (&json!("drained"), &json!("root")));
    for (state, count) in [("drained", 1), ("joined", 0)] {
        let listed = get(&ada, &format!("/workers?state={state}")).await;
        assert_eq!(listed["workers"].as_array().unwrap().len(), count, "{state}");
    }
    // What it has it ends, and what waits says why it is given to nobody.
    until_job(&ada, &running, "its end", |job| job["state"] == "succeeded").await;
    let held_up = |job: &Value| job["waiting"]["code"] == "drained";
    let job = until_job(&ada, &waiting, "the other reason", held_up).await;
    assert!(job["waiting"]["message"].as_str().unwrap().contains("operator"), "{job}");
    assert_eq!(job["state"], "queued");
    let found = get(&ada, "/jobs?waiting=drained").await;
    assert_eq!(found["jobs"][0]["id"], waiting);

    let undrain = format!("/workers/{id}/undrain");
    let undrained = send(&root, Method::POST, &undrain, None).await;
    assert_eq!((undrained.status, &undrained.body["drained"]), (StatusCode::OK, &json!(false)));
    until_job(&ada, &waiting, "it to run", |job| job["state"] == "succeeded").await;
    let unknown = send(&root, Method::POST, "/workers/nobody/drain", None).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::NOT_FOUND, "worker_not_found"));
    assert_eq!(cluster.internal_errors(), 0);
}

fn limits(queued_jobs: u32, cpu: u32) -> Value {
    json!({"cpu_seconds": 1_000, "queued_jobs": queued_jobs, "running_jobs": 4, "cpu": cpu, "mem_mb": 4_096,
           "drafts": 3, "starts_per_minute": 4_294_967_295_u32})
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_set_hold_at_once_and_what_they_cost_and_refuse_is_listed_in_pages() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let (ada, root) = (cluster.client("ada"), operator(&cluster));
    for _ in 0..3 {
        let id = submit(&ada, &noop()).await;
        until_job(&ada, &id, "its end", |job| job["state"] == "succeeded").await;
    }
    let put = json!({"limits": limits(2, 2), "reason": "a trial"});
    let denied = send(&ada, Method::PUT, "/quotas/ada", Some(&put)).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN, "{}", denied.body);
    let set = send(&root, Method::PUT, "/quotas/ada", Some(&put)).await;
    assert_eq!((set.status, &set.body["account"]), (StatusCode::OK, &json!("user/ada")));
    let shown = get(&ada, "/quotas/ada").await;
    assert_eq!((&shown["limits"], &shown["change"]["reason"]), (&put["limits"], &json!("a trial")));
    assert_eq!(shown["change"]["by"], "root");

    // Each of these refusals is one that the limits alone explain.
    let mut large = noop();
    large["requested_resources"] = json!({"cpu": 3});
    let refused = ada.post(0, "/jobs", &large).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "request_too_large"));
    let mut later = noop();
    later["run_at"] = json!("2099-01-01T00:00:00Z");
    let mut long = later.clone();
    long["requested_resources"] = json!({"wall_time_s": 600});
    submit(&ada, &long).await;
    let refused = ada.post(0, "/jobs", &long).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "budget_exhausted"));
    submit(&ada, &later).await;
    let refused = ada.post(0, "/jobs", &noop()).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "queue_full"));

    let pages = ["violations", "ledger"].map(|list| format!("/quotas/my/{list}"));
    // A list is of rows as they are, which may be some milliseconds behind.
    for (page, member, count) in [(&pages[0], "violations", 3), (&pages[1], "ledger", 5)] {
        let look = async || {
            Ok((get(&ada, page).await[member].as_array().unwrap().len() == count).then_some(()))
        };
        until(WITHIN, member, look).await.unwrap();
    }
    let violations = walk(&ada, &pages[0], "violations").await;
    let codes: Vec<_> = violations.iter().map(|row| row["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["queue_full", "budget_exhausted", "request_too_large"]);
    assert_eq!((&violations[2]["limit"], &violations[2]["requested"]), (&json!(2), &json!(3)));
    let lines = walk(&ada, &pages[1], "ledger").await;
    assert_eq!(lines.len(), 5);
    for line in &lines[2..] {
        let [reservation, reserved, used, released] =
            ["reservation", "reserved", "used", "released"]
                .map(|name| line[name].as_i64().unwrap());
        assert_eq!((reserved, reservation), (0, used + released), "{line}");
    }
    assert_eq!((&lines[1]["reserved"], &lines[1]["reservation"]), (&json!(600), &json!(600)));
    let usage = get(&ada, "/quotas/my/usage").await;
    assert_eq!(
        (&usage["usage"][1]["current_usage"], &usage["usage"][1]["limit"]),
        (&json!(2), &json!(2))
    );
    // Nobody else's.
    for page in &pages {
        let eve = get(&cluster.client("eve"), page).await;
        let listed = eve.get("violations").or_else(|| eve.get("ledger"));
        assert_eq!(listed, Some(&json!([])), "{eve}");
    }

    let reset = send(&root, Method::DELETE, "/quotas/ada?reason=over", None).await;
    assert_eq!(reset.status, StatusCode::OK, "{}", reset.body);
    submit(&ada, &noop()).await;
    assert_eq!(cluster.internal_errors(), 0);
}

/// All rows of a list, a row a page, by its links; each page is the asker's already when it asks again.
async fn walk(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut place = Some(format!("{path}?limit=1"));
    while let Some(path) = place.take() {
        let page = client.get(0, &path).await.unwrap();
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        rows.extend(page.body[member].as_array().unwrap().clone());
        let again =
            client.request(0, Method::GET, &path).header("If-None-Match", &page.headers["etag"]);
        assert_eq!(client.send(again).await.unwrap().status, StatusCode::NOT_MODIFIED, "{path}");
        let links = page.headers["link"].to_str().unwrap();
        let link = |relation: &str| {
            let is_it = format!("; rel=\"{relation}\"");
            let link = links.split(", ").find_map(|link| link.strip_suffix(&is_it))?;
            Some(link.strip_prefix('<')?.strip_suffix('>')?.to_owned())
        };
        assert!(link("first").unwrap().ends_with("?limit=1"), "{links}");
        place = link("next");
        assert_eq!(place.is_some(), !page.body["next"].is_null(), "{links}");
    }
    rows
}
