//! `nats/permissions.conf` on a real server: each service can do its work, and no more.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use nox_contract::{
    AnswerMessage, Attempt, Epoch, EpochRecord, Incarnation, TenantId, Timestamp, subject,
};
use nox_streams::{
    Broker, ConnectError, ConnectOptions, Durability, Guard, LogMessage, LogPiece, LogStream,
    NOT_PERMITTED,
};
use serde_json::{Value, json};

use crate::support::{Custom, code, soon, stopwatch, store, text};

const SERVICES: [&str; 5] = ["gateway", "scheduler", "executor", "projector", "operator"];

struct Production {
    server: Custom,
}

impl Production {
    async fn start() -> Self {
        let config = "include ./server.conf\ninclude ./permissions.conf\n";
        let permissions = include_str!("../../../../nats/permissions.conf");
        let passwords = SERVICES.map(|service| {
            (format!("NOX_NATS_{}_PASSWORD", service.to_uppercase()), password(service))
        });
        Self {
            server: Custom::start(config, &[("permissions.conf", permissions)], &passwords).await,
        }
    }

    async fn connect(&self, service: &'static str) -> Broker {
        let options = ConnectOptions {
            url: format!("nats://{service}:{}@{}", password(service), self.server.host),
            service,
            monitor_url: None,
            sync: Durability::Relaxed,
        };
        soon(Broker::connect(options)).await.unwrap()
    }

    async fn raw(&self, service: &str) -> async_nats::Client {
        let options = async_nats::ConnectOptions::with_user_and_password(
            service.to_owned(),
            password(service),
        );
        let options = options.custom_inbox_prefix(format!("_INBOX_{service}"));
        options.connect(&self.server.host).await.unwrap()
    }
}

fn password(service: &str) -> String {
    format!("of-{service}")
}

#[tokio::test]
async fn every_service_can_do_its_work() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let [gateway, scheduler, executor, projector] = [
        server.connect("gateway").await,
        server.connect("scheduler").await,
        server.connect("executor").await,
        server.connect("projector").await,
    ];
    for (service, streams) in [
        (&gateway, &[subject::COMMANDS, subject::REPORTS, subject::EVENTS][..]),
        (&executor, &[subject::REPORTS, subject::LOGS]),
        (&projector, &[subject::EVENTS]),
    ] {
        soon(service.wait_for_streams(streams, |reason| panic!("{reason}"))).await.unwrap();
    }
    scheduler.declare().await.unwrap();
    scheduler.check_streams().await.unwrap();

    let mut lease = scheduler.lease("s1".into(), Duration::from_secs(10));
    assert!(lease.acquire().await.unwrap());
    assert!(lease.renew().await.unwrap());
    lease.release().await.unwrap();
    soon(lease.wait_free()).await;

    let record = EpochRecord {
        epoch: Epoch(1),
        leader: "s1".into(),
        at: Timestamp::from_micros(1),
        commands: Incarnation::default(),
        reports: Incarnation::default(),
    };
    let watcher = server.raw("gateway").await;
    let mut live = watcher.subscribe("live.nox.evt.>").await.unwrap();
    watcher.flush().await.unwrap();
    let mut guard = Guard { epoch_seq: 0, last_seq: 0 };
    guard.epoch_seq = scheduler.append_epoch(&record, 0).await.unwrap();
    guard.last_seq = guard.epoch_seq;
    let message = |subject: &str| LogMessage {
        subject: subject.to_owned(),
        facts: "submitted".into(),
        payload: text("{}"),
    };
    guard.last_seq = scheduler.append(message("nox.evt.t.job.1"), guard).await.unwrap();
    let batch = vec![message("nox.evt.t.job.1"), message(subject::MARK)];
    scheduler.append_batch(batch, guard).await.unwrap();
    assert_eq!(scheduler.read_log(1).await.unwrap().len(), 4);
    let all: Vec<_> = soon(scheduler.stream_log(1, 4).collect()).await;
    assert!(all.into_iter().all(|chunk| chunk.is_ok()));
    assert_eq!(soon(live.next()).await.unwrap().subject.as_str(), "live.nox.evt.t.job.1");
    assert_eq!(
        gateway
            .read_history(subject::EVENTS, "nox.evt.t.job.1", 0, 9, 8 << 20)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(
        gateway.read_history(subject::COMMANDS, "nox.cmd.t", 0, 9, 9).await.unwrap().is_empty()
    );
    let incarnation = projector.incarnation(subject::EVENTS).await.unwrap();
    let mut log = projector.follow(subject::EVENTS, 1, Some(incarnation));
    assert_eq!(soon(log.next()).await.unwrap().unwrap().len(), 4);
    scheduler.append(message(subject::MARK), Guard { last_seq: 4, ..guard }).await.unwrap();
    assert_eq!(soon(log.next()).await.unwrap().unwrap()[0].seq, 5);

    for (writer, subject, stream) in
        [(&gateway, "nox.cmd.t", subject::COMMANDS), (&executor, "nox.rep.w1", subject::REPORTS)]
    {
        let seq = store(writer, subject, "x".into()).await;
        let mut chunks = scheduler.consume(stream, None, seq, None);
        assert_eq!(soon(chunks.next()).await.unwrap().unwrap()[0].subject, subject);
        assert!(scheduler.read_one(stream, seq).await.unwrap().is_some());
        assert_eq!(scheduler.trim(stream, seq).await.unwrap(), 0);
    }
    let mut beats = scheduler.consume_new(subject::BEATS, Some("nox.beat.w1".to_owned()));
    assert_eq!(soon(beats.next()).await.unwrap().unwrap(), []);
    executor.publish_unacked("nox.beat.w1".to_owned(), text("x"));
    assert_eq!(soon(beats.next()).await.unwrap().unwrap()[0].subject, "nox.beat.w1");
    let mut work = executor.hear("nox.work.w1".to_owned());
    assert!(soon(work.next()).await.unwrap().is_empty());
    scheduler.publish_unacked("nox.work.w1".to_owned(), text("x"));
    assert_eq!(soon(work.next()).await.unwrap(), ["x"]);

    let (reply_to, answer) = gateway.answer_inbox().next();
    scheduler.answer(reply_to, &AnswerMessage { answers: Vec::new() });
    soon(answer).await.unwrap();

    for n in 1..=4 {
        scheduler.put_snapshot(&format!("s-{n}-ab"), vec![n; 1 << 20]).await.unwrap();
    }
    assert_eq!(scheduler.latest_snapshot().await.unwrap().unwrap().1, vec![4; 1 << 20]);

    let (tenant, job) = (TenantId::new("t").unwrap(), "00000000-0000-7000-8000-000000000001");
    let job = job.parse().unwrap();
    let piece = LogPiece {
        attempt: Attempt(1),
        number: 0,
        stream: LogStream::Stdout,
        offset: 0,
        length: 2,
        missing: 0,
        end: true,
    };
    executor.append_log(&tenant, job, piece, text("hi")).await.unwrap();
    assert_eq!(gateway.read_logs(&tenant, job, 0, 9, 8 << 20).await.unwrap()[0].text, "hi");
}

#[tokio::test]
async fn none_but_the_scheduler_can_write_the_log_and_its_lease() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let mut attempts = Vec::new();
    let mut connections = Vec::new();
    for service in ["gateway", "executor", "projector"] {
        let broker = server.connect(service).await;
        for subject in ["nox.evt.t.job.1", subject::EPOCH, subject::MARK, "$KV.NOX_LEASE.scheduler"]
        {
            attempts.push(broker.publish(subject.to_owned(), None, text("x")));
        }
        connections.push(broker);
    }
    let executor = server.connect("executor").await;
    attempts.push(executor.publish("nox.cmd.t".into(), None, text("x")));
    let scheduler = server.connect("scheduler").await;
    attempts.push(scheduler.publish("nox.cmd.t".into(), None, text("x")));

    for attempt in soon(join_all(attempts)).await {
        assert_eq!(code(&attempt.unwrap_err()), Some(NOT_PERMITTED));
    }
    for stream in [subject::EVENTS, subject::COMMANDS, "KV_NOX_LEASE"] {
        assert_eq!(scheduler.last_sequence(stream).await.unwrap(), 0, "{stream}");
    }
}

#[tokio::test]
async fn what_a_user_may_not_do_is_said_at_once_with_the_user_and_the_subject() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let began = stopwatch();

    // Another's inbox, as whoever takes the wrong user for a tool has it.
    let options = ConnectOptions {
        url: format!("nats://projector:{}@{}", password("projector"), server.server.host),
        service: "noxctl",
        monitor_url: None,
        sync: Durability::Relaxed,
    };
    let error = soon(Broker::connect(options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Denied(_)), "{error}");
    let told = error.to_string();
    assert!(told.contains("\"projector\" may not subscribe to \"_INBOX_noxctl."), "{told}");

    let projector = server.connect("projector").await;
    let job = "nox.evt.t.job.1";
    let error = projector.read_history(subject::LOGS, job, 0, 9, 9).await.unwrap_err().to_string();
    assert!(error.contains("may not publish to \"$JS.API.DIRECT.GET.NOX_LOGS\""), "{error}");
    let error = projector.read_one(subject::COMMANDS, 1).await.unwrap_err().to_string();
    assert!(error.contains("$JS.API.STREAM.MSG.GET.NOX_COMMANDS"), "{error}");
    let error = projector.publish(job.into(), None, text("x")).await.unwrap_err().to_string();
    assert!(error.contains("\"projector\" may not publish to \"nox.evt.t.job.1\""), "{error}");
    assert_eq!(soon(projector.denied()).await.user, "projector");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    // What it may do, it still can.
    projector.last_sequence(subject::EVENTS).await.unwrap();
}

#[tokio::test]
async fn a_service_makes_or_changes_no_stream_and_none_deletes_one_or_purges_the_log() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let mut requests = Vec::new();
    for service in ["gateway", "executor", "projector", "scheduler"] {
        let client = server.raw(service).await;
        let mut denied = vec!["DELETE.NOX_EVENTS", "PURGE.NOX_EVENTS", "MSG.DELETE.NOX_EVENTS"];
        if service != "scheduler" {
            denied.extend(["UPDATE.NOX_EVENTS", "PURGE.NOX_COMMANDS", "CREATE.X"]);
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
        memory(json!({"republish": {"src": "w.>", "dest": "nox.evt.t.>"}})),
        memory(json!({"sources": [{"name": "NOX_COMMANDS"}]})),
        memory(json!({"subjects": null, "mirror": {"name": "NOX_COMMANDS"}})),
        memory(json!({"subject_transform": {"src": "w.>", "dest": "nox.evt.t.>"}})),
        memory(json!({"subjects": ["nox.work.*"]})),
    ];
    for setting in [
        json!({"republish": {"src": ">", "dest": "nox.cmd.>"}}),
        json!({"sources": [{"name": "NOX_COMMANDS"}]}),
        json!({"deny_purge": false, "allow_rollup_hdrs": true}),
    ] {
        for stream in ["NOX_EVENTS", "NOX_REPORTS", "NOX_LOGS"] {
            let mut config = json!({"name": stream});
            config.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
            requests.push((format!("STREAM.UPDATE.{stream}"), config));
        }
    }
    for stream in ["NOX_EVENTS", "NOX_COMMANDS", "NOX_REPORTS", "NOX_BEATS", "NOX_LOGS"] {
        for config in [
            json!({"deliver_subject": "nox.evt.t.job.1", "ack_policy": "none"}),
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
    operator.request("nox.evt.t.job.1", "genuine".into()).await.unwrap();
    operator.request("nox.cmd.t", "genuine".into()).await.unwrap();
    let before = everything(&operator).await;

    for service in ["gateway", "executor", "projector"] {
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
    crate::support::until(|| async {
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
    operator.request("nox.evt.t.job.1", "genuine".into()).await.unwrap();
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
    let places = [
        "nox.evt.t.job.1",
        subject::EPOCH,
        subject::MARK,
        "$KV.NOX_LEASE.scheduler",
        "nox.work.w1",
    ];
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
    for service in ["gateway", "executor", "projector"] {
        for place in places {
            ask(server.raw(service).await, place).await;
        }
        settle().await;
        assert_eq!(guarded(everything(&operator).await), before, "{service}");
    }
    let heard = tokio::time::timeout(Duration::from_millis(100), work.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    // Negative control: within the account of the streams, the answer gets there.
    ask(operator.clone(), "nox.evt.t.job.1").await;
    crate::support::until(|| async {
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

#[tokio::test]
async fn none_can_hear_anothers_inbox() {
    let server = Production::start().await;
    let gateway = server.connect("gateway").await;
    server.connect("scheduler").await.declare().await.unwrap();
    let mut heard = Vec::new();
    for (service, subject) in
        [("executor", "_INBOX_gateway.>"), ("projector", ">"), ("gateway", "nox.>")]
    {
        heard.push(server.raw(service).await.subscribe(subject).await.unwrap());
    }
    let own = server.raw("gateway").await;
    let mut control = own.subscribe("_INBOX_gateway.>").await.unwrap();
    own.flush().await.unwrap();

    let (reply_to, answer) = gateway.answer_inbox().next();
    let scheduler = server.connect("scheduler").await;
    scheduler.answer(reply_to, &AnswerMessage { answers: Vec::new() });
    soon(answer).await.unwrap();
    soon(control.next()).await.unwrap();
    for mut subscription in heard {
        let message = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
        assert!(!matches!(message, Ok(Some(_))), "{message:?}");
    }
}
