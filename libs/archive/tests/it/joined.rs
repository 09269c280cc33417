//! The log as one, wherever its messages are.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use nox_archive::{Archive, Log, LogError};
use nox_contract::{Chain, FrameNumber, Incarnation, subject};
use nox_devkit::{NatsOptions, NatsServer, Sync};
use nox_streams::{Broker, ConnectOptions, Durability, Message};
use tempfile::TempDir;

use crate::support::{chain, log, message, segment};

/// Longer than any test needs on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Setup {
    log: Log,
    broker: Broker,
    archive: Archive,
    incarnation: Incarnation,
    messages: Vec<Message>,
    _server: NatsServer,
    _folder: TempDir,
}

impl Setup {
    /// A stream of `count` messages and an empty archive.
    async fn new(count: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            NatsOptions { sync: Sync::Relaxed, ..NatsOptions::new(folder.path().join("nats")) };
        let server = NatsServer::start(options).await.unwrap();
        let broker = Broker::connect(ConnectOptions {
            url: server.url(),
            service: "test",
            monitor_url: Some(server.monitor_url()),
            sync: Durability::Relaxed,
        })
        .await
        .unwrap();
        broker.declare().await.unwrap();
        let messages = log(count, 2_000);
        for message in &messages {
            store(&broker, message).await;
        }
        let incarnation = broker.incarnation(subject::EVENTS).await.unwrap();
        let archive = Archive::create(folder.path().join("archive").to_str().unwrap()).unwrap();
        let log = Log::new(broker.clone(), incarnation.clone(), Some(&archive));
        Self { log, broker, archive, incarnation, messages, _server: server, _folder: folder }
    }

    async fn keep(&self, from: u64, to: u64) {
        let closed = segment(&self.messages, from, to);
        self.archive.log(&self.incarnation).put(closed).await.unwrap();
    }

    async fn read(&self, log: &Log, from: u64, to: u64) -> Result<Vec<Message>, LogError> {
        let read = log.read(FrameNumber(from), FrameNumber(to)).try_concat();
        tokio::time::timeout(TIMEOUT, read).await.expect("read in time")
    }
}

async fn store(broker: &Broker, message: &Message) {
    let stored = broker.publish(message.subject.clone(), None, message.payload.clone()).await;
    assert_eq!(stored.unwrap().seq, message.seq);
}

/// Messages of an endless stream, up to number `to`.
async fn up_to(
    messages: &mut BoxStream<'static, Result<Vec<Message>, LogError>>,
    to: u64,
) -> Vec<Message> {
    let mut read: Vec<Message> = Vec::new();
    while read.last().is_none_or(|last| last.seq < to) {
        let next = tokio::time::timeout(TIMEOUT, messages.next()).await.expect("read in time");
        read.extend(next.unwrap().unwrap());
    }
    read
}

fn missing<T: std::fmt::Debug>(result: Result<T, LogError>) -> u64 {
    match result {
        Err(LogError::Missing { n, .. }) => n.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_log_that_was_cut_reads_as_it_was_written() {
    let setup = Setup::new(220).await;
    let (log, messages) = (&setup.log, &setup.messages);
    assert_eq!(&setup.read(log, 1, 220).await.unwrap(), messages);

    // The terms' records at 1, 50, 100 and 150 stay in the stream, before its frames.
    setup.keep(1, 70).await;
    setup.keep(60, 180).await;
    setup.broker.cut_log(170).await.unwrap();
    assert!(setup.broker.read_one(subject::EVENTS, 169).await.unwrap().is_none());
    assert!(setup.broker.read_one(subject::EVENTS, 150).await.unwrap().is_some());
    assert_eq!(&setup.read(log, 1, 220).await.unwrap(), messages);
    for from in [2, 49, 50, 51, 169, 170, 171, 180, 181, 220] {
        let read = setup.read(log, from, 220).await.unwrap();
        assert_eq!(read, messages[from as usize - 1..], "from {from}");
    }
    assert_eq!(setup.read(log, 60, 60).await.unwrap(), messages[59..60]);
    assert_eq!(setup.read(log, 61, 60).await.unwrap(), []);
    for n in [1, 2, 50, 100, 169, 170, 220] {
        let found = log.frame(FrameNumber(n)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&messages[n as usize - 1]), "{n}");
    }
    assert_eq!(log.frame(FrameNumber(221)).await.unwrap(), None);
    assert_eq!(log.frame(FrameNumber(0)).await.unwrap(), None);
}

#[tokio::test]
async fn who_follows_goes_from_the_archive_to_the_stream_and_on() {
    let setup = Setup::new(120).await;
    setup.keep(1, 110).await;
    setup.broker.cut_log(111).await.unwrap();
    let mut followed = setup.log.follow(FrameNumber(3));
    assert_eq!(up_to(&mut followed, 120).await, setup.messages[2..]);

    let next = message(121, chain(&setup.messages, 120), 100);
    store(&setup.broker, &next).await;
    assert_eq!(up_to(&mut followed, 121).await, [next]);
}

#[tokio::test]
async fn a_log_whose_stream_was_cut_to_its_end_is_followed_all_the_same() {
    let setup = Setup::new(120).await;
    setup.keep(1, 120).await;
    let mut waiting = setup.log.follow(FrameNumber(119));
    assert_eq!(up_to(&mut waiting, 120).await, setup.messages[118..]);
    setup.broker.cut_log(121).await.unwrap();
    // Nothing of the stream comes after 101, and nothing says so.
    let mut followed = setup.log.follow(FrameNumber(101));
    assert_eq!(up_to(&mut followed, 120).await, setup.messages[100..]);
    assert_eq!(setup.read(&setup.log, 1, 120).await.unwrap(), setup.messages);
    let next = message(121, chain(&setup.messages, 120), 100);
    store(&setup.broker, &next).await;
    for followed in [&mut followed, &mut waiting] {
        assert_eq!(up_to(followed, 121).await, std::slice::from_ref(&next));
    }
}

#[tokio::test]
async fn what_is_nowhere_is_said_by_its_number() {
    let setup = Setup::new(120).await;
    setup.keep(1, 20).await;
    setup.keep(31, 90).await;
    setup.broker.cut_log(100).await.unwrap();
    let log = &setup.log;
    assert_eq!(missing(setup.read(log, 1, 120).await), 21);
    assert_eq!(missing(setup.read(log, 31, 120).await), 91);
    assert_eq!(missing(log.frame(FrameNumber(21)).await), 21);
    assert_eq!(missing(log.frame(FrameNumber(99)).await), 99);
    let mut followed = log.follow(FrameNumber(15));
    assert_eq!(up_to(&mut followed, 20).await, setup.messages[14..20]);
    assert_eq!(missing(followed.next().await.unwrap()), 21);

    // The archive withheld.
    let alone = Log::new(setup.broker.clone(), setup.incarnation.clone(), None);
    assert_eq!(missing(setup.read(&alone, 2, 120).await), 2);
    assert_eq!(missing(alone.frame(FrameNumber(2)).await), 2);
    assert_eq!(setup.read(&alone, 100, 120).await.unwrap(), setup.messages[99..]);
    let error = alone.frame(FrameNumber(2)).await.unwrap_err().to_string();
    assert!(error.contains("none is named") && error.contains("NOX_ARCHIVE"), "{error}");
    assert!(!error.contains('\n'), "{error}");

    // Another life of the log is another archive.
    let other = Log::new(setup.broker.clone(), Incarnation("x".into()), Some(&setup.archive));
    assert_eq!(missing(other.frame(FrameNumber(2)).await), 2);
}

#[tokio::test]
async fn one_message_of_many_is_found_without_reading_the_archive_whole() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::create(folder.path().to_str().unwrap()).unwrap();
    let archive = archive.log(&Incarnation("a".into()));
    let mut last = Chain::START;
    let mut wanted = Vec::new();
    // Twelve segments of 16 MiB.
    for segment in 0..12 {
        let mut builder = nox_archive::SegmentBuilder::new(FrameNumber(segment * 80), last);
        for n in segment * 80 + 1..=segment * 80 + 80 {
            let message = message(n, builder.end().1, 200_000);
            builder.push(&message).unwrap();
            wanted.extend((n % 73 == 0).then_some(message));
        }
        last = builder.end().1;
        archive.put(builder.close().unwrap()).await.unwrap();
    }
    archive.segments().await.unwrap();
    let mut took = Vec::new();
    for message in &wanted {
        let begin = stopwatch();
        let found = archive.frame(FrameNumber(message.seq)).await.unwrap();
        took.push(begin.elapsed());
        assert_eq!(found.as_ref(), Some(message));
    }
    took.sort();
    let median = took[took.len() / 2];
    assert!(median <= Duration::from_millis(50), "{took:?}");
    println!("one message: median {median:?}, slowest {:?}", took[took.len() - 1]);
}

#[expect(clippy::disallowed_methods, reason = "reading takes real time")]
fn stopwatch() -> Instant {
    Instant::now()
}
