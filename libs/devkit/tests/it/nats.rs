//! nats-server: what it keeps, and what it says of itself.

use std::time::Duration;

use nox_devkit::{NatsOptions, NatsServer, Sync};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_killed_server_comes_back_on_its_ports_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();
    let (url, monitor_url) = (server.url(), server.monitor_url());
    let stream = json!({"name": "KEPT", "subjects": ["kept"], "storage": "file"});
    request(&url, "$JS.API.STREAM.CREATE.KEPT", &stream).await;
    for sequence in 1..=3 {
        assert_eq!(request(&url, "kept", &json!({})).await["seq"], sequence);
    }

    server.kill9();
    assert_eq!(server.pid(), None);
    assert!(server.monitor("/healthz").await.is_err());
    server.restart().await.unwrap();

    assert_eq!((server.url(), server.monitor_url()), (url.clone(), monitor_url));
    assert_eq!(request(&url, "kept", &json!({})).await["seq"], 4);
    server.stop().await;
}

#[tokio::test]
async fn strict_syncs_every_write_and_relaxed_does_not() {
    for (sync, always) in [(Sync::Strict, true), (Sync::Relaxed, false)] {
        let folder = tempfile::tempdir().unwrap();
        let options = NatsOptions { sync, ..NatsOptions::new(folder.path()) };
        let server = NatsServer::start(options).await.unwrap();

        let said = server.monitor("/varz").await.unwrap();
        // The server leaves the member out when it is false.
        assert_eq!(said["jetstream"]["config"]["sync_always"] == true, always);
        assert_eq!(said["max_payload"], 1 << 20);
        assert_eq!(said["host"], "127.0.0.1");
        assert_eq!(said["http_host"], "127.0.0.1");
    }
}

#[tokio::test]
async fn its_memory_is_held_to_what_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();

    let environment = format!("/proc/{}/environ", server.pid().unwrap());
    let environment = std::fs::read_to_string(environment).unwrap();
    let chosen = std::env::var("GOMEMLIMIT").unwrap_or_else(|_| "512MiB".to_owned());
    let limit = environment.split('\0').find_map(|entry| entry.strip_prefix("GOMEMLIMIT="));
    assert_eq!(limit, Some(chosen.as_str()));
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();
    let address = server.url().rsplit_once('@').unwrap().1.to_owned();

    let mut stranger = BufReader::new(TcpStream::connect(&address).await.unwrap());
    stranger.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").await.unwrap();

    let mut said = String::new();
    timeout(SOON, stranger.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.contains("Authorization Violation"), "{said}");
    assert!(!said.contains("PONG"), "{said}");
}

#[tokio::test]
async fn a_frozen_server_answers_again_when_thawed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();

    server.freeze();
    assert!(timeout(Duration::from_millis(100), server.monitor("/varz")).await.is_err());
    server.thaw();
    server.monitor("/varz").await.unwrap();

    // Neither does it hang when it is asked to stop while frozen.
    server.freeze();
    timeout(SOON, server.stop()).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = NatsOptions { port: Some(port), ..NatsOptions::new(folder.path()) };

    let error = NatsServer::start(options).await.err().expect("the port is taken");

    assert!(error.to_string().contains("address already in use"), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_folder_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();

    let error = NatsServer::start(NatsOptions::new(folder.path())).await.err();
    assert!(error.expect("the folder is in use").to_string().contains("has locked"));

    first.restart().await.unwrap();
    drop(first);
    NatsServer::start(NatsOptions::new(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_folder_may_have_an_awkward_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a folder # with {marks}");

    NatsServer::start(NatsOptions::new(&data)).await.unwrap();

    assert!(data.join("jetstream").is_dir());
}

/// One request in the wire protocol, which saves this crate a client.
async fn request(url: &str, subject: &str, body: &Value) -> Value {
    let (login, address) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
    let (user, pass) = login.split_once(':').unwrap();
    let connect = json!({"user": user, "pass": pass, "verbose": false});
    let body = body.to_string();
    let send = format!(
        "CONNECT {connect}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
        body.len()
    );
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(send.as_bytes()).await.unwrap();

    let answer = async {
        let mut lines = stream.lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("MSG ") {
                return lines.next_line().await.unwrap().unwrap();
            }
            assert!(!line.starts_with("-ERR"), "{line}");
        }
        panic!("the connection was closed");
    };
    let answer: Value = serde_json::from_str(&timeout(SOON, answer).await.unwrap()).unwrap();
    assert!(answer["error"].is_null(), "{answer}");
    answer
}
