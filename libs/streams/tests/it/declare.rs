use nox_contract::subject;
use nox_streams::{DeclareError, Drift, Layout};

use crate::support::{connect, raw, server, setup, soon};
use nox_devkit::Sync;

const LAYOUT: &str = include_str!("../../../../nats/streams.toml");

#[tokio::test]
async fn declaring_is_idempotent_and_any_number_may_do_it_at_once() {
    let (server, _folder) = server(Sync::Relaxed).await;
    let brokers =
        [connect(&server, "a").await, connect(&server, "b").await, connect(&server, "c").await];
    let [a, b, c] = &brokers;
    for result in <[_; 3]>::from(tokio::join!(a.declare(), b.declare(), c.declare())) {
        result.unwrap();
    }
    let before = a.incarnation(subject::EVENTS).await.unwrap();
    a.declare().await.unwrap();

    assert_eq!(b.incarnation(subject::EVENTS).await.unwrap(), before);
    let (created, id) = before.0.split_once('/').unwrap();
    assert!(created.parse::<nox_contract::Timestamp>().is_ok(), "{created}");
    assert!(id.len() >= 20, "{id}");
}

#[tokio::test]
async fn an_incarnation_lasts_over_a_restart() {
    let mut setup = setup().await;
    let mut before = Vec::new();
    for stream in [subject::EVENTS, subject::COMMANDS, subject::REPORTS] {
        before.push((stream, setup.broker.incarnation(stream).await.unwrap()));
    }
    setup.server.kill9();
    setup.server.restart().await.unwrap();

    let broker = connect(&setup.server, "again").await;
    // A single server forgets streams in memory altogether; whoever reads them declares them again.
    let forgotten = broker.incarnation(subject::BEATS).await;
    assert!(matches!(forgotten, Err(nox_streams::Error::Missing(_))), "{forgotten:?}");
    for (stream, incarnation) in before {
        assert_eq!(broker.incarnation(stream).await.unwrap(), incarnation);
    }
}

#[tokio::test]
async fn a_stream_that_could_lose_what_it_holds_is_refused() {
    for (wanted, wrong) in [
        ("storage = \"file\"", "storage = \"memory\""),
        ("retention = \"limits\"", "retention = \"interest\""),
        ("\"nox.ctl.epoch\"]", "\"nox.ctl.epoch\", \"more\"]"),
    ] {
        let (server, _folder) = server(Sync::Relaxed).await;
        let broker = connect(&server, "test").await;
        // The limits of streams on disk are more than there is memory.
        let other = LAYOUT.replacen(wanted, wrong, 1).replace("GiB", "MiB");
        broker.declare_layout(Layout::parse(&other).unwrap()).await.unwrap();

        match soon(broker.declare()).await {
            Err(DeclareError::Drift(Drift { stream, setting, .. })) => {
                assert!(
                    wanted.starts_with(&setting) || setting == "subjects",
                    "{stream} {setting}"
                );
            }
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

/// What a newer version may have made of a stream: who makes streams ends, who waits for them says why, and each
/// message stays as it is, for when either version goes on.
#[tokio::test]
async fn a_setting_of_a_newer_version_is_refused_by_its_name_and_nothing_is_lost() {
    let setup = setup().await;
    let stored = crate::support::store(&setup.broker, "nox.evt", "one".into()).await;
    let life = setup.broker.incarnation(subject::EVENTS).await.unwrap();
    let jetstream = async_nats::jetstream::new(raw(&setup.server).await);
    let stream = jetstream.get_stream(subject::EVENTS).await.unwrap();
    let present = stream.cached_info().config.clone();
    for setting in ["compression", "metadata"] {
        let mut newer = present.clone();
        match setting {
            "metadata" => {
                newer.metadata.insert("nox.of_a_newer_version".to_owned(), "1".to_owned());
            }
            _ => newer.compression = Some(async_nats::jetstream::stream::Compression::S2),
        }
        jetstream.update_stream(&newer).await.unwrap();

        let scheduler = connect(&setup.server, "scheduler").await;
        match soon(scheduler.declare()).await {
            Err(DeclareError::Drift(drift)) => {
                assert_eq!((&*drift.stream, &*drift.setting), (subject::EVENTS, setting));
                let said = drift.to_string();
                assert!(said.starts_with(&format!("stream NOX_EVENTS has {setting} = ")), "{said}");
            }
            other => panic!("{setting}: {other:?}"),
        }
        let projector = connect(&setup.server, "projector").await;
        let refused = soon(projector.wait_for_streams(&[subject::EVENTS], drop)).await;
        assert_eq!(refused.unwrap_err().setting, setting);

        // The control: without it both go on, in the same log.
        jetstream.update_stream(&present).await.unwrap();
        scheduler.declare().await.unwrap();
        soon(projector.wait_for_streams(&[subject::EVENTS], drop)).await.unwrap();
        assert_eq!(projector.incarnation(subject::EVENTS).await.unwrap(), life);
        let message = projector.read_one(subject::EVENTS, stored).await.unwrap().unwrap();
        assert_eq!(message.payload, "one");
    }
}

#[tokio::test]
async fn what_can_be_updated_is_and_more_room_is_left_alone() {
    let (server, _folder) = server(Sync::Relaxed).await;
    let broker = connect(&server, "test").await;
    let other = LAYOUT
        .replace("max_bytes = \"64GiB\"", "max_bytes = \"70GiB\"")
        .replace("max_bytes = \"4GiB\"", "max_bytes = \"1GiB\"")
        .replace("deny_delete = true", "deny_delete = false")
        .replace("republish = ", "# ");
    let before = connect(&server, "before").await;
    before.declare_layout(Layout::parse(&other).unwrap()).await.unwrap();
    broker.declare().await.unwrap();

    assert_eq!(broker.usage(subject::EVENTS).await.unwrap().bytes_max, Some(70 << 30));
    assert_eq!(broker.usage(subject::COMMANDS).await.unwrap().bytes_max, Some(4 << 30));
    let jetstream = async_nats::jetstream::new(raw(&server).await);
    let stream = jetstream.get_stream(subject::EVENTS).await.unwrap();
    let config = &stream.cached_info().config;
    assert!(config.deny_delete && !config.allow_atomic_publish);
    let republish = config.republish.as_ref().unwrap();
    assert_eq!((republish.destination.as_str(), republish.headers_only), ("live.>", true));
}

#[tokio::test]
async fn a_stream_that_the_broker_has_no_room_for_is_refused_with_its_name() {
    let (server, _folder) = server(Sync::Relaxed).await;
    let broker = connect(&server, "test").await;
    let other = LAYOUT.replace("max_bytes = \"64MiB\"", "max_bytes = \"5GiB\"");

    match broker.declare_layout(Layout::parse(&other).unwrap()).await {
        Err(DeclareError::Refused { stream, code, .. }) => {
            assert_eq!((stream.as_str(), code), (subject::BEATS, 10028));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_message_of_the_log_of_facts_can_be_deleted_or_rolled_up() {
    let setup = setup().await;
    let broker = &setup.broker;
    let seq = crate::support::store(broker, "nox.evt", "one".into()).await;
    let client = raw(&setup.server).await;
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream(subject::EVENTS).await.unwrap();

    assert!(stream.delete_message(seq).await.is_err());
    let rollup = crate::support::headers(&[("Nats-Rollup", "all")]);
    broker.publish("nox.evt".into(), rollup, "x".into()).await.unwrap_err();
    assert_eq!(broker.usage(subject::EVENTS).await.unwrap().messages, 1);
}
