//! What a job prints, told as it prints it (`GET /jobs/{id}/stream`).

use std::time::{Duration, Instant};

use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(30);

/// An event of a stream.
#[derive(Debug, Clone)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
    heard: Instant,
}

/// Follows a job to the end of its stream, or until `enough`.
async fn follow(client: &Client, path: &str, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let request = client.request(0, Method::GET, path).timeout(WITHIN * 2);
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut events, mut text) = (Vec::new(), String::new());
    while let Some(chunk) = tokio::time::timeout(WITHIN, answer.chunk()).await.unwrap().unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let Some(name) = field("event") {
                events.push(Event {
                    name: name.to_owned(),
                    id: field("id").map(|id| id.parse().unwrap()),
                    data: serde_json::from_str(field("data").unwrap()).unwrap(),
                    heard: Instant::now(),
                });
            }
            text = rest.to_owned();
        }
        if enough(&events) {
            break;
        }
    }
    events
}

fn printed(events: &[Event]) -> String {
    let rows = events.iter().filter(|event| event.name == "log");
    rows.map(|event| event.data["output"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_job_hears_its_rows_as_they_come_and_its_end_and_goes_on_where_it_was() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    let body = json!({"module": "talker", "inputs": {"mark": "streamed", "sleep": 3}});
    let submitted = ada.post(0, "/jobs", &body).await.unwrap();
    let id = submitted.body["id"].as_str().unwrap_or_else(|| panic!("{}", submitted.body));
    let path = format!("/jobs/{id}/stream");

    let all = follow(&ada, &path, |_| false).await;
    let states: Vec<_> = all
        .iter()
        .filter(|event| event.name == "status")
        .map(|event| event.data["state"].as_str().unwrap())
        .collect();
    assert_eq!(states.last(), Some(&"succeeded"), "{all:?}");
    assert!(states.contains(&"running"), "{states:?}");
    let ids: Vec<_> = all.iter().filter_map(|event| event.id).collect();
    assert!(ids.is_sorted() && ids.len() >= 2, "{ids:?}");
    assert!(printed(&all).ends_with("Process exited with code 0"), "{}", printed(&all));
    let rows = ada.get(0, &format!("/jobs/{id}/status")).await.unwrap().body;
    let told: Vec<_> = all.iter().filter(|event| event.name == "log").map(|e| &e.data).collect();
    assert_eq!(rows.as_array().unwrap().iter().collect::<Vec<_>>(), told);
    // What began the job is heard while it runs, not when it has ended.
    let (first, last) = (all.first().unwrap().heard, all.last().unwrap().heard);
    assert!(last - first > Duration::from_secs(2), "{:?}", last - first);

    // Whoever lost its connection names what it had, and is told the rest and nothing twice.
    for named in ["lastId", "header"] {
        let had = ids[0];
        let rest = match named {
            "lastId" => follow(&ada, &format!("{path}?lastId={had}"), |_| false).await,
            _ => {
                let request = ada.request(0, Method::GET, &path).header("Last-Event-ID", had);
                let text = request.send().await.unwrap().text().await.unwrap();
                assert!(!text.contains(&format!("id: {had}\n")), "{text}");
                assert!(text.contains(&format!("id: {}\n", ids[1])), "{text}");
                continue;
            }
        };
        let told: Vec<_> = rest.iter().filter_map(|event| event.id).collect();
        assert_eq!(told, ids[1..]);
    }
    // Whoever has all of it, or names what is not there, hears how the job stands, and of no row.
    let last = ids[ids.len() - 1];
    for had in [last, last + 1, last + 1_000, u64::MAX] {
        let rest = follow(&ada, &format!("{path}?lastId={had}"), |_| false).await;
        assert_eq!(rest.iter().filter_map(|event| event.id).collect::<Vec<_>>(), [0; 0], "{had}");
        assert_eq!(rest.last().unwrap().data["state"], "succeeded", "{rest:?}");
    }
    let rest = follow(&ada, &format!("{path}?lastId={}", last - 1), |_| false).await;
    assert_eq!(rest.iter().filter_map(|event| event.id).collect::<Vec<_>>(), [last]);
    let eve = cluster.client("eve").get(0, &path).await.unwrap();
    assert_eq!((eve.status.as_u16(), eve.code()), (404, "job_not_found"));
}
