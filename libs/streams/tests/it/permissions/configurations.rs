//! Who may make or change streams and consumers, and what becomes of one that was changed.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use nox_contract::subject;
use serde_json::{Value, json};

use super::Production;
use crate::support::{soon, until};

#[tokio::test]
async fn the_scheduler_alone_makes_changes_or_cuts_a_stream_and_no_service_deletes_one() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let mut requests = Vec::new();
    for service in ["gateway", "executor", "projector", "notifier", "scheduler"] {
        let client = server.raw(service).await;
        let mut denied = vec!["DELETE.NOX_EVENTS", "MSG.DELETE.NOX_EVENTS", "PURGE.NOX_READERS"];
        if service != "scheduler" {
            denied.extend([
                "UPDATE.NOX_EVENTS",
                "PURGE.NOX_COMMANDS",
                "PURGE.NOX_EVENTS",
                "CREATE.X",
            ]);
        }
        for request in denied {
            let client = client.clone();
            requests.push(async move {
                let wait = Some(Some(Duration::from_secs(1)));
                let body = async_nats::Request { timeout: wait, ..Default::default() };
                client.send_request(format!("$JS.API.STREAM.{request}"), body).await
            });
        }
    }
    for answer in soon(join_all(requests)).await {
        assert!(answer.is_err(), "{answer:?}");
    }
    // Negative control: the same request is answered to whoever may ask.
    let operator = server.raw("operator").await;
    soon(operator.request("$JS.API.STREAM.PURGE.NOX_EVENTS", "".into())).await.unwrap();
}

/// Requests that make, change or take over a stream or a consumer, each in its own way.
fn configurations() -> Vec<(String, Value)> {
    let memory = |more: Value| {
        let mut config = json!({"name": "NOX_WORK", "subjects": ["w.>"], "storage": "memory"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("STREAM.CREATE.NOX_WORK".to_owned(), config)
    };
    let mut requests = vec![
        memory(json!({"republish": {"src": "w.x", "dest": "nox.evt"}})),
        memory(json!({"sources": [{"name": "NOX_COMMANDS"}]})),
        memory(json!({"subjects": null, "mirror": {"name": "NOX_COMMANDS"}})),
        memory(json!({"subject_transform": {"src": "w.x", "dest": "nox.evt"}})),
        memory(json!({"subjects": ["nox.work.*"]})),
    ];
    for setting in [
        json!({"republish": {"src": ">", "dest": "nox.cmd.>"}}),
        json!({"sources": [{"name": "NOX_COMMANDS"}]}),
        json!({"deny_delete": false, "allow_rollup_hdrs": true}),
    ] {
        for stream in ["NOX_EVENTS", "NOX_REPORTS", "NOX_LOGS"] {
            let mut config = json!({"name": stream});
            config.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
            requests.push((format!("STREAM.UPDATE.{stream}"), config));
        }
    }
    for stream in ["NOX_EVENTS", "NOX_COMMANDS", "NOX_REPORTS", "NOX_BEATS", "NOX_LOGS"] {
        for config in [
            json!({"deliver_subject": "nox.evt", "ack_policy": "none"}),
            json!({"deliver_subject": "nox.cmd.t", "ack_policy": "none"}),
            json!({"ack_policy": "none", "filter_subject": "nox.>"}),
        ] {
            for (api, name) in [("CREATE", "name"), ("DURABLE.CREATE", "durable_name")] {
                let mut config = config.clone();
                config[name] = json!("thief");
                requests.push((
                    format!("CONSUMER.{api}.{stream}.thief"),
                    json!({"stream_name": stream, "config": config}),
                ));
            }
        }
        requests.push((format!("CONSUMER.DELETE.{stream}.scheduler"), json!({})));
        requests.push((format!("CONSUMER.RESET.{stream}.scheduler"), json!({"seq": 1})));
    }
    requests
}

/// All that the server says of streams and consumers, and where each stream ends.
async fn everything(operator: &async_nats::Client) -> Vec<(String, Value, u64)> {
    let ask = |request: String| async move {
        let answer = operator.request(format!("$JS.API.{request}"), "".into()).await.unwrap();
        serde_json::from_slice::<Value>(&answer.payload).unwrap()
    };
    let mut found = Vec::new();
    for name in ask("STREAM.NAMES".into()).await["streams"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let info = ask(format!("STREAM.INFO.{name}")).await;
        let consumers = ask(format!("CONSUMER.NAMES.{name}")).await;
        let settings = json!([info["config"], consumers["consumers"]]);
        found.push((name.to_owned(), settings, info["state"]["last_seq"].as_u64().unwrap()));
    }
    found
}

#[tokio::test]
async fn none_but_the_scheduler_makes_or_changes_a_stream_or_a_consumer_whatever_it_is_like() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let operator = server.raw("operator").await;
    operator.request("nox.evt", "genuine".into()).await.unwrap();
    operator.request("nox.cmd.t", "genuine".into()).await.unwrap();
    let before = everything(&operator).await;

    for service in ["gateway", "executor", "projector", "notifier"] {
        let client = server.raw(service).await;
        for (request, body) in configurations() {
            let inbox = client.new_inbox();
            let request = format!("$JS.API.{request}");
            client.publish_with_reply(request, inbox, body.to_string().into()).await.unwrap();
        }
        client.flush().await.unwrap();
        settle().await;
        assert_eq!(everything(&operator).await, before, "{service}");
    }
    // Negative control: who may make a stream has messages of its own put into the log.
    let (request, body) = configurations().swap_remove(0);
    operator.request(format!("$JS.API.{request}"), body.to_string().into()).await.unwrap();
    operator.request("w.x", "foreign".into()).await.unwrap();
    until(|| async {
        let now = everything(&operator).await;
        now.iter().any(|(name, _, last)| name == "NOX_EVENTS" && *last > 1)
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_wanted_in_anothers_stream_does_not_get_there() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let operator = server.raw("operator").await;
    operator.request("nox.evt", "genuine".into()).await.unwrap();
    let mut work = operator.subscribe("nox.work.>").await.unwrap();
    operator.flush().await.unwrap();
    let writes = ["nox.cmd.t", "nox.rep.w1", "nox.beat.w1", "nox.log.t.job"].map(str::to_owned);
    let questions = [
        "INFO",
        "STREAM.INFO.NOX_EVENTS",
        "STREAM.INFO.NOX_REPORTS",
        "STREAM.MSG.GET.NOX_EVENTS",
        "DIRECT.GET.NOX_EVENTS",
        "DIRECT.GET.NOX_LOGS",
        "STREAM.CREATE.NOX_WORK",
    ]
    .map(|question| format!("$JS.API.{question}"));
    let places = [subject::FRAMES, subject::EPOCH, "$KV.NOX_LEASE.scheduler", "nox.work.w1"];
    let ask = |client: async_nats::Client, place: &'static str| {
        let subjects = [&writes[..], &questions[..]].concat();
        async move {
            for subject in subjects {
                let body = r#"{"seq":1}"#.into();
                client.publish_with_reply(subject, place, body).await.unwrap();
            }
            client.flush().await.unwrap();
        }
    };
    let guarded = |found: Vec<(String, Value, u64)>| {
        let kept = ["NOX_EVENTS", "KV_NOX_LEASE"];
        found.into_iter().filter(|(name, ..)| kept.contains(&name.as_str())).collect::<Vec<_>>()
    };
    let before = guarded(everything(&operator).await);
    for service in ["gateway", "executor", "projector", "notifier"] {
        for place in places {
            ask(server.raw(service).await, place).await;
        }
        settle().await;
        assert_eq!(guarded(everything(&operator).await), before, "{service}");
    }
    let heard = tokio::time::timeout(Duration::from_millis(100), work.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    // Negative control: within the account of the streams, the answer gets there.
    ask(operator.clone(), "nox.evt").await;
    until(|| async {
        let found = guarded(everything(&operator).await);
        found.iter().any(|(name, _, last)| name == "NOX_EVENTS" && *last > 1)
    })
    .await;
}

/// What was sent has been dealt with: the server answers in its own time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_stream_with_a_setting_that_is_not_ours_is_refused_by_everybody_by_its_name() {
    let server = Production::start().await;
    let [scheduler, projector] =
        [server.connect("scheduler").await, server.connect("projector").await];
    let mut waits = Vec::new();
    let waiting = projector.wait_for_streams(&[subject::EVENTS], |reason| waits.push(reason));
    let early = tokio::time::timeout(Duration::from_millis(300), waiting).await;
    assert!(early.is_err(), "there is none yet");
    assert_eq!(waits[0], "waits for the scheduler to make NOX_EVENTS");

    scheduler.declare().await.unwrap();
    let mut log = projector.follow(subject::EVENTS, 1, None);
    let operator = server.raw("operator").await;
    let info = operator.request("$JS.API.STREAM.INFO.NOX_EVENTS", "".into()).await.unwrap();
    let mut config = serde_json::from_slice::<Value>(&info.payload).unwrap()["config"].clone();
    config["max_age"] = json!(60_000_000_000_u64);
    config["duplicate_window"] = json!(60_000_000_000_u64);
    let update = operator.request("$JS.API.STREAM.UPDATE.NOX_EVENTS", config.to_string().into());
    let update: Value = serde_json::from_slice(&update.await.unwrap().payload).unwrap();
    assert!(update["error"].is_null(), "{update}");

    let refused = soon(projector.wait_for_streams(&[subject::EVENTS], |_| {})).await.unwrap_err();
    assert_eq!((refused.stream.as_str(), refused.wanted.as_str()), (subject::EVENTS, "null"));
    for error in [
        projector.last_sequence(subject::EVENTS).await.unwrap_err().to_string(),
        scheduler.check_streams().await.unwrap_err().to_string(),
        scheduler.declare().await.unwrap_err().to_string(),
        soon(log.next()).await.unwrap().unwrap_err().to_string(),
    ] {
        assert!(error.contains("stream NOX_EVENTS has duplicate_window = 60000000000"), "{error}");
    }
}
