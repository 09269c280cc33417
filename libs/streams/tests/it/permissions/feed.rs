//! The feed: its notifier writes it, and each subscriber reads its tenant's.

use std::time::Duration;

use async_nats::Request;
use futures_util::{StreamExt, future::join_all};
use nox_contract::{FactPlace, FrameNumber, Incarnation, Position, subject};
use nox_streams::{FeedEvent, FeedSource};
use serde_json::{Value, json};

use super::Production;
use crate::support::{soon, text, until};

/// Longer than an answer of a server on this machine takes; who may not ask gets none.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

fn event(n: u64, tenant: &str) -> FeedEvent {
    FeedEvent {
        subject: format!("nox.feed.{tenant}.job.j{n}.succeeded"),
        place: FactPlace { n: FrameNumber(n), entry: 0, fact: 0 },
        payload: text("{}"),
    }
}

fn source() -> FeedSource {
    FeedSource { log: Incarnation("log".into()), writer: "test".into() }
}

fn consumer(tenant: &str) -> Value {
    let config = json!({
        "durable_name": tenant, "filter_subject": format!("nox.feed.{tenant}.>"),
        "ack_policy": "explicit", "deliver_policy": "all",
    });
    json!({"stream_name": "NOX_FEED", "config": config})
}

/// Streams, two consumers, an event of each tenant.
async fn prepared() -> Production {
    let server = Production::with_subscribers().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let operator = server.raw("operator").await;
    for tenant in ["acme", "umbra"] {
        let api = format!("$JS.API.CONSUMER.DURABLE.CREATE.NOX_FEED.{tenant}");
        let made = operator.request(api, consumer(tenant).to_string().into()).await.unwrap();
        let made: Value = serde_json::from_slice(&made.payload).unwrap();
        assert!(made["error"].is_null(), "{made}");
    }
    let notifier = server.connect("notifier").await;
    notifier.append_event(event(1, "acme"), &source(), 0).await.unwrap();
    notifier.append_event(event(2, "umbra"), &source(), 1).await.unwrap();
    server
}

#[tokio::test]
async fn the_notifier_can_do_its_work_and_each_subscriber_reads_its_tenant_alone() {
    let server = prepared().await;
    let notifier = server.connect("notifier").await;
    let (acme, umbra) = (server.raw("acme").await, server.raw("umbra").await);
    let end = notifier.feed_end().await.unwrap();
    assert_eq!((end.seq, end.last.unwrap().place.n), (2, FrameNumber(2)));
    let position = Position::from((Incarnation("log".into()), 2));
    notifier.tell_reader("notifier", &position).await.unwrap();
    assert_eq!(notifier.reader_position("notifier").await.unwrap(), Some(position));

    let mut heard = acme.subscribe("nox.feed.acme.>").await.unwrap();
    let mut other = umbra.subscribe("nox.feed.umbra.>").await.unwrap();
    for client in [&acme, &umbra] {
        client.request("$JS.API.CONSUMER.INFO.NOX_FEED.x", "".into()).await.ok();
        client.flush().await.unwrap();
    }
    for (client, tenant) in [(&acme, "acme"), (&umbra, "umbra")] {
        let mut events = client.subscribe(client.new_inbox()).await.unwrap();
        let inbox = events_inbox(client, &mut events, tenant).await;
        let message = soon(events.next()).await.unwrap();
        assert!(message.subject.starts_with(&format!("nox.feed.{tenant}.")), "{message:?}");
        let headers = message.headers.unwrap();
        assert!(headers.get("Nats-Msg-Id").is_some(), "{inbox}");
        client.publish(message.reply.unwrap(), "+ACK".into()).await.unwrap();
        client.flush().await.unwrap();
        until(|| async {
            let api = format!("$JS.API.CONSUMER.INFO.NOX_FEED.{tenant}");
            let info = client.request(api, "".into()).await.unwrap();
            let info: Value = serde_json::from_slice(&info.payload).unwrap();
            info["num_ack_pending"] == 0 && info["num_pending"] == 0
        })
        .await;
    }

    // An event that nobody keeps is heard by its tenant, and is in no stream.
    notifier.tell_event(event(3, "acme"), &source());
    let live = soon(heard.next()).await.unwrap();
    assert_eq!(live.subject.as_str(), "nox.feed.acme.job.j3.succeeded");
    assert_eq!(notifier.last_sequence(subject::FEED).await.unwrap(), 2);
    notifier.append_event(event(4, "umbra"), &source(), 2).await.unwrap();
    assert_eq!(
        soon(other.next()).await.unwrap().subject.as_str(),
        "nox.feed.umbra.job.j4.succeeded"
    );
    let more = tokio::time::timeout(Duration::from_millis(100), heard.next()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Asks for the next event of a consumer into a new inbox, which replaces `events`.
async fn events_inbox(
    client: &async_nats::Client,
    events: &mut async_nats::Subscriber,
    tenant: &str,
) -> String {
    let inbox = client.new_inbox();
    *events = client.subscribe(inbox.clone()).await.unwrap();
    let body = json!({"batch": 1, "expires": 5_000_000_000_u64}).to_string();
    let api = format!("$JS.API.CONSUMER.MSG.NEXT.NOX_FEED.{tenant}");
    client.publish_with_reply(api, inbox.clone(), body.into()).await.unwrap();
    inbox
}

/// What can be asked, and by whom. A user that is not named is not answered.
fn matrix() -> Vec<(String, Value, &'static [&'static str])> {
    let body = json!({});
    let thief = json!({"stream_name": "NOX_FEED", "config": {
        "durable_name": "thief", "filter_subject": "nox.feed.acme.>", "ack_policy": "none",
        "deliver_subject": "nox.evt",
    }});
    let next = json!({"batch": 1, "no_wait": true});
    let mut cells: Vec<(String, Value, &'static [&'static str])> = vec![
        ("nox.feed.acme.job.x.succeeded".into(), body.clone(), &["notifier"]),
        ("nox.feed.umbra.job.x.succeeded".into(), body.clone(), &["notifier"]),
        ("nox.reader.notifier".into(), body.clone(), &["notifier"]),
        ("nox.reader.audit".into(), body.clone(), &["notifier"]),
        ("nox.reader.projector".into(), body.clone(), &["projector"]),
        ("nox.evt".into(), body.clone(), &["scheduler"]),
        ("nox.cmd.acme".into(), body.clone(), &["gateway"]),
        ("nox.rep.w1".into(), body.clone(), &["executor"]),
        (
            "$JS.API.STREAM.INFO.NOX_FEED".into(),
            body.clone(),
            &["gateway", "scheduler", "notifier"],
        ),
        ("$JS.API.STREAM.MSG.GET.NOX_FEED".into(), json!({"seq": 1}), &["notifier"]),
        ("$JS.API.STREAM.PURGE.NOX_FEED".into(), body.clone(), &[]),
        ("$JS.API.STREAM.DELETE.NOX_FEED".into(), body.clone(), &[]),
        ("$JS.API.CONSUMER.NAMES.NOX_FEED".into(), body.clone(), &[]),
        ("$JS.API.CONSUMER.DURABLE.CREATE.NOX_FEED.thief".into(), thief.clone(), &[]),
        ("$JS.API.CONSUMER.CREATE.NOX_FEED.thief.nox.feed.acme.>".into(), thief, &[]),
    ];
    for (tenant, who) in [("acme", &["acme"]), ("umbra", &["umbra"])] {
        for (api, body) in [("INFO", &body), ("MSG.NEXT", &next)] {
            cells.push((format!("$JS.API.CONSUMER.{api}.NOX_FEED.{tenant}"), body.clone(), who));
        }
        for api in ["DELETE", "RESET", "PAUSE", "UNPIN"] {
            cells.push((format!("$JS.API.CONSUMER.{api}.NOX_FEED.{tenant}"), body.clone(), &[]));
        }
    }
    cells
}

#[tokio::test]
async fn each_user_is_answered_what_it_needs_and_nothing_else() {
    let server = prepared().await;
    let users = ["gateway", "scheduler", "executor", "projector", "notifier", "acme", "umbra"];
    let mut tried = 0;
    for user in users {
        let client = server.raw(user).await;
        let asked = matrix().into_iter().map(|(subject, body, who)| {
            let client = client.clone();
            async move {
                let request = Request::new().payload(body.to_string().into());
                let request = request.timeout(Some(ANSWER_WITHIN));
                let answer = client.send_request(subject.clone(), request).await;
                (subject, who.contains(&user), answer)
            }
        });
        for (subject, may, answer) in soon(join_all(asked)).await {
            // An event is no answer; that it comes, the test above says.
            if may && subject.contains("MSG.NEXT") {
                continue;
            }
            assert_eq!(answer.is_ok(), may, "{user} {subject}: {answer:?}");
            tried += 1;
        }
    }
    assert!(tried >= 64 * 2, "{tried} cells");
}

#[tokio::test]
async fn whoever_may_make_a_consumer_could_write_the_log_so_no_subscriber_may() {
    let server = prepared().await;
    let operator = server.raw("operator").await;
    let last = async || {
        let info = operator.request("$JS.API.STREAM.INFO.NOX_EVENTS", "".into()).await.unwrap();
        let info: Value = serde_json::from_slice(&info.payload).unwrap();
        info["state"]["last_seq"].as_u64().unwrap()
    };
    let (api, body, _) =
        matrix().into_iter().find(|(api, ..)| api.contains("DURABLE.CREATE")).unwrap();
    let acme = server.raw("acme").await;
    acme.publish_with_reply(api.clone(), acme.new_inbox(), body.to_string().into()).await.unwrap();
    acme.flush().await.unwrap();
    assert_eq!(last().await, 0);
    // Negative control: the same consumer, made by one who may.
    operator.request(api, body.to_string().into()).await.unwrap();
    until(|| async { last().await > 0 }).await;
}
