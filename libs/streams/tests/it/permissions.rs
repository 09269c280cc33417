//! `nats/permissions.conf` on a real server: each service can do its work, and no more.

mod configurations;
mod feed;

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use nox_contract::{AnswerMessage, Attempt, Position, TenantId, subject};
use nox_devkit::{NatsConfig, NatsServer};
use nox_streams::{
    Broker, ConnectError, ConnectOptions, Durability, Guard, LogPiece, LogStream, NOT_PERMITTED,
};
use tempfile::TempDir;

use crate::support::{code, epoch, frame, server_on, soon, stopwatch, store, text};

struct Production {
    server: NatsServer,
    _folder: TempDir,
}

impl Production {
    async fn start() -> Self {
        let (server, folder) = server_on(NatsConfig::production(password)).await;
        Self { server, _folder: folder }
    }

    /// With subscribers of two tenants.
    async fn with_subscribers() -> Self {
        let config = NatsConfig::production(password);
        let config = config.with_subscribers(&["acme", "umbra"], password);
        let (server, folder) = server_on(config).await;
        Self { server, _folder: folder }
    }

    async fn connect(&self, service: &'static str) -> Broker {
        let options = ConnectOptions {
            url: format!("nats://{service}:{}@{}", password(service), self.server.address()),
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
        options.connect(self.server.address()).await.unwrap()
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

    let mut guard = Guard { epoch_seq: 0, last_seq: 0 };
    guard.epoch_seq = scheduler.append_epoch(&epoch(1), 0).await.unwrap();
    for last_seq in 1..=2 {
        guard.last_seq = last_seq;
        scheduler.append(frame("{}"), guard).await.unwrap();
    }
    assert_eq!(scheduler.read_log(1).await.unwrap().len(), 3);
    let all: Vec<_> = soon(scheduler.stream_log(1, 3).collect()).await;
    assert!(all.into_iter().all(|chunk| chunk.is_ok()));
    let found = gateway.read_direct(subject::EVENTS, 3).await.unwrap().unwrap();
    assert_eq!((found.seq, found.subject.as_str()), (3, subject::FRAMES));
    assert!(
        gateway.read_history(subject::COMMANDS, "nox.cmd.t", 0, 9, 9).await.unwrap().is_empty()
    );
    let incarnation = projector.incarnation(subject::EVENTS).await.unwrap();
    let mut log = projector.follow(subject::EVENTS, 1, Some(incarnation));
    assert_eq!(soon(log.next()).await.unwrap().unwrap().len(), 3);
    scheduler.append(frame("{}"), Guard { last_seq: 3, ..guard }).await.unwrap();
    assert_eq!(soon(log.next()).await.unwrap().unwrap()[0].seq, 4);
    let position =
        Position { incarnation: gateway.incarnation(subject::EVENTS).await.unwrap(), seq: 4 };
    projector.tell_reader("projector", &position).await.unwrap();
    let told = [("projector".to_owned(), position)].into();
    assert_eq!(scheduler.readers().await.unwrap().positions, told);
    assert_eq!(gateway.readers().await.unwrap().positions, told);
    for stream in [subject::FEED, subject::LOGS, subject::READERS] {
        gateway.usage(stream).await.unwrap();
    }
    assert_eq!(scheduler.cut_log(3).await.unwrap(), 1);
    assert_eq!(scheduler.first_frame().await.unwrap(), Some(3));
    let mut log = scheduler.follow(subject::EVENTS, 3, None);
    assert_eq!(soon(log.next()).await.unwrap().unwrap().len(), 2);
    assert!(gateway.read_one(subject::EVENTS, 2).await.unwrap().is_none());

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
    // Whether anybody hears it crosses from one account into the other as well.
    let nobody = |worker: &str| scheduler.finds_nobody(format!("nox.work.{worker}"), text("y"));
    assert!(!soon(nobody("w1")).await && soon(nobody("w2")).await);
    assert_eq!(soon(work.next()).await.unwrap(), ["y"]);

    let (reply_to, answer) = gateway.answer_inbox().next();
    scheduler.answer(reply_to, &AnswerMessage { answers: Vec::new() });
    soon(answer).await.unwrap();

    for n in 1..=4 {
        scheduler.put_snapshot(&format!("s-{n}-ab"), vec![n; 1 << 20]).await.unwrap();
    }
    scheduler.delete_snapshots(&["s-1-ab".to_owned(), "s-2-ab".to_owned()]).await.unwrap();
    assert_eq!(scheduler.snapshots().await.unwrap(), ["s-4-ab", "s-3-ab"]);
    let newest = scheduler.get_snapshot("s-4-ab").await.unwrap();
    assert_eq!(newest.unwrap(), vec![4; 1 << 20]);

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
    assert_eq!(gateway.read_logs(&tenant, job, 0, 9, 8 << 20).await.unwrap()[0].bytes, "hi");
}

#[tokio::test]
async fn none_but_the_scheduler_can_write_the_log_and_its_lease() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let mut attempts = Vec::new();
    let mut connections = Vec::new();
    for service in ["gateway", "executor", "projector", "notifier"] {
        let broker = server.connect(service).await;
        for subject in [subject::FRAMES, subject::EPOCH, "$KV.NOX_LEASE.scheduler"] {
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
async fn the_notifier_asks_in_the_name_of_no_tenant_alone() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let notifier = server.connect("notifier").await;
    let incarnation = notifier.incarnation(subject::EVENTS).await.unwrap();
    notifier.tell_reader("webhooks", &Position { incarnation, seq: 1 }).await.unwrap();
    store(&notifier, "nox.cmd._system", "x".into()).await;
    for subject in ["nox.cmd.t", "nox.cmd.default", "nox.rep.w1", "nox.reader.projector"] {
        let refused = notifier.publish(subject.to_owned(), None, text("x")).await.unwrap_err();
        assert_eq!(code(&refused), Some(NOT_PERMITTED), "{subject}");
    }
    let scheduler = server.connect("scheduler").await;
    assert_eq!(scheduler.last_sequence(subject::COMMANDS).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_user_may_not_do_is_said_at_once_with_the_user_and_the_subject() {
    let server = Production::start().await;
    server.connect("scheduler").await.declare().await.unwrap();
    let began = stopwatch();

    // Another's inbox, as whoever takes the wrong user for a tool has it.
    let options = ConnectOptions {
        url: format!("nats://projector:{}@{}", password("projector"), server.server.address()),
        service: "noxctl",
        monitor_url: None,
        sync: Durability::Relaxed,
    };
    let error = soon(Broker::connect(options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Denied(_)), "{error}");
    let told = error.to_string();
    assert!(told.contains("\"projector\" may not subscribe to \"_INBOX_noxctl."), "{told}");

    let projector = server.connect("projector").await;
    let job = "nox.log.t.job";
    let error = projector.read_history(subject::LOGS, job, 0, 9, 9).await.unwrap_err().to_string();
    assert!(error.contains("may not publish to \"$JS.API.DIRECT.GET.NOX_LOGS\""), "{error}");
    let error = projector.read_one(subject::COMMANDS, 1).await.unwrap_err().to_string();
    assert!(error.contains("$JS.API.STREAM.MSG.GET.NOX_COMMANDS"), "{error}");
    let write = projector.publish(subject::FRAMES.to_owned(), None, text("x"));
    let error = write.await.unwrap_err().to_string();
    assert!(error.contains("\"projector\" may not publish to \"nox.evt\""), "{error}");
    assert_eq!(soon(projector.denied()).await.user, "projector");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    // What it may do, it still can.
    projector.last_sequence(subject::EVENTS).await.unwrap();
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

#[tokio::test]
async fn none_but_readers_of_the_log_hear_that_something_was_stored() {
    let server = Production::start().await;
    let scheduler = server.connect("scheduler").await;
    scheduler.declare().await.unwrap();
    let mut heard = Vec::new();
    for service in ["gateway", "executor"] {
        let client = server.raw(service).await;
        heard.push(client.subscribe("live.>").await.unwrap());
        client.request("$JS.API.INFO", "".into()).await.unwrap();
    }
    let projector = server.raw("projector").await;
    let mut control = projector.subscribe("live.>").await.unwrap();
    // The server knows of it when it answers.
    projector.request("$JS.API.INFO", "".into()).await.unwrap();

    scheduler.append_epoch(&epoch(1), 0).await.unwrap();
    assert!(soon(control.next()).await.unwrap().payload.is_empty());
    for mut subscription in heard {
        let message = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
        assert!(!matches!(message, Ok(Some(_))), "{message:?}");
    }
}
