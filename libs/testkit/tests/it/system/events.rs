//! Events as they come (`GET /events`, `GET /jobs/{id}/events`): each once, to whom it concerns, at nobody's cost.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{TryStreamExt, future::join_all};
use nox_archive::Log;
use nox_contract::{EventKind, EventType, FactPlace, Frame, FrameNumber, UserId, subject};
use nox_streams::Message;
use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options, until},
    service::{Kind, Service},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
};

use super::{admitted, noop, setting};

const WITHIN: Duration = Duration::from_secs(60);
const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";

/// An event as a viewer hears it.
#[derive(Debug, Clone)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// Follows until `enough` or the end of the answer; says whether it ended, and well.
async fn follow(
    client: &Client,
    path: &str,
    accept: &str,
    last: Option<&str>,
    mut enough: impl FnMut(&[Event]) -> bool,
) -> Result<(Vec<Event>, bool)> {
    let mut request = client.request(0, Method::GET, path).timeout(WITHIN * 4);
    request = request.header("accept", accept);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut answer = request.send().await?;
    let status = answer.status();
    ensure!(status == StatusCode::OK, "{status} {}", answer.text().await?);
    ensure!(answer.headers()["content-type"] == accept, "{:?}", answer.headers());
    let (mut events, mut text) = (Vec::new(), String::new());
    loop {
        let chunk = tokio::time::timeout(WITHIN, answer.chunk()).await.context("silence")?;
        let Some(chunk) = chunk? else { return Ok((events, true)) };
        text.push_str(std::str::from_utf8(&chunk)?);
        let end = if accept == SSE { "\n\n" } else { "\n" };
        while let Some((one, rest)) = text.split_once(end) {
            let (data, name) = match accept {
                SSE => (field(one, "data"), field(one, "event")),
                _ => (Some(one).filter(|line| !line.is_empty()), None),
            };
            if let Some(data) = data {
                let data: Value = serde_json::from_str(data)?;
                let id = match accept {
                    SSE => field(one, "id").unwrap_or_default().to_owned(),
                    _ => data["id"].as_str().unwrap_or_default().to_owned(),
                };
                let name = name.or(data["type"].as_str()).unwrap_or_default().to_owned();
                events.push(Event { id, name, data });
            }
            text = rest.to_owned();
        }
        if enough(&events) {
            return Ok((events, false));
        }
    }
}

fn field<'t>(event: &'t str, name: &str) -> Option<&'t str> {
    event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

/// Where a page of events says that the next begins.
async fn now(client: &Client) -> String {
    let page = client.get(0, "/events").await.unwrap();
    page.body["next"].as_str().unwrap_or_else(|| panic!("{}", page.body)).to_owned()
}

/// What the log itself says that a user is to hear of its jobs behind a place.
async fn in_the_log(cluster: &Cluster, user: &UserId, after: FactPlace) -> Result<Vec<String>> {
    let broker = cluster.broker().await?;
    let incarnation = broker.incarnation(subject::EVENTS).await?;
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    let log = Log::new(broker, incarnation, None);
    let chunks: Vec<_> = log.read(FrameNumber(1), last).try_collect().await?;
    Ok(places_of(chunks.into_iter().flatten(), user, after))
}

/// The events of a user's jobs in these messages, behind a place.
fn places_of(
    messages: impl Iterator<Item = Message>,
    user: &UserId,
    after: FactPlace,
) -> Vec<String> {
    let mut places = Vec::new();
    for message in messages {
        let Ok(frame) = serde_json::from_slice::<Frame>(&message.payload) else { continue };
        for (entry, of) in (0..).zip(&frame.entries) {
            for (fact, known) in (0..).zip(of.known_facts()) {
                let place = FactPlace { n: frame.n, entry, fact };
                let of_job = EventType::of(known).is_some_and(|of| of.kind() == EventKind::Job);
                if of_job && of.user_id.as_ref() == Some(user) && place > after {
                    places.push(place.to_string());
                }
            }
        }
    }
    places
}

/// Has so many jobs run, a few hundred at a time.
async fn run_jobs(client: &Client, count: usize) -> Result<()> {
    for first in (0..count).step_by(200) {
        let bodies = vec![noop(); 200.min(count - first)];
        let heard = client.submit_bulk(0, &bodies, Some(&format!("events-{first}"))).await;
        let last = heard.into_iter().map(|heard| admitted(heard).1).max().unwrap_or_default();
        // Of rows that have all of them, or none would be open where the view is behind.
        let path = format!("/jobs?state=queued,running&limit=1&n={last}");
        until(WITHIN, "the jobs", async || {
            let open = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
            Ok(open.body["jobs"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Is cut off after a few events again and again, and comes back with the last id that it had.
async fn cut_and_resumed(
    client: &Client,
    began: &str,
    seed: u64,
    accept: &'static str,
    enough: &tokio::sync::watch::Receiver<usize>,
) -> Result<(Vec<String>, usize)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut heard, mut cuts) = (Vec::new(), 0);
    while heard.len() < *enough.borrow() {
        let few = rng.random_range(1..600);
        let left = || enough.borrow().saturating_sub(heard.len());
        let had = heard.last().map(String::as_str);
        let path = format!("/events?type=job&after={began}");
        let (events, _) =
            follow(client, &path, accept, had, |all| all.len() >= few.min(left())).await?;
        heard.extend(ids(&events));
        cuts += 1;
    }
    Ok((heard, cuts))
}

async fn viewers(gateway: &Service) -> f64 {
    gateway.metric("nox_gateway_event_viewers").await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_anywhere_hears_each_event_once_and_whoever_never_reads_hurts_nobody() {
    let clients = usize::try_from(setting("NOX_TEST_EVENT_CLIENTS", 10)).unwrap();
    let wanted = usize::try_from(setting("NOX_TEST_EVENTS", 5_000)).unwrap();
    let options = Options::default().env(Kind::Gateway, "NOX_HTTP_ADDRESS_PERCENT", "100");
    let cluster = Cluster::start(options).await.unwrap();
    let (ada, gateway) = (cluster.client("ada"), &cluster.gateways[0]);
    let began = now(&ada).await;

    // Never reads, and asks for everything from the beginning.
    let address = ada.url(0, "").trim_start_matches("http://").to_owned();
    let mut deaf = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "GET /events?after={began} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nAccept: {SSE}\r\n\r\n",
        ada.token()
    );
    deaf.write_all(head.as_bytes()).await.unwrap();

    let (tell, enough) = tokio::sync::watch::channel(usize::MAX);
    let all = (0..clients as u64).map(|number| {
        let (ada, enough, began) = (&ada, &enough, &began);
        let accept = if number % 2 == 0 { SSE } else { NDJSON };
        async move { cut_and_resumed(ada, began, number, accept, enough).await }
    });
    let load = async {
        // Each job has submitted, assigned, started and succeeded.
        run_jobs(&ada, wanted.div_ceil(4)).await?;
        let expected = in_the_log(&cluster, ada.user(), began.parse()?).await?;
        tell.send(expected.len())?;
        Ok::<_, anyhow::Error>(expected)
    };
    let (load, heard) = tokio::join!(load, join_all(all));
    let expected = load.unwrap();
    assert!(expected.len() >= wanted, "{}", expected.len());
    println!("{} events to each of {clients} viewers", expected.len());
    for heard in heard {
        let (heard, cuts) = heard.unwrap();
        assert!(cuts > 3, "{cuts}");
        assert_eq!(heard, expected);
    }
    // The control: an event that is left out would be noticed.
    assert_ne!(expected[1..], expected);

    // The kernel took what it takes; then whoever reads nothing is cut off.
    until(Duration::from_secs(30), "the end of who never reads", async || {
        Ok((viewers(gateway).await == 0.0).then_some(()))
    })
    .await
    .unwrap();
    let mut rest = Vec::new();
    // What is in the kernel is read, and then it is over, in whatever way.
    let _ = tokio::time::timeout(WITHIN, deaf.read_to_end(&mut rest)).await.expect("an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_hears_what_it_may_see_from_where_it_was_to_the_end_of_its_job_or_token() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let gateway = &cluster.gateways[0];
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let root = cluster.client_with(json!({"sub": "root", "role": "admin"}));
    let of_acme = |sub: &str, role: &str| {
        cluster.client_with(json!({"sub": sub, "role": role, "tenant": "acme"}))
    };
    let (ada_of_acme, root_of_acme) = (of_acme("ada", "user"), of_acme("root", "admin"));

    // Nobody follows, so nothing is read.
    let read = async || gateway.metric("nox_gateway_frames_followed_total").await.unwrap();
    assert_eq!(viewers(gateway).await, 0.0);
    let before = read().await;
    let body =
        json!({"module": "noop", "inputs": {}, "labels": {"team": "canary", "zone": "cafe"}});
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let began = now(&ada).await;
    let submit = async || {
        let request = ada.request(0, Method::POST, "/jobs").json(&body);
        let answer = ada.send(request.header("traceparent", trace)).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.body["job_id"].as_str().unwrap().to_owned()
    };
    let id = submit().await;
    let path = format!("/jobs/{id}/events");
    until(WITHIN, "the job", async || {
        let job = ada.get(0, &format!("/jobs/{id}")).await.map_err(anyhow::Error::msg)?;
        Ok((job.body["state"] == "succeeded").then_some(()))
    })
    .await
    .unwrap();
    assert!(read().await - before <= 1.0, "a page is no viewer");

    // A job from its beginning to its end, and from anywhere between.
    let whole = format!("{path}?after=0-0-0");
    let (events, ended) = follow(&ada, &whole, SSE, None, |_| false).await.unwrap();
    assert!(ended);
    let (last, told) = events.split_last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("end", &json!("job_ended")));
    let names: Vec<_> = told.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[0], "nox.job.submitted.v1");
    assert!(names.contains(&"nox.job.succeeded.v1"), "{names:?}");
    assert!(names.contains(&"nox.quota.released.v1"), "{names:?}");
    for event in told {
        assert_eq!(event.data["traceparent"], trace, "{event:?}");
        assert_eq!(event.data["source"], "/nox/default");
        assert_eq!(event.data["specversion"], "1.0");
        assert_eq!(event.data["id"], event.id.as_str());
    }
    for (place, event) in told.iter().enumerate() {
        let had = Some(event.id.as_str());
        let (rest, _) = follow(&ada, &path, SSE, had, |_| false).await.unwrap();
        assert_eq!(ids(&rest[..rest.len() - 1]), ids(&told[place + 1..]), "after {had:?}");
        let (rest, _) = follow(&ada, &path, NDJSON, had, |_| false).await.unwrap();
        assert_eq!(ids(&rest), ids(&told[place + 1..]), "after {had:?}");
    }
    let (only, _) =
        follow(&ada, &format!("{whole}&type!=quota,job.succeeded"), NDJSON, None, |_| false)
            .await
            .unwrap();
    assert_eq!(only.len(), names.iter().filter(|name| !name.contains("quota")).count() - 1);

    // Whoever is cut off before the first event knows where to go on, in each form.
    for accept in [SSE, NDJSON] {
        let live = ada.request(0, Method::GET, "/events?type=job").header("accept", accept);
        let mut cut = live.send().await.unwrap();
        let after = cut.headers()["nox-after"].to_str().unwrap().to_owned();
        if accept == SSE {
            let chunk = cut.chunk().await.unwrap().unwrap();
            assert_eq!(field(std::str::from_utf8(&chunk).unwrap(), "id"), Some(&*after));
        }
        drop(cut);
        let meanwhile = submit().await;
        let heard =
            follow(&ada, "/events?type=job.submitted", accept, Some(&after), |all| !all.is_empty());
        let (heard, _) = heard.await.unwrap();
        assert_eq!(heard[0].data["subject"], meanwhile.as_str(), "{after}");
    }

    // What can be chosen, and who may see it.
    let heard = async |client: &Client, words: &str| {
        let page = client.get(0, &format!("/events?after={began}{words}")).await.unwrap();
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.body.to_string()
    };
    for words in ["", "&type=job", "&label=team=canary", "&label=team", "&state=succeeded"] {
        assert!(heard(&ada, words).await.contains(&id), "{words}");
        assert!(heard(&root, words).await.contains(&id), "{words}");
        for other in [&bob, &ada_of_acme, &root_of_acme] {
            let text = heard(other, words).await;
            assert!(!text.contains(&id) && !text.contains("cafe"), "{words}: {text}");
        }
    }
    for words in [
        "&label!=team",
        "&module=xtb",
        "&user_id=bob",
        "&type!=job,quota",
        "&state!=succeeded&type=job.succeeded",
    ] {
        assert!(!heard(&root, words).await.contains(&id), "{words}");
    }
    for other in [&bob, &ada_of_acme, &root_of_acme] {
        let refused = other.get(0, &path).await.unwrap();
        assert_eq!((refused.status.as_u16(), refused.code()), (404, "job_not_found"));
        let live = other.request(0, Method::GET, &whole).header("accept", SSE);
        let refused = other.send(live).await.unwrap();
        assert_eq!((refused.status.as_u16(), refused.code()), (404, "job_not_found"));
    }
    let key = json!({"name": "canary", "role": "user"});
    ada.post(0, "/keys", &key).await.unwrap();
    let (keys, _) =
        follow(&ada, &format!("/events?after={began}&type=key"), SSE, None, |all| !all.is_empty())
            .await
            .unwrap();
    assert_eq!(keys[0].data["data"]["key"]["name"], "canary");
    assert_eq!(keys[0].data["data"]["key"]["hash"], Value::Null);
    assert!(!heard(&bob, "&type=key").await.contains("canary"));

    // Of what is gone by now its owner hears all the same, whoever ended it; nobody else does.
    let job = json!({"module": "noop", "inputs": {}});
    let schedule = json!({"name": "canary", "cron": "0 0 1 1 *", "job": job});
    let made = ada.post(0, "/schedules", &schedule).await.unwrap();
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let schedule_id = made.body["id"].as_str().unwrap();
    let made = ada.post(0, "/keys", &key).await.unwrap();
    let key_id = made.body["id"].as_str().unwrap();
    for gone in [format!("/schedules/{schedule_id}"), format!("/keys/{key_id}")] {
        let answer = root.send(root.request(0, Method::DELETE, &gone)).await.unwrap();
        assert!(answer.status.is_success(), "{gone}: {} {}", answer.status, answer.body);
    }
    for (kind, id) in [("schedule", schedule_id), ("key", key_id)] {
        let end = if kind == "key" { "revoked" } else { "deleted" };
        let (words, end) = (format!("&type={kind}"), format!("nox.{kind}.{end}.v1"));
        for of in [&ada, &root] {
            let told = heard(of, &words).await;
            assert!(told.contains(id) && told.contains(&end), "{told}");
        }
        for other in [&bob, &ada_of_acme, &root_of_acme] {
            assert!(!heard(other, &words).await.contains(id), "{words}");
        }
    }

    // The command line tells the same, from the beginning on.
    let test = std::env::current_exe().unwrap();
    let mut tail = Command::new(test.ancestors().nth(2).unwrap().join("noxctl"))
        .args(["events", "tail", "--json", "--type", "job.succeeded", "--after", "0-0-0"])
        .env("NOX_URL", ada.url(0, ""))
        .env("NOX_TOKEN", ada.token())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(WITHIN, lines.next_line()).await.unwrap().unwrap().unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&told["subject"], &told["type"]), (&json!(id), &json!("nox.job.succeeded.v1")));
    drop(tail);

    // What is no place, or none that there was.
    for wrong in ["x", "1", "999999999-0-0"] {
        for path in ["/events", path.as_str()] {
            let request = ada.request(0, Method::GET, &format!("{path}?after={wrong}"));
            let refused = ada.send(request.header("accept", SSE)).await.unwrap();
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (422, "invalid_request"),
                "{wrong}"
            );
        }
    }

    // A token that ends while its holder follows.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let short = cluster.client_with(json!({"sub": "ada", "role": "user", "exp": now}));
    let (events, ended) = follow(&short, "/events", SSE, None, |_| false).await.unwrap();
    assert!(ended);
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("end", &json!("token_expired")));
    until(WITHIN, "no viewer", async || Ok((viewers(gateway).await == 0.0).then_some(())))
        .await
        .unwrap();
    let after = read().await;
    submit().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(read().await, after, "nobody follows");
    assert_eq!(cluster.internal_errors(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_viewers_who_hear_nothing_cost_little() {
    let count = usize::try_from(setting("NOX_TEST_IDLE_VIEWERS", 1_000)).unwrap();
    let options = Options::default().env(Kind::Gateway, "NOX_HTTP_ADDRESS_PERCENT", "100");
    let cluster = Cluster::start(options).await.unwrap();
    let (ada, gateway) = (cluster.client("ada"), &cluster.gateways[0]);
    let resident = || resident_bytes(gateway.pid().unwrap());
    let address = ada.url(0, "").trim_start_matches("http://").to_owned();
    now(&ada).await;
    let before = resident();
    let mut idle = Vec::new();
    // One user may follow 256 times at a time. Admins hear what concerns Ada.
    let admins = (0..count.div_ceil(250))
        .map(|of| cluster.client_with(json!({"sub": format!("root-{of}"), "role": "admin"})));
    let admins: Vec<_> = admins.collect();
    for number in 0..count {
        idle.push(connect(&admins[number / 250], &address).await);
    }
    let wanted = count as f64;
    until(WITHIN, "the viewers", async || Ok((viewers(gateway).await >= wanted).then_some(())))
        .await
        .unwrap();
    let each = resident().saturating_sub(before) / count as u64;
    println!("{count} idle viewers cost {each} bytes each");
    assert!(each < 100 * 1024, "{each}");
    // They are there, and hear what concerns them.
    ada.submit(0, &noop(), Some("heard by all")).await;
    let hear = idle.iter_mut().map(async |stream| {
        let mut text = String::new();
        let mut part = [0; 4_096];
        while !text.contains("nox.job.submitted.v1") {
            let read = tokio::time::timeout(WITHIN, stream.read(&mut part)).await.unwrap().unwrap();
            assert!(read > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    });
    join_all(hear).await;
    let distinct: BTreeSet<_> = idle.iter().map(|stream| stream.local_addr().unwrap()).collect();
    assert_eq!(distinct.len(), count);
}

/// Asks for events, and reads nothing yet.
async fn connect(client: &Client, address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nAccept: {SSE}\r\n\r\n",
        client.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_who_follows_as_often_as_it_may_keeps_nobody_else_out() {
    let options = Options::default().env(Kind::Gateway, "NOX_HTTP_ADDRESS_PERCENT", "100");
    let cluster = Cluster::start(options).await.unwrap();
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let gateway = &cluster.gateways[0];
    let address = ada.url(0, "").trim_start_matches("http://").to_owned();
    let mut followed = Vec::new();
    for _ in 0..256 {
        followed.push(connect(&ada, &address).await);
    }
    let all = async || Ok((viewers(gateway).await >= 256.0).then_some(()));
    until(WITHIN, "the viewers", all).await.unwrap();
    for path in ["/events", "/events?after=0-0-0"] {
        let request = ada.request(0, Method::GET, path).header("accept", SSE);
        let refused = ada.send(request).await.unwrap();
        assert_eq!((refused.status.as_u16(), refused.code()), (429, "rate_limited"));
        assert!(refused.body["detail"].as_str().unwrap().contains("256 times"), "{}", refused.body);
    }
    // Others get in, and she herself as soon as one of hers has ended.
    let heard = |all: &[Event]| !all.is_empty();
    assert!(follow(&bob, "/events?after=0-0-0", SSE, None, heard).await.is_ok());
    drop(followed.pop());
    let again = async || {
        let followed = follow(&ada, "/events?after=0-0-0", SSE, None, heard).await;
        Ok(followed.is_ok().then_some(()))
    };
    until(WITHIN, "a place that is free again", again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_left_the_stream_come_from_the_archive_and_else_their_place_is_gone() {
    let mut options = Options::default();
    for (name, value) in [
        ("NOX_LOG_BYTES", "8MiB"),
        ("NOX_ARCHIVE_EVERY_S", "1"),
        ("NOX_SNAPSHOT_ENTRIES", "50"),
        ("NOX_SNAPSHOT_MS", "100"),
    ] {
        options = options.env(Kind::Scheduler, name, value);
    }
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let began = now(&ada).await;
    let filler = "0123456789abcdef".repeat(800);
    let large = json!({"module": "noop", "inputs": {"filler": filler}});
    for part in 0..10 {
        ada.submit_bulk(0, &vec![large.clone(); 60], Some(&format!("large {part}"))).await;
    }
    cluster.settle(WITHIN).await.unwrap();
    let first = until(WITHIN, "the log to be cut", async || {
        let first = cluster.log().await?.0.broker().first_frame().await?.unwrap_or(1);
        Ok((first > 20).then_some(first))
    })
    .await
    .unwrap();
    let place: FactPlace = began.parse().unwrap();
    assert!(place.n.0 < first, "it is in the stream yet");
    let log = cluster.log().await.unwrap();
    let chunks: Vec<_> = log.0.read(place.n, log.1).try_collect().await.unwrap();
    let expected = places_of(chunks.into_iter().flatten(), ada.user(), place);
    let path = format!("/events?type=job&after={began}");
    let enough = |all: &[Event]| all.len() >= expected.len();
    let (events, _) = follow(&ada, &path, SSE, None, enough).await.unwrap();
    assert_eq!(ids(&events), expected);

    // Without the segments that have it, and nobody who writes others, the place is in the log no more.
    cluster.schedulers[0].kill9();
    let folder = cluster.folder().join("archive");
    std::fs::rename(folder.join("log"), folder.join("away")).unwrap();
    for (path, accept) in
        [(path.as_str(), SSE), (&path, NDJSON), (&path, "*/*"), ("/queue?as_of=2", "*/*")]
    {
        let request = ada.request(0, Method::GET, path).header("accept", accept);
        let refused = ada.send(request).await.unwrap();
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (410, "place_gone"),
            "{path}: {}",
            refused.body
        );
    }
}

/// What a process has in memory.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}
