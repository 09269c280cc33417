//! Webhooks, end to end: what arrives at endpoints, whatever becomes of other endpoints and of the notifier.

mod receiver;
mod signatures;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use nox_archive::Log;
use nox_contract::{CloudEvent, EventKind, FactOrUnknown, FactPlace, Frame, FrameNumber, subject};
use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use reqwest::Method;
use serde_json::{Value, json};

use self::receiver::{Behaviour, Receiver};
use super::{admitted, noop, noxctl};

const WITHIN: Duration = Duration::from_secs(60);

/// A system whose webhooks may go to this machine, and are tried again soon.
pub(super) async fn system(extra: &[(&'static str, &str)]) -> Result<Cluster> {
    let mut env = Vec::new();
    for kind in [Kind::Gateway, Kind::Notifier] {
        env.push((kind, "NOX_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned()));
        env.push((kind, "NOX_WEBHOOK_HTTP", "true".to_owned()));
    }
    env.push((Kind::Notifier, "NOX_WEBHOOK_RETRY_S", ["1"; 60].join(",")));
    env.extend(extra.iter().map(|(name, value)| (Kind::Notifier, *name, (*value).to_owned())));
    Cluster::start(Options { env, ..Options::default() }).await
}

pub(super) async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let mut request = client.request(0, method, path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    client.send(request).await.unwrap()
}

/// Makes a webhook; its id and its secret.
pub(super) async fn add(client: &Client, url: &str, filter: Value) -> (String, String) {
    let body = json!({"url": url, "filter": filter});
    let made = ask(client, Method::POST, "/webhooks", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let member = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (member("id"), member("secret"))
}

pub(super) async fn run_jobs(client: &Client, count: usize, key: &str) {
    for heard in client.submit_bulk(0, &vec![noop(); count], Some(key)).await {
        admitted(heard);
    }
}

/// The ids of the events of jobs that the log has.
pub(super) async fn job_events(cluster: &Cluster) -> Result<Vec<String>> {
    let broker = cluster.broker().await?;
    let incarnation = broker.incarnation(subject::EVENTS).await?;
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    let log = Log::new(broker, incarnation, None);
    let chunks: Vec<_> = log.read(FrameNumber(1), last).try_collect().await?;
    let mut ids = Vec::new();
    for message in chunks.into_iter().flatten() {
        let Ok(frame) = serde_json::from_slice::<Frame>(&message.payload) else { continue };
        for (entry, of) in (0..).zip(&frame.entries) {
            for (fact, known) in (0..).zip(&of.facts) {
                let FactOrUnknown::Known(known) = known else { continue };
                let place = FactPlace { n: frame.n, entry, fact };
                let event = CloudEvent::of(place, frame.at, of, known)?;
                if event.is_some_and(|event| event.event_type.kind() == EventKind::Job) {
                    ids.push(place.to_string());
                }
            }
        }
    }
    Ok(ids)
}

/// Waits until all jobs have ended.
pub(super) async fn jobs_end(client: &Client) -> Result<()> {
    until(WITHIN, "the jobs", async || {
        let path = "/jobs?state=queued,running&limit=1";
        let open = client.get(0, path).await.map_err(anyhow::Error::msg)?;
        Ok(open.body["jobs"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .await
}

/// Waits until each of the events has arrived at `path`, whatever else has.
async fn all_arrive(
    cluster: &Cluster,
    receiver: &Receiver,
    path: &str,
    within: Duration,
) -> Result<usize> {
    let wanted = job_events(cluster).await?;
    until(within, "the events", async || {
        let found = receiver.events(path);
        Ok(wanted.iter().all(|id| found.contains_key(id)).then_some(()))
    })
    .await
    .with_context(|| format!("{} of {} at {path}", receiver.events(path).len(), wanted.len()))?;
    Ok(wanted.len())
}

const GOOD: [&str; 3] = ["/good/1", "/good/2", "/good/3"];

/// How late events came to the good ones: the 99th percentile of those that came since.
async fn lateness(
    cluster: &Cluster,
    receiver: &Receiver,
    jobs: usize,
    key: &str,
) -> Result<Duration> {
    let client = cluster.client("ada");
    receiver.forget_times();
    for part in 0..jobs {
        run_jobs(&client, 1, &format!("{key}-{part}")).await;
    }
    jobs_end(&client).await?;
    for path in GOOD {
        all_arrive(cluster, receiver, path, Duration::from_secs(20)).await?;
    }
    Ok(receiver.lateness(&GOOD))
}

const BAD: [&str; 7] =
    ["/fail/1", "/fail/2", "/hang/1", "/hang/2", "/hang/3", "/drip/1", "/huge/1"];

/// Endpoints that fail, hang, drip and say too much, and one that is not there; their ids.
async fn add_bad_ones(client: &Client, receiver: &Receiver) -> Vec<String> {
    let mut urls: Vec<_> = BAD.iter().map(|path| receiver.url(path)).collect();
    // Nobody listens there.
    urls.push("http://127.0.0.1:9/".to_owned());
    let mut ids = Vec::new();
    for url in urls {
        ids.push(add(client, &url, json!({"type": ["job"]})).await.0);
    }
    ids
}

/// Within how long 99 of 100 events come to good endpoints, alone and beside bad ones: in turns, so that whatever else
/// this machine does is in both, and the median of each, so that one bad moment is in neither.
async fn beside_bad_ones(
    rounds: usize,
    extra: &[(&'static str, &str)],
) -> Result<(Duration, Duration)> {
    let cluster = system(extra).await?;
    let receiver = Receiver::start().await?;
    let client = cluster.client("ada");
    for path in GOOD {
        add(&client, &receiver.url(path), json!({"type": ["job"]})).await;
    }
    run_jobs(&client, 5, "warm").await;
    jobs_end(&client).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        alone.push(lateness(&cluster, &receiver, 40, &format!("alone-{round}")).await?);
        let bad = add_bad_ones(&client, &receiver).await;
        beside.push(lateness(&cluster, &receiver, 40, &format!("beside-{round}")).await?);
        for id in bad {
            let gone = ask(&client, Method::DELETE, &format!("/webhooks/{id}"), None).await;
            assert!(gone.status.is_success(), "{}", gone.body);
        }
    }
    eprintln!("99 % of events arrive within {alone:?} alone, and {beside:?} beside bad endpoints");
    let median = |mut all: Vec<Duration>| {
        all.sort_unstable();
        all[all.len() / 2]
    };
    Ok((median(alone), median(beside)))
}

/// Below this, other processes of this machine are what is measured.
const FLOOR: Duration = Duration::from_millis(60);

fn are_held_up(alone: Duration, beside: Duration) -> bool {
    beside > alone.max(FLOOR) * 2
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_fail_hang_drip_or_say_too_much_slow_nobody() {
    let (alone, beside) = beside_bad_ones(5, &[]).await.unwrap();
    assert!(!are_held_up(alone, beside), "{alone:?} alone, {beside:?} beside bad ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_place_for_all_endpoints_a_bad_one_slows_the_others() {
    let outcome = beside_bad_ones(1, &[("NOX_WEBHOOK_FAULT", "one-place")]).await;
    match outcome {
        Ok((alone, beside)) => {
            assert!(are_held_up(alone, beside), "{alone:?} alone, {beside:?} beside");
        }
        Err(error) => assert!(format!("{error:#}").contains("the events"), "{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_is_killed_sends_every_event_at_least_once_under_one_id() {
    let mut cluster = system(&[]).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let client = cluster.client("ada");
    add(&client, &receiver.url("/good/1"), json!({"type": ["job"]})).await;
    for kill in 0_u64..6 {
        run_jobs(&client, 30, &format!("kill-{kill}")).await;
        tokio::time::sleep(Duration::from_millis(37 * kill)).await;
        cluster.notifier.kill9();
        cluster.notifier.start().unwrap();
        cluster.notifier.wait_ready().await.unwrap();
    }
    jobs_end(&client).await.unwrap();
    let count = all_arrive(&cluster, &receiver, "/good/1", WITHIN).await.unwrap();
    assert!(count > 500, "{count} events");
    let mut events: BTreeMap<String, String> = BTreeMap::new();
    for (event, ids) in receiver.events("/good/1") {
        assert_eq!(ids.len(), 1, "{event} came under {ids:?}");
        for id in ids {
            assert_eq!(events.insert(id, event.clone()), None, "{event} has the id of another one");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_arrives_can_be_sent_once_more_and_410_is_the_end() {
    let cluster = system(&[]).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let client = cluster.client("ada");
    // What is asked for arrives, whatever the filter says.
    let (id, _) =
        add(&client, &receiver.url("/turns/1"), json!({"type": ["module.switched"]})).await;
    let deliveries = async |state: &str| {
        until(WITHIN, state, async || {
            let path = format!("/webhooks/{id}/deliveries");
            let listed = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
            let newest = listed.body["deliveries"][0].clone();
            Ok((newest["state"] == state).then_some(newest))
        })
        .await
        .unwrap()
    };
    receiver.behave("/turns/1", Behaviour::Good);
    let tested = ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    assert_eq!(tested.status, 202);
    let delivery = deliveries("delivered").await;
    assert_eq!(delivery["id"], tested.body["delivery_id"]);
    assert_eq!(
        (&delivery["type"], &delivery["status"]),
        (&json!("nox.webhook.tested.v1"), &json!(204))
    );
    assert_eq!(receiver.count("/turns/1"), 1);

    let path = format!("/webhooks/{id}/deliveries/{}/redeliver", delivery["id"].as_str().unwrap());
    assert_eq!(ask(&client, Method::POST, &path, None).await.status, 202);
    until(WITHIN, "the same once more", async || {
        Ok((receiver.count("/turns/1") == 2).then_some(()))
    })
    .await
    .unwrap();
    let arrived = receiver.events("/turns/1");
    let ids: Vec<_> = arrived.values().collect();
    assert_eq!((ids.len(), ids[0].len()), (1, 1), "one event, under one id");
    let none = format!("/webhooks/{id}/deliveries/0193a000-0000-7000-8000-000000000001/redeliver");
    assert_eq!(ask(&client, Method::POST, &none, None).await.code(), "delivery_not_found");

    // One that fails is tried again, and taken when its endpoint is back.
    receiver.behave("/turns/1", Behaviour::Fail);
    ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    let waiting = deliveries("pending").await;
    assert!(waiting["next_attempt_at"].is_string(), "{waiting}");
    until(WITHIN, "an attempt", async || Ok((receiver.count("/turns/1") >= 4).then_some(())))
        .await
        .unwrap();
    receiver.behave("/turns/1", Behaviour::Good);
    assert!(deliveries("delivered").await["attempts"].as_u64().unwrap() >= 2);

    receiver.behave("/turns/1", Behaviour::Gone);
    ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    let shown = until(WITHIN, "it is switched off", async || {
        let shown = client.get(0, &format!("/webhooks/{id}")).await.map_err(anyhow::Error::msg)?;
        Ok((shown.body["enabled"] == false).then_some(shown.body))
    })
    .await
    .unwrap();
    assert_eq!(shown["disabled_reason"], "gone");
    let refused = ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "webhook_disabled"));
    // The negative control: what only fails stays on, and whoever sets it anew is sent events again.
    receiver.behave("/turns/1", Behaviour::Good);
    let body = json!({"url": receiver.url("/turns/1")});
    let set = ask(&client, Method::PUT, &format!("/webhooks/{id}"), Some(body)).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await.status, 202);
    deliveries("delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_its_owners_and_its_tenants_admins() {
    let cluster = system(&[]).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let ada = cluster.client("ada");
    let (id, _) = add(&ada, &receiver.url("/good/1"), json!({"type": ["job"]})).await;
    let test = ask(&ada, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    let delivery = test.body["delivery_id"].as_str().unwrap().to_owned();
    until(WITHIN, "the delivery", async || Ok((receiver.count("/good/1") > 0).then_some(())))
        .await
        .unwrap();

    let claims =
        |sub: &str, role: &str, tenant: &str| json!({"sub": sub, "role": role, "tenant": tenant});
    let narrowed = |scope: &str| {
        let mut claims = claims("ada", "user", "default");
        claims["scope"] = scope.into();
        claims
    };
    let askers = [
        ("another user", claims("bob", "user", "default"), 404, 404),
        ("an admin", claims("root", "admin", "default"), 200, 200),
        ("an admin elsewhere", claims("root", "admin", "acme"), 404, 404),
        ("her name elsewhere", claims("ada", "user", "acme"), 404, 404),
        ("who may only read", narrowed("compute:read"), 200, 403),
        ("who may only write", narrowed("compute:write"), 403, 200),
        ("herself", claims("ada", "user", "default"), 200, 200),
    ];
    let url = receiver.url("/good/1");
    let mut cells = 0;
    for (who, claims, reads, writes) in &askers {
        let client = cluster.client_with(claims.clone());
        let one = format!("/webhooks/{id}");
        let body = || Some(json!({"url": url, "filter": {"type": ["job"]}}));
        for (method, path, body, expected) in [
            (Method::GET, one.clone(), None, reads),
            (Method::GET, format!("{one}/deliveries"), None, reads),
            (Method::PUT, one.clone(), body(), writes),
            (Method::POST, format!("{one}/test"), None, writes),
            (Method::POST, format!("{one}/rotate-secret"), None, writes),
            (Method::POST, format!("{one}/deliveries/{delivery}/redeliver"), None, writes),
        ] {
            let answer = ask(&client, method.clone(), &path, body).await;
            let status = answer.status.as_u16();
            let found = if (200..300).contains(&status) { 200 } else { status };
            assert_eq!(found, *expected, "{who}: {method} {path}: {}", answer.body);
            if *expected == 404 {
                assert_eq!(answer.code(), "webhook_not_found", "{who}: {path}");
                // As if there were none.
                let none = path.replace(&id, "0193a000-0000-7000-8000-000000000009");
                let body = (method == Method::PUT).then(|| json!({"url": url}));
                let absent = ask(&client, method, &none, body).await;
                assert_eq!(
                    (absent.status, absent.code()),
                    (answer.status, answer.code()),
                    "{none}"
                );
            }
            cells += 1;
        }
        let listed = client.get(0, "/webhooks").await.unwrap();
        let count = listed.body["webhooks"].as_array().map_or(0, Vec::len);
        assert_eq!(count, usize::from(*reads == 200), "{who}: {}", listed.body);
        cells += 1;
    }
    // All of a tenant is for admins, and the URL is checked before anybody is asked.
    let wide = json!({"url": receiver.url("/good/2"), "of_tenant": true});
    assert_eq!(ask(&ada, Method::POST, "/webhooks", Some(wide.clone())).await.status, 403);
    let root = cluster.client_with(claims("root", "admin", "default"));
    assert_eq!(ask(&root, Method::POST, "/webhooks", Some(wide)).await.status, 201);
    for url in ["http://10.0.0.1/", "ftp://a/", "http://ada:b@127.0.0.1/", "http://[::1]/", "no"] {
        let refused = ask(&ada, Method::POST, "/webhooks", Some(json!({"url": url}))).await;
        assert_eq!(refused.code(), "invalid_request", "{url}");
    }
    assert!(cells >= 49, "{cells}");
    // What only admins may see goes to the webhook of all of the tenant, and hers has her own jobs alone.
    run_jobs(&cluster.client("bob"), 2, "bobs").await;
    run_jobs(&ada, 1, "adas").await;
    jobs_end(&ada).await.unwrap();
    until(WITHIN, "her job's events", async || {
        let owners = receiver.owners("/good/2");
        let both = owners.contains("ada") && owners.contains("bob");
        Ok((both && receiver.owners("/good/1").contains("ada")).then_some(()))
    })
    .await
    .unwrap();
    assert!(!receiver.owners("/good/1").contains("bob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_this_machine_unless_that_is_configured() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let refused = json!({"url": "https://127.0.0.1/"});
    let client = cluster.client("ada");
    let refused = ask(&client, Method::POST, "/webhooks", Some(refused)).await;
    assert_eq!(refused.code(), "invalid_request");
    // A name says nothing of where it points to, before somebody asks.
    let (id, _) = add(&client, "https://localhost:9/", json!({})).await;
    ask(&client, Method::POST, &format!("/webhooks/{id}/test"), None).await;
    let error = until(WITHIN, "an attempt", async || {
        let path = format!("/webhooks/{id}/deliveries");
        let listed = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
        let error = listed.body["deliveries"][0]["error"].as_str().map(str::to_owned);
        Ok(error)
    })
    .await
    .unwrap();
    assert_eq!(error, "unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_all_of_it() {
    let cluster = system(&[]).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let client = cluster.client("ada");
    let (url, token) = (client.url(0, ""), client.token().to_owned());
    let run = |args: &[&str]| {
        let env = [("NOX_URL", url.as_str()), ("NOX_TOKEN", token.as_str())];
        let (status, said) = noxctl(&[&["webhook"], args].concat(), &env);
        assert_eq!(status, Some(0), "{args:?}: {said}");
        said
    };
    let read = |args: &[&str]| -> Value {
        let said = run(&[args, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    };
    let good = receiver.url("/good/1");
    let words =
        ["--type", "job", "--not-type", "job.waiting", "--label", "team=a", "--status", "queued"];
    let made = read(&[&["add", good.as_str(), "--description", "mine"], &words[..]].concat());
    let id = made["id"].as_str().unwrap();
    let shown = read(&["show", id]);
    let filter = json!({"type": ["job"], "type!": ["job.waiting"], "status": ["queued"], "label": ["team=a"]});
    assert_eq!((&shown["filter"], &shown["url"]), (&filter, &json!(good)));
    read(&["update", id, "--off", "--not-user", "bob"]);
    let shown = read(&["show", id]);
    assert_eq!(shown["filter"], json!({"user_id!": ["bob"]}));
    assert_eq!((&shown["enabled"], &shown["description"]), (&json!(false), &json!("mine")));
    read(&["update", id, "--on", "--all"]);
    let delivery = run(&["test", id]).trim().to_owned();
    until(WITHIN, "the event", async || Ok((receiver.count("/good/1") >= 1).then_some(())))
        .await
        .unwrap();
    until(WITHIN, "that it was taken", async || {
        let said = run(&["deliveries", id]);
        Ok((said.contains(&delivery) && said.contains("delivered") && said.contains("204"))
            .then_some(()))
    })
    .await
    .unwrap();
    run(&["redeliver", id, &delivery]);
    until(WITHIN, "it once more", async || Ok((receiver.count("/good/1") >= 2).then_some(())))
        .await
        .unwrap();
    let secret = read(&["rotate-secret", id, "--overlap-s", "60"])["secret"].clone();
    assert_ne!(secret, made["secret"]);
    assert!(run(&["list"]).contains(id) && run(&["show", id]).contains("mine"));
    run(&["remove", id]);
    assert!(!run(&["list"]).contains(id));
}
