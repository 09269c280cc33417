//! A broker with a log, and an archive, for tests.

use std::path::PathBuf;

use nox_archive::{Archive, ClosedSegment, Log, SegmentBuilder};
use nox_contract::{Chain, FrameNumber, subject};
use nox_devkit::{NatsOptions, NatsServer, Sync};
use nox_streams::{Broker, ConnectOptions, Durability, Layout, Message};
use tempfile::TempDir;

pub struct Fixture {
    pub broker: Broker,
    pub log: Log,
    /// What was written, from message 1 on.
    pub messages: Vec<Message>,
    _server: NatsServer,
    folder: TempDir,
}

impl Fixture {
    /// A stream with `count` messages, and an empty archive.
    pub async fn new(count: u64) -> Self {
        Self::of(messages(count, "")).await
    }

    /// A stream with these, and an empty archive.
    pub async fn of(messages: Vec<Message>) -> Self {
        let mut fixture = Self::on(Layout::embedded()).await;
        for message in messages {
            fixture.broker.append_again(message.clone()).await.unwrap();
            fixture.messages.push(message);
        }
        fixture
    }

    /// A stream of `bytes` that has no room for the next message, and an empty archive.
    pub async fn full(bytes: u64) -> Self {
        let mut fixture = Self::on(Layout::embedded().with_log_bytes(bytes)).await;
        for message in messages(bytes, "") {
            match fixture.broker.append_again(message.clone()).await {
                Ok(()) => fixture.messages.push(message),
                Err(error) if error.is_full() => break,
                Err(error) => panic!("{error}"),
            }
        }
        fixture
    }

    pub fn archive_folder(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// The file of a segment.
    pub fn file(&self, name: &str) -> PathBuf {
        let mut lives = std::fs::read_dir(self.archive_folder().join("log")).unwrap();
        lives.next().unwrap().unwrap().path().join(name)
    }

    /// Changes a bit of a segment, so many bytes before its end.
    pub fn damage(&self, name: &str, before_end: usize) {
        let mut bytes = std::fs::read(self.file(name)).unwrap();
        let at = bytes.len() - before_end;
        bytes[at] ^= 1;
        std::fs::write(self.file(name), bytes).unwrap();
    }

    async fn on(layout: Layout) -> Self {
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
        broker.declare_layout(layout).await.unwrap();
        let incarnation = broker.incarnation(subject::EVENTS).await.unwrap();
        let archive = Archive::create(folder.path().join("archive").to_str().unwrap()).unwrap();
        let log = Log::new(broker.clone(), incarnation, Some(&archive));
        Self { broker, log, messages: Vec::new(), _server: server, folder }
    }
}

/// Messages 1 to `count` of a log: an epoch's record first and at every tenth number, frames else. With another
/// `say`, another history.
pub fn messages(count: u64, say: &str) -> Vec<Message> {
    messages_at(count, say, "2026-11-21T22:00:00Z")
}

/// The same, written at another time.
pub fn messages_at(count: u64, say: &str, at: &str) -> Vec<Message> {
    let mut chain = Chain::START;
    let message = |seq| {
        let (subject, payload) = match seq {
            _ if seq == 1 || seq % 10 == 0 => (
                subject::EPOCH,
                format!(
                    r#"{{"epoch":{seq},"leader":"test{say}","at":"{at}","commands":"a","reports":"b"}}"#
                ),
            ),
            _ => (
                subject::FRAMES,
                format!(
                    r#"{{"n":{seq},"epoch":1,"at":"{at}","rules":1,"prev":"{chain}","pos":{{"commands":{{"seq":0,"part":0}},"reports":{{"seq":0,"part":0}}}},"inputs":["{say}"],"entries":[]}}"#
                ),
            ),
        };
        chain = chain.extend(payload.as_bytes());
        Message { seq, subject: subject.to_owned(), payload: payload.into() }
    };
    (1..=count).map(message).collect()
}

/// The chain after the first `n` messages.
pub fn chain(messages: &[Message], n: u64) -> Chain {
    let first = &messages[..n as usize];
    first.iter().fold(Chain::START, |chain, message| chain.extend(&message.payload))
}

/// Messages `from` to `to`.
pub fn segment(messages: &[Message], from: u64, to: u64) -> ClosedSegment {
    let mut builder = SegmentBuilder::new(FrameNumber(from - 1), chain(messages, from - 1));
    for message in &messages[from as usize - 1..to as usize] {
        builder.push(message).unwrap();
    }
    builder.close().unwrap()
}
