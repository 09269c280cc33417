//! A server and a connection, and waits that end.

use std::{
    future::Future,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nox_devkit::{NatsOptions, NatsServer, Sync};
use nox_streams::{Broker, ConnectOptions, Durability, Headers, PublishError};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Longer than any test needs on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Setup {
    pub server: NatsServer,
    pub broker: Broker,
    /// Removed at the end, after the server that writes to it.
    pub folder: TempDir,
}

/// A relaxed server with all streams declared; what it forgets at a power cut no test can see.
pub async fn setup() -> Setup {
    let (server, folder) = server(Sync::Relaxed).await;
    let broker = connect(&server, "test").await;
    broker.declare().await.unwrap();
    Setup { server, broker, folder }
}

pub async fn server(sync: Sync) -> (NatsServer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = NatsOptions { sync, ..NatsOptions::new(folder.path().join("nats")) };
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
    tokio::time::timeout(PATIENCE, future).await.expect("done in time")
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

/// A server on a configuration of the test's own, which may include `server.conf`.
pub struct Custom {
    pub process: Child,
    /// `address:port` for clients.
    pub host: String,
    _folder: TempDir,
}

impl Custom {
    pub async fn start(
        config: &str,
        more_files: &[(&str, &str)],
        variables: &[(String, String)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("server.conf", include_str!("../../../../nats/server.conf")),
            ("custom.conf", config),
        ];
        for (name, content) in files.iter().chain(more_files) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let process = Command::new(nox_devkit::tools::nats_server().unwrap().path)
            .arg("-c")
            .arg(folder.path().join("custom.conf"))
            .arg("--ports_file_dir")
            .arg(folder.path())
            .env("NOX_NATS_LISTEN", "127.0.0.1:-1")
            .env("NOX_NATS_MONITOR", "127.0.0.1:-1")
            .env("NOX_NATS_STORE", format!("\"{}\"", folder.path().join("store").display()))
            .env("NOX_NATS_SYNC", "2m")
            .env("NOX_NATS_FILE_MAX", "1TB")
            .envs(variables.iter().cloned())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ending = format!("_{}.ports", process.id().unwrap());
        let mut host = None;
        until(|| {
            let paths = std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.path());
            let ports = paths.into_iter().find(|path| path.to_string_lossy().ends_with(&ending));
            host = ports.and_then(|path| client_address(&path));
            std::future::ready(host.is_some())
        })
        .await;
        Self { process, host: host.unwrap(), _folder: folder }
    }
}

/// What a ports file says, once it is written whole.
pub fn client_address(ports: &Path) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.strip_prefix("nats://")?.to_owned())
}
