//! Why jobs wait and waited, and how they were, over HTTP.

use std::time::Duration;

use nox_contract::JobId;
use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{admitted, noop, slow_mark};

const WITHIN: Duration = Duration::from_secs(30);

async fn get(client: &Client, path: &str) -> Answer {
    client.get(0, path).await.unwrap()
}

async fn why(client: &Client, job: JobId) -> Value {
    let answer = get(client, &format!("/jobs/{job}/why")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Why it waits, once that is the reason.
async fn waits_for(client: &Client, job: JobId, code: &str) -> Value {
    until(WITHIN, code, async || {
        let why = why(client, job).await;
        Ok((why["code"] == code).then_some(why))
    })
    .await
    .unwrap()
}

async fn submit(client: &Client, body: &Value) -> JobId {
    let key = Uuid::now_v7().to_string();
    admitted(client.submit(0, body, Some(&key)).await).0
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_says_what_is_in_its_way_and_names_nobody_else_s() {
    let limits = json!({"roles": {"user": {"running_jobs": 2}}});
    let options = Options::default().env(Kind::Scheduler, "NOX_LIMITS", limits.to_string());
    let cluster = Cluster::start(options).await.unwrap();
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let root = cluster.client_with(json!({"sub": "root", "roles": ["admin"]}));
    let key = json!({"key": "db", "limit": 1});

    let later = submit(&ada, &with(noop(), "run_at", json!("2999-01-01T00:00:00Z"))).await;
    let scheduled = waits_for(&ada, later, "scheduled").await;
    assert_eq!(scheduled["blocked_by"]["until"], "2999-01-01T00:00:00Z", "{scheduled}");

    let follows = submit(&ada, &with(noop(), "after", json!([later]))).await;
    let dependency = waits_for(&ada, follows, "dependency").await;
    let blocking = json!([{"job_id": later, "state": "queued"}]);
    assert_eq!(dependency["blocked_by"]["jobs"], blocking, "{dependency}");

    let holder = submit(&bob, &with(slow_mark("holder", 600.0), "concurrency", key.clone())).await;
    until(WITHIN, "the holder to run", async || {
        Ok((why(&bob, holder).await["state"] == "running").then_some(()))
    })
    .await
    .unwrap();
    let held = submit(&ada, &with(noop(), "concurrency", key)).await;
    let concurrency = waits_for(&ada, held, "concurrency").await;
    let limit = json!({"name": "concurrency", "of": "db", "most": 1, "used": 1});
    assert_eq!(concurrency["blocked_by"]["limit"], limit, "{concurrency}");
    // The holder is somebody else's: counted, and named to those alone who may see it.
    assert_eq!(concurrency["blocked_by"]["jobs"], json!([]));
    assert_eq!(concurrency["blocked_by"]["others"], 1);
    assert!(!concurrency.to_string().contains(&holder.to_string()), "{concurrency}");
    let seen = why(&root, held).await;
    assert_eq!(seen["blocked_by"]["jobs"][0]["job_id"], json!(holder), "{seen}");

    for number in 0..2 {
        let running = submit(&ada, &slow_mark(&format!("running {number}"), 600.0)).await;
        until(WITHIN, "both to run", async || {
            Ok((why(&ada, running).await["state"] == "running").then_some(()))
        })
        .await
        .unwrap();
    }
    let third = submit(&ada, &slow_mark("third", 0.0)).await;
    let quota = waits_for(&ada, third, "quota").await;
    let limit = json!({"name": "running_jobs", "of": "user/ada", "most": 2, "used": 2});
    assert_eq!(quota["blocked_by"]["limit"], limit, "{quota}");
    assert_eq!(quota["blocked_by"]["jobs"].as_array().unwrap().len(), 2, "{quota}");
    let fourth = submit(&ada, &slow_mark("fourth", 0.0)).await;
    let turn = waits_for(&ada, fourth, "priority").await;
    assert_eq!(turn["blocked_by"]["ahead"], 1, "{turn}");

    // Whoever may not see a job hears what anybody hears of one that is not there.
    let hidden = get(&bob, &format!("/jobs/{third}/why")).await;
    let nowhere = get(&bob, &format!("/jobs/{}/why", Uuid::now_v7())).await;
    assert_eq!((hidden.status.as_u16(), hidden.code()), (404, "job_not_found"));
    assert_eq!((nowhere.status.as_u16(), nowhere.code()), (404, "job_not_found"));

    for job in [later, holder] {
        let client = if job == holder { &bob } else { &ada };
        client.cancel(0, job).await;
    }
    // The end of the one is that of the other, and both say how long they waited for what.
    until(WITHIN, "the dependent to end", async || {
        Ok((why(&ada, follows).await["state"] == "failed").then_some(()))
    })
    .await
    .unwrap();
    let ended = why(&ada, follows).await;
    assert_eq!(ended["waited"][0]["code"], "dependency", "{ended}");
    assert!(ended["waited"][0]["seconds"].as_f64().unwrap() > 0.0, "{ended}");
    assert!(ended["reason"].as_str().unwrap().contains("It never ran."), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_shown_as_it_was_at_every_frame_and_instant_of_its_history() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    let job = submit(&ada, &slow_mark("told", 0.3)).await;
    let path = format!("/jobs/{job}");
    let ended = until(WITHIN, "its end", async || {
        let job = get(&ada, &path).await.body;
        Ok((!job["ended_at"].is_null()).then_some(job))
    })
    .await
    .unwrap();

    let events = get(&ada, &format!("{path}/events")).await.body["events"].clone();
    let events = events.as_array().unwrap();
    assert!(events.len() >= 3, "{events:?}");
    let mut states = Vec::new();
    for event in events {
        let (n, at) = (&event["n"], event["at"].as_str().unwrap());
        let by_frame = get(&ada, &format!("{path}?as_of={n}")).await;
        let by_instant = get(&ada, &format!("{path}?as_of={at}")).await;
        assert_eq!(by_frame.status, 200, "{}", by_frame.body);
        assert_eq!(by_frame.body, by_instant.body);
        assert_eq!(&by_frame.body["n"], n);
        assert_eq!(by_frame.body["inputs"], ended["inputs"]);
        states.push(by_frame.body["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states.last().unwrap(), "succeeded");
    assert!(states.contains(&"running".to_owned()), "{states:?}");
    assert!(states.is_sorted_by_key(|state| {
        ["queued", "running", "succeeded"].iter().position(|known| known == state)
    }));
    let last = get(&ada, &format!("{path}?as_of={}", ended["n"])).await;
    assert_eq!(last.body, ended);

    let history = why(&ada, job).await;
    let stood = history["history"].as_array().unwrap();
    assert_eq!(stood.last().unwrap()["state"], "succeeded", "{history}");
    assert!((0.2..30.0).contains(&history["ran_s"].as_f64().unwrap()), "{history}");
    let running = get(&ada, &format!("{path}/why?as_of={}", events[events.len() - 2]["n"])).await;
    assert_eq!(running.body["state"], states[states.len() - 2], "{}", running.body);

    let too_early = get(&ada, &format!("{path}?as_of=2001-01-01T00:00:00Z")).await;
    assert_eq!((too_early.status.as_u16(), too_early.code()), (404, "job_not_found"));
    for wrong in ["", "yesterday", "-1", "2001-01-01"] {
        let answer = get(&ada, &format!("{path}?as_of={wrong}")).await;
        assert_eq!(answer.code(), "invalid_request", "{wrong}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["pointer"], "?as_of");
    }
}
