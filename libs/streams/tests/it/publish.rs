use std::time::Duration;

use futures_util::future::join_all;
use nox_contract::subject;
use nox_streams::PublishError;

use crate::support::{code, headers, setup, soon, stopwatch, store, text, until};

#[tokio::test]
async fn the_order_of_calls_is_the_order_in_the_stream() {
    let setup = setup().await;
    let acks: Vec<_> = (0..5000)
        .map(|i| setup.broker.publish("nox.cmd.t".into(), None, text(&i.to_string())))
        .collect();
    // Awaited in another order than called.
    let mut seqs = soon(join_all(acks.into_iter().rev())).await;
    seqs.reverse();
    for (seq, expected) in seqs.into_iter().zip(1..) {
        assert_eq!(seq.unwrap().seq, expected);
    }
    for (seq, expected) in [(1, "0"), (2500, "2499"), (5000, "4999")] {
        let message = setup.broker.read_one(subject::COMMANDS, seq).await.unwrap().unwrap();
        assert_eq!(message.payload, expected);
    }
    assert_eq!(setup.broker.read_one(subject::COMMANDS, 5001).await.unwrap(), None);
}

#[tokio::test]
async fn a_future_that_is_dropped_changes_nothing_about_the_write() {
    let setup = setup().await;
    drop(setup.broker.publish("nox.cmd.t".into(), None, text("1")));
    let ack = setup.broker.publish("nox.cmd.t".into(), None, text("2")).await.unwrap();
    assert_eq!(ack.seq, 2);
}

#[tokio::test]
async fn what_the_broker_cannot_have_stored_is_refused() {
    let setup = setup().await;
    let broker = &setup.broker;
    let refused = |subject: &str, headers, payload: bytes::Bytes| {
        let ack = broker.publish(subject.to_owned(), headers, payload);
        async move { code(&soon(ack).await.unwrap_err()) }
    };
    assert_eq!(refused("nobody.listens", None, text("x")).await, Some(503));
    assert_eq!(refused("two words", None, text("x")).await, Some(400));
    assert_eq!(refused("nox.cmd.t", headers(&[("A", "b\r\nC: d")]), text("x")).await, Some(400));
    assert_eq!(refused("nox.cmd.t", None, vec![0; 2 << 20].into()).await, Some(10054));
    let stale = headers(&[("Nats-Expected-Last-Sequence", "7")]);
    assert_eq!(refused("nox.cmd.t", stale, text("x")).await, Some(10071));
    assert_eq!(broker.last_sequence(subject::COMMANDS).await.unwrap(), 0);
}

#[tokio::test]
async fn a_full_stream_refuses_and_says_so() {
    let (server, _folder) = crate::support::server(nox_devkit::Sync::Relaxed).await;
    let broker = crate::support::connect(&server, "test").await;
    let small = include_str!("../../../../nats/streams.toml")
        .replace("max_bytes = \"4GiB\"", "max_bytes = \"64KiB\"");
    broker.declare_layout(nox_streams::Layout::parse(&small).unwrap()).await.unwrap();

    let mut stored = 0;
    let error = loop {
        match soon(broker.publish("nox.cmd.t".into(), None, vec![b'x'; 8192].into())).await {
            Ok(ack) => stored = ack.seq,
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    let usage = broker.usage(subject::COMMANDS).await.unwrap();
    assert_eq!((usage.last_seq, usage.messages), (stored, stored));
    assert_eq!(usage.bytes_max, Some(64 << 10));
}

#[tokio::test]
async fn writes_in_flight_at_a_kill_end_as_stored_or_unknown_and_what_was_acknowledged_is_there() {
    let mut setup = setup().await;
    let broker = setup.broker.clone();
    let (mut acked, mut unknown) = (Vec::new(), 0);
    for round in 0..3 {
        let writes: Vec<_> = (0..5000)
            .map(|i| {
                let payload = format!("{round}-{i}");
                let ack = broker.publish("nox.cmd.t".into(), None, payload.clone().into());
                async move { (payload, ack.await) }
            })
            .collect();
        let writes = tokio::spawn(join_all(writes));
        let before = broker.last_sequence(subject::COMMANDS).await.unwrap_or(0);
        assert!(before < 15_000);
        setup.server.kill9();
        for (payload, outcome) in soon(writes).await.unwrap() {
            match outcome {
                Ok(ack) => acked.push((ack.seq, payload)),
                Err(PublishError::Unknown(_)) => unknown += 1,
                Err(refused) => panic!("{refused}"),
            }
        }
        setup.server.restart().await.unwrap();
        until(|| async { broker.last_sequence(subject::COMMANDS).await.is_ok() }).await;
        until(|| async { broker.link().borrow().up }).await;
    }
    assert!(unknown > 0, "nothing was in flight at any of three kills");
    let step = (acked.len() / 50).max(1);
    for (seq, payload) in acked.iter().step_by(step).chain(acked.last()) {
        let found = broker.read_one(subject::COMMANDS, *seq).await.unwrap().unwrap();
        assert_eq!(found.payload, *payload);
    }
}

#[tokio::test]
async fn while_the_connection_is_down_writes_are_refused_and_afterwards_they_pass() {
    let mut setup = setup().await;
    let broker = setup.broker.clone();
    let generation = broker.link().borrow().generation;
    setup.server.kill9();
    soon(broker.link().wait_for(|link| !link.up)).await.unwrap();

    let refused = broker.publish("nox.cmd.t".into(), None, text("x")).await.unwrap_err();
    assert_eq!(code(&refused), Some(503));
    let asked = stopwatch();
    broker.last_sequence(subject::COMMANDS).await.unwrap_err();
    broker.read_one(subject::COMMANDS, 1).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    broker.publish_unacked("nox.beat.w".into(), text("dropped"));

    setup.server.restart().await.unwrap();
    assert_eq!(store(&broker, "nox.cmd.t", "y".into()).await, 1);
    assert!(broker.link().borrow().generation > generation);
}

#[tokio::test]
async fn a_frozen_broker_leaves_the_outcome_unknown_in_bounded_time() {
    let mut setup = setup().await;
    setup.server.freeze();
    let begun = stopwatch();
    let outcome = soon(setup.broker.publish("nox.cmd.t".into(), None, text("x"))).await;
    setup.server.thaw();

    assert!(matches!(outcome, Err(PublishError::Unknown(_))), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    // It was only late: unknown does not mean lost.
    until(|| async { setup.broker.last_sequence(subject::COMMANDS).await.unwrap() == 1 }).await;
}

#[tokio::test]
async fn everything_published_has_left_after_a_flush() {
    let setup = setup().await;
    for i in 0..1000 {
        setup.broker.publish_unacked("nox.cmd.t".into(), text(&i.to_string()));
    }
    soon(setup.broker.flush()).await;
    until(|| async { setup.broker.last_sequence(subject::COMMANDS).await.unwrap() == 1000 }).await;
}

#[tokio::test]
async fn what_a_stuck_broker_does_not_take_is_bounded_and_the_rest_is_refused() {
    let mut setup = setup().await;
    setup.server.freeze();
    let mut writes = Vec::new();
    for _ in 0..100 {
        for _ in 0..500 {
            writes.push(setup.broker.publish("nox.cmd.t".into(), None, vec![b'x'; 256].into()));
        }
        // The writer and the connection get their turn.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let outcomes = soon(join_all(writes)).await;
    setup.server.thaw();

    let refused = outcomes.iter().filter(|o| o.as_ref().is_err_and(|e| code(e) == Some(503)));
    let refused = refused.count();
    let unknown = outcomes.iter().filter(|o| matches!(o, Err(PublishError::Unknown(_)))).count();
    assert_eq!(refused + unknown, 50_000);
    assert!(refused >= 50_000 - 32 * 1024, "{refused} refused, {unknown} unknown");
}
