//! A server and a connection, and waits that end.

use std::{
    future::Future,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nox_contract::{Epoch, EpochRecord, FrameNumber, Incarnation, Positions, Timestamp};
use nox_devkit::{NatsConfig, NatsOptions, NatsServer, Sync};
use nox_protocol::sequencer::SealedFrame;
use nox_streams::{Broker, ConnectOptions, Durability, Headers, PublishError};
use tempfile::TempDir;

/// Longer than any test needs on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Setup {
    pub server: NatsServer,
    pub broker: Broker,
    /// Removed at the end, after the server that writes to it.
    pub folder: TempDir,
}

impl Setup {
    /// The log's stream, for what Nox never does.
    pub async fn broker_stream(&self) -> async_nats::jetstream::stream::Stream {
        let jetstream = async_nats::jetstream::new(raw(&self.server).await);
        jetstream.get_stream(nox_contract::subject::EVENTS).await.unwrap()
    }
}

/// A relaxed server with all streams declared; what it forgets at a power cut no test can see.
pub async fn setup() -> Setup {
    let (server, folder) = server(Sync::Relaxed).await;
    let broker = connect(&server, "test").await;
    broker.declare().await.unwrap();
    Setup { server, broker, folder }
}

pub async fn server(sync: Sync) -> (NatsServer, TempDir) {
    start(sync, None).await
}

/// A relaxed server on a configuration of the test's own.
pub async fn server_on(config: NatsConfig) -> (NatsServer, TempDir) {
    start(Sync::Relaxed, Some(config)).await
}

async fn start(sync: Sync, config: Option<NatsConfig>) -> (NatsServer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = NatsOptions { sync, config, ..NatsOptions::new(folder.path().join("nats")) };
    (NatsServer::start(options).await.unwrap(), folder)
}

pub async fn connect(server: &NatsServer, service: &'static str) -> Broker {
    Broker::connect(options(server, service)).await.unwrap()
}

pub fn options(server: &NatsServer, service: &'static str) -> ConnectOptions {
    ConnectOptions {
        url: server.url(),
        service,
        monitor_url: Some(server.monitor_url()),
        sync: Durability::Relaxed,
    }
}

/// The library's own client, for what Nox never does.
pub async fn raw(server: &NatsServer) -> async_nats::Client {
    let (user, rest) = server
        .url()
        .strip_prefix("nats://")
        .unwrap()
        .split_once(':')
        .map(|(u, r)| (u.to_owned(), r.to_owned()))
        .unwrap();
    let (password, host) = rest.split_once('@').unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(user, password.to_owned());
    options.connect(host).await.unwrap()
}

/// Fails the test when `future` takes too long.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("done in time")
}

/// Waits until `condition` holds.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    soon(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Publishes until it is stored for certain, through restarts of the server; it may be stored twice.
pub async fn store(broker: &Broker, subject: &str, payload: String) -> u64 {
    soon(async {
        loop {
            match broker.publish(subject.to_owned(), None, payload.clone().into()).await {
                Ok(ack) => return ack.seq,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

pub fn headers(pairs: &[(&'static str, &str)]) -> Option<Headers> {
    Some(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

pub fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn epoch(number: u64) -> EpochRecord {
    EpochRecord {
        epoch: Epoch(number),
        leader: "test".into(),
        at: Timestamp::from_micros(1),
        commands: Incarnation("c".into()),
        reports: Incarnation("r".into()),
    }
}

/// What is in it is nothing to the broker.
pub fn frame(payload: impl Into<Bytes>) -> SealedFrame {
    SealedFrame {
        n: FrameNumber(0),
        pos: Positions::default(),
        entries: 2,
        payload: payload.into(),
    }
}

pub fn code(error: &PublishError) -> Option<u64> {
    match error {
        PublishError::Refused { code, .. } => Some(*code),
        PublishError::Unknown(_) => None,
    }
}

/// Runs from now on.
#[expect(clippy::disallowed_methods, reason = "what the broker does takes real time")]
pub fn stopwatch() -> Instant {
    Instant::now()
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
