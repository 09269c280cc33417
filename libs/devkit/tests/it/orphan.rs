//! No server outlives the process that started it, and none ends before it.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nox_devkit::{NatsOptions, NatsServer, Postgres, PostgresOptions};
use tokio::runtime::Runtime;

const POLL: Duration = Duration::from_millis(10);
const POLLS_MAX: u32 = 1000;

#[test]
#[cfg(target_os = "linux")]
fn the_servers_end_with_a_process_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut starter = Command::new(env::current_exe().unwrap())
        .args(["--exact", "orphan::starts_servers_and_waits", "--ignored", "--nocapture"])
        .env("NOX_TEST_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(starter.stdout.take().unwrap()).lines();
    let started = lines.map(Result::unwrap).find_map(|line| {
        let (_, pids) = line.split_once("started ")?;
        Some(pids.split(' ').map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
    });
    let pids = started.expect("it says which servers it started");
    assert!(pids.iter().all(|&pid| runs(pid)), "{pids:?}");

    starter.kill().unwrap();
    starter.wait().unwrap();

    for _ in 0..POLLS_MAX {
        if !pids.iter().any(|&pid| runs(pid)) {
            return;
        }
        thread::sleep(POLL);
    }
    panic!("servers {pids:?} are left over");
}

#[tokio::test]
#[ignore = "the process that the test above kills"]
async fn starts_servers_and_waits() {
    let folder = env::var_os("NOX_TEST_FOLDER").expect("the folder for the servers' data");
    let folder = Path::new(&folder);
    let nats = NatsServer::start(NatsOptions::new(folder.join("nats"))).await.unwrap();
    let options = PostgresOptions { fast: true, ..PostgresOptions::new(folder.join("pg")) };
    let postgres = Postgres::start(options).await.unwrap();

    println!("started {} {}", nats.pid().unwrap(), postgres.pid().unwrap());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = NatsOptions::new(folder.path());
    let starter =
        thread::spawn(move || Runtime::new().unwrap().block_on(NatsServer::start(options)));
    let server = starter.join().unwrap().unwrap();

    // The signal would come within this time.
    thread::sleep(10 * POLL);

    Runtime::new().unwrap().block_on(server.monitor("/healthz")).unwrap();
}

/// A zombie does not run: it only waits for somebody to take note of its end.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}
