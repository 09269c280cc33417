use std::time::Duration;

use futures_util::StreamExt;
use nox_contract::subject;
use nox_protocol::reader::ReadError;
use nox_streams::{Chunks, ConsumeError, Message};

use crate::support::{
    Setup, connect, copy_folder, raw, setup, soon, stopwatch, store, text, until,
};

/// Reads on until the message at `last` has come; each must follow the one before.
async fn read_to(chunks: &mut Chunks<ConsumeError>, next: &mut u64, last: u64) -> Vec<Message> {
    let mut messages = Vec::new();
    while *next <= last {
        for message in soon(chunks.next()).await.unwrap().unwrap() {
            assert_eq!(message.seq, *next);
            *next += 1;
            messages.push(message);
        }
    }
    messages
}

#[tokio::test]
async fn every_message_comes_once_and_in_order_through_kills_of_the_broker() {
    let mut setup = setup().await;
    let incarnation = setup.broker.incarnation(subject::COMMANDS).await.unwrap();
    let writer = connect(&setup.server, "writer").await;
    let writing = tokio::spawn(async move {
        let mut last = 0;
        for i in 0..3000_u64 {
            last = store(&writer, "nox.cmd.t", i.to_string()).await;
            if i % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        last
    });
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, Some(incarnation.clone()));
    let mut next = 1;
    let mut payloads = Vec::new();
    for at in [300, 900, 1500] {
        payloads.extend(read_to(&mut chunks, &mut next, at).await);
        setup.server.kill9();
        setup.server.restart().await.unwrap();
    }
    let last = soon(writing).await.unwrap();
    payloads.extend(read_to(&mut chunks, &mut next, last).await);

    // A write whose acknowledgement was lost was written again; none is missing.
    let mut numbers: Vec<u64> = payloads
        .iter()
        .map(|m| std::str::from_utf8(&m.payload).unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    assert_eq!(setup.broker.incarnation(subject::COMMANDS).await.unwrap(), incarnation);
}

#[tokio::test]
async fn a_message_comes_within_milliseconds() {
    let setup = setup().await;
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, None);
    let mut next = 1;
    let mut spans = Vec::new();
    for seq in 1..=200 {
        let begun = stopwatch();
        store(&setup.broker, "nox.cmd.t", "x".into()).await;
        read_to(&mut chunks, &mut next, seq).await;
        spans.push(begun.elapsed());
    }
    spans.sort_unstable();
    println!("write and read: median {:?}, 99 % {:?}", spans[100], spans[198]);
    assert!(spans[100] < Duration::from_millis(50), "{:?}", spans[100]);
}

#[tokio::test]
async fn reading_begins_where_it_is_told_and_a_filter_passes_over_the_rest() {
    let setup = setup().await;
    for i in 1..=20 {
        let subject = if i % 2 == 0 { "nox.cmd.even" } else { "nox.cmd.odd" };
        store(&setup.broker, subject, i.to_string()).await;
    }
    let mut all = setup.broker.consume(subject::COMMANDS, None, 15, None);
    assert_eq!(read_to(&mut all, &mut 15, 20).await.len(), 6);

    let mut even = setup.broker.consume(subject::COMMANDS, Some("nox.cmd.even".into()), 5, None);
    let mut seqs = Vec::new();
    while seqs.len() < 8 {
        seqs.extend(soon(even.next()).await.unwrap().unwrap().into_iter().map(|m| m.seq));
    }
    assert_eq!(seqs, [6, 8, 10, 12, 14, 16, 18, 20]);
}

#[tokio::test]
async fn a_slow_reader_of_large_messages_misses_none() {
    let setup = setup().await;
    let large = "x".repeat(700 * 1024);
    for _ in 0..40 {
        store(&setup.broker, "nox.cmd.t", large.clone()).await;
    }
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, None);
    let mut next = 1;
    while next <= 40 {
        let chunk = soon(chunks.next()).await.unwrap().unwrap();
        let bytes: usize = chunk.iter().map(|m| m.payload.len()).sum();
        assert!(bytes < 9 << 20, "{bytes}");
        for message in chunk {
            assert_eq!(message.seq, next);
            next += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_not_read_on() {
    let setup = setup().await;
    for _ in 0..3 {
        store(&setup.broker, "nox.cmd.t", "old".into()).await;
    }
    let incarnation = setup.broker.incarnation(subject::COMMANDS).await.unwrap();
    let mut attached = setup.broker.consume(subject::COMMANDS, None, 1, None);
    read_to(&mut attached, &mut 1, 3).await;

    let jetstream = async_nats::jetstream::new(raw(&setup.server).await);
    jetstream.delete_stream(subject::COMMANDS).await.unwrap();
    setup.broker.declare().await.unwrap();
    for _ in 0..5 {
        store(&setup.broker, "nox.cmd.t", "new".into()).await;
    }

    let other = |error| matches!(reason(error), ReadError::OtherIncarnation { .. });
    assert!(other(soon(attached.next()).await.unwrap().unwrap_err()));
    assert!(soon(attached.next()).await.is_none());
    let mut later = setup.broker.consume(subject::COMMANDS, None, 4, Some(incarnation));
    assert!(other(soon(later.next()).await.unwrap().unwrap_err()));
    // Negative control: whoever names no incarnation reads the new stream for the old one.
    let mut trusting = setup.broker.consume(subject::COMMANDS, None, 4, None);
    assert_eq!(read_to(&mut trusting, &mut 4, 5).await[0].payload, "new");
}

fn reason(error: ConsumeError) -> ReadError {
    match error {
        ConsumeError::Position { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

/// A stream of 20 messages that were read, of which a power cut has left 10; and its reader.
async fn rolled_back() -> (Setup, Chunks<ConsumeError>) {
    let mut setup = setup().await;
    for _ in 0..10 {
        store(&setup.broker, "nox.cmd.t", "kept".into()).await;
    }
    let store_folder = setup.folder.path().join("nats/jetstream");
    let backup = setup.folder.path().join("backup");
    setup.server.stop().await;
    copy_folder(&store_folder, &backup);
    setup.server.restart().await.unwrap();
    for _ in 0..10 {
        store(&setup.broker, "nox.cmd.t", "lost".into()).await;
    }
    let incarnation = setup.broker.incarnation(subject::COMMANDS).await.unwrap();
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, Some(incarnation));
    read_to(&mut chunks, &mut 1, 20).await;

    setup.server.kill9();
    std::fs::remove_dir_all(&store_folder).unwrap();
    copy_folder(&backup, &store_folder);
    setup.server.restart().await.unwrap();
    (setup, chunks)
}

#[tokio::test]
async fn a_stream_that_was_rolled_back_is_not_read_on() {
    let (_setup, mut chunks) = rolled_back().await;

    let error = soon(chunks.next()).await.unwrap().unwrap_err();
    assert_eq!(reason(error), ReadError::LogRegressed { position: 20, last: 10 });
    assert!(soon(chunks.next()).await.is_none());
}

#[tokio::test]
async fn a_stream_that_was_rolled_back_and_has_grown_again_is_not_read_on() {
    let (setup, mut chunks) = rolled_back().await;
    for _ in 0..15 {
        store(&setup.broker, "nox.cmd.t", "another".into()).await;
    }

    let error = soon(chunks.next()).await.unwrap().unwrap_err();
    assert_eq!(reason(error), ReadError::Replaced { position: 20 });
    assert!(soon(chunks.next()).await.is_none());
}

#[tokio::test]
async fn a_stream_that_is_gone_is_waited_for() {
    let setup = setup().await;
    let jetstream = async_nats::jetstream::new(raw(&setup.server).await);
    jetstream.delete_stream(subject::COMMANDS).await.unwrap();
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, None);
    let waiting = tokio::time::timeout(Duration::from_millis(300), chunks.next()).await;
    assert!(waiting.is_err());

    setup.broker.declare().await.unwrap();
    store(&setup.broker, "nox.cmd.t", "x".into()).await;
    assert_eq!(read_to(&mut chunks, &mut 1, 1).await.len(), 1);
}

#[tokio::test]
async fn a_frozen_broker_is_read_on_when_it_thaws() {
    let mut setup = setup().await;
    let mut chunks = setup.broker.consume(subject::COMMANDS, None, 1, None);
    let mut next = 1;
    store(&setup.broker, "nox.cmd.t", "x".into()).await;
    read_to(&mut chunks, &mut next, 1).await;

    setup.server.freeze();
    let waiting = tokio::time::timeout(Duration::from_secs(6), chunks.next()).await;
    assert!(waiting.is_err());
    setup.server.thaw();

    store(&setup.broker, "nox.cmd.t", "y".into()).await;
    let last = setup.broker.last_sequence(subject::COMMANDS).await.unwrap();
    read_to(&mut chunks, &mut next, last).await;
}

#[tokio::test]
async fn beats_come_again_after_their_memory_is_lost() {
    let (stream, subject) = (subject::BEATS, "nox.beat.w1");
    let mut setup = setup().await;
    let broker = setup.broker.clone();
    store(&broker, subject, "before".into()).await;
    let mut chunks = broker.consume_new(stream, Some(subject.to_owned()));
    assert_eq!(soon(chunks.next()).await.unwrap().unwrap(), []);
    store(&broker, subject, "first".into()).await;
    assert_eq!(soon(chunks.next()).await.unwrap().unwrap()[0].payload, "first");

    for (payload, vanished) in [("second", false), ("third", true)] {
        if vanished {
            let jetstream = async_nats::jetstream::new(raw(&setup.server).await);
            jetstream.delete_stream(stream).await.unwrap();
        }
        setup.server.kill9();
        setup.server.restart().await.unwrap();
        assert_eq!(soon(chunks.next()).await.unwrap().unwrap(), [], "attached again");
        store(&broker, subject, payload.to_owned()).await;
        assert_eq!(soon(chunks.next()).await.unwrap().unwrap()[0].payload, payload);
    }
}

#[tokio::test]
async fn work_is_heard_again_after_the_broker_was_away() {
    let mut setup = setup().await;
    let subject = "nox.work.w1";
    let send = |broker: &nox_streams::Broker, payload: &str| {
        broker.publish_unacked(subject.into(), text(payload));
    };
    send(&setup.broker, "before");
    let worker = connect(&setup.server, "worker").await;
    let mut heard = worker.hear(subject.to_owned());
    assert!(soon(heard.next()).await.unwrap().is_empty(), "listens");
    send(&setup.broker, "first");
    assert_eq!(soon(heard.next()).await.unwrap(), ["first"]);

    setup.server.kill9();
    setup.server.restart().await.unwrap();
    assert!(soon(heard.next()).await.unwrap().is_empty(), "something may have been missed");
    soon(setup.broker.link().wait_for(|link| link.up)).await.unwrap();
    send(&setup.broker, "second");
    assert_eq!(soon(heard.next()).await.unwrap(), ["second"]);
}

#[tokio::test]
async fn that_nobody_hears_work_is_said_at_once_and_by_a_broker_alone() {
    let mut setup = setup().await;
    let worker = connect(&setup.server, "worker").await;
    let mut heard = worker.hear("nox.work.w1".to_owned());
    assert!(soon(heard.next()).await.unwrap().is_empty(), "listens");
    let nobody = || setup.broker.finds_nobody("nox.work.w1".into(), text("?"));
    assert!(!soon(nobody()).await);
    assert_eq!(soon(heard.next()).await.unwrap(), ["?"]);
    // What was not answered is no write that the broker left unanswered.
    assert_eq!(setup.broker.health().await, Ok(()));

    drop((heard, worker));
    until(nobody).await;
    let reports = setup.broker.last_sequence_if_connected(subject::REPORTS).await.unwrap();
    assert_eq!(reports, Some(0));

    setup.server.kill9();
    until(|| async { !setup.broker.link().borrow().up }).await;
    assert!(!soon(nobody()).await, "who is not connected knows nothing");
}

#[tokio::test]
async fn only_a_workers_newest_beat_is_kept() {
    let setup = setup().await;
    for i in 0..10 {
        setup.broker.publish_unacked("nox.beat.w1".into(), text(&i.to_string()));
        setup.broker.publish_unacked("nox.beat.w2".into(), text(&i.to_string()));
    }
    until(|| async { setup.broker.last_sequence(subject::BEATS).await.unwrap() == 20 }).await;
    assert_eq!(setup.broker.usage(subject::BEATS).await.unwrap().messages, 2);
}

#[tokio::test]
async fn consumed_inputs_are_removed_from_a_stream_that_is_half_full_and_reading_goes_on() {
    let (server, _folder) = crate::support::server(nox_devkit::Sync::Relaxed).await;
    let broker = connect(&server, "test").await;
    let small = include_str!("../../../../nats/streams.toml")
        .replace("max_bytes = \"4GiB\"", "max_bytes = \"64KiB\"");
    broker.declare_layout(nox_streams::Layout::parse(&small).unwrap()).await.unwrap();
    let mut chunks = broker.consume(subject::COMMANDS, None, 1, None);
    let mut next = 1;
    let mut removed = 0;
    for seq in 1..=50 {
        assert_eq!(store(&broker, "nox.cmd.t", "x".repeat(4096)).await, seq);
        read_to(&mut chunks, &mut next, seq).await;
        // The last one is not consumed yet, as far as the log knows.
        removed += broker.trim(subject::COMMANDS, seq - 1).await.unwrap();
    }
    let usage = broker.usage(subject::COMMANDS).await.unwrap();
    assert_eq!((usage.last_seq, usage.messages), (50, 50 - removed));
    assert!(usage.bytes < 48 << 10 && removed > 30, "{usage:?}");
    assert!(broker.read_one(subject::COMMANDS, 50).await.unwrap().is_some());

    // A position that was trimmed away is still one that the stream has reached.
    let mut later = broker.consume(subject::COMMANDS, None, 2, None);
    assert_eq!(soon(later.next()).await.unwrap().unwrap()[0].seq, usage.first_seq);
}
