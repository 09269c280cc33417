//! Postgres: what it keeps, whom it lets in, and what it starts again from.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nox_devkit::{Postgres, PostgresOptions, tools};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

fn fast(data: impl AsRef<Path>) -> PostgresOptions {
    PostgresOptions { fast: true, ..PostgresOptions::new(data.as_ref()) }
}

#[tokio::test]
async fn a_killed_postgres_comes_back_under_its_url_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(fast(folder.path().join("pg"))).await.unwrap();
    let url = postgres.url();
    postgres.psql("create table kept as select generate_series(1, 1000) as n").await.unwrap();

    postgres.kill9();
    assert_eq!(postgres.pid(), None);
    assert!(postgres.psql("select 1").await.is_err());
    postgres.restart().await.unwrap();

    assert_eq!(postgres.url(), url);
    assert_eq!(postgres.psql("select count(*) from kept").await.unwrap(), "1000");
    postgres.stop().await;
}

#[tokio::test]
async fn it_starts_beside_a_backend_that_outlived_the_postmaster_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(fast(folder.path().join("pg"))).await.unwrap();
    // Busy in a loop, a backend does not notice that its postmaster has died.
    let busy = Command::new(tools::postgres().unwrap().folder.join("psql"))
        .args(["-qX", &postgres.url(), "-c"])
        .arg("do $$ begin loop exit when clock_timestamp() > now() + interval '1 s'; end loop; end $$")
        .spawn();
    let mut busy = busy.unwrap();
    let running = "select count(*) from pg_stat_activity where query like 'do %'";
    timeout(SOON, async { while postgres.psql(running).await.unwrap() != "1" {} }).await.unwrap();

    kill(postgres.pid().unwrap());
    timeout(SOON, postgres.restart()).await.unwrap().unwrap();

    postgres.psql("select 1").await.unwrap();
    busy.wait().unwrap();
}

#[tokio::test]
async fn it_starts_although_another_program_got_the_pid_of_its_predecessor() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pg");
    let mut postgres = Postgres::start(fast(&data)).await.unwrap();
    postgres.kill9();
    let owner = fs::metadata(&data).unwrap();
    let mut other = Command::new("sleep");
    if rustix::process::geteuid().is_root() {
        other.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = other.arg("60").spawn().unwrap();
    let pid_file = data.join("postmaster.pid");
    let stale = fs::read_to_string(&pid_file).unwrap();
    let (_, rest) = stale.split_once('\n').unwrap();
    fs::write(&pid_file, format!("{}\n{rest}", other.id())).unwrap();

    let restarted = postgres.restart().await;

    other.kill().unwrap();
    other.wait().unwrap();
    restarted.unwrap();
}

#[tokio::test]
async fn a_cluster_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pg");
    let first = Postgres::start(fast(&data)).await.unwrap();

    let error = Postgres::start(fast(&data)).await.err().expect("the cluster is in use");

    assert!(error.to_string().contains("already exists"), "{error}");
    first.psql("select 1").await.unwrap();
}

#[tokio::test]
async fn a_cluster_of_another_version_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pg");
    for _ in 0..2 {
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("PG_VERSION"), "9\n").unwrap();
        Postgres::start(fast(&data)).await.unwrap();
        fs::remove_dir_all(&data).unwrap();
    }

    for aside in ["pg.v9-1", "pg.v9-2"] {
        let version = fs::read_to_string(folder.path().join(aside).join("PG_VERSION")).unwrap();
        assert_eq!(version, "9\n");
    }
}

#[tokio::test]
async fn databases_are_made_once_and_only_under_plain_names() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(fast(folder.path().join("pg"))).await.unwrap();

    let url = postgres.create_database("nox_1").await.unwrap();
    assert_eq!(postgres.create_database("nox_1").await.unwrap(), url);
    assert!(url.contains("/nox_1?"), "{url}");
    for name in ["", "a\"; drop database postgres", "Nox", &"n".repeat(64)] {
        assert!(postgres.create_database(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn it_lets_in_its_owner_alone_and_does_not_listen_on_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pg");
    let postgres = Postgres::start(fast(&data)).await.unwrap();

    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(postgres.psql("show listen_addresses").await.unwrap(), "");
}

#[tokio::test]
async fn only_the_fast_one_does_without_the_disk() {
    for (fast, fsync) in [(true, "off"), (false, "on")] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("pg");
        let options = PostgresOptions { fast, ..PostgresOptions::new(data) };
        let postgres = Postgres::start(options).await.unwrap();

        for setting in ["fsync", "full_page_writes"] {
            assert_eq!(postgres.psql(&format!("show {setting}")).await.unwrap(), fsync);
        }
        assert_eq!(postgres.psql("show synchronous_commit").await.unwrap(), "on");
    }
}

#[tokio::test]
async fn a_folder_may_have_a_long_and_awkward_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a + b & c".repeat(20));

    let postgres = Postgres::start(fast(data)).await.unwrap();

    postgres.psql("select 1").await.unwrap();
}

#[tokio::test]
async fn a_frozen_postgres_answers_again_when_thawed() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(fast(folder.path().join("pg"))).await.unwrap();

    postgres.freeze();
    assert!(timeout(Duration::from_millis(200), postgres.psql("select 1")).await.is_err());
    postgres.thaw();
    postgres.psql("select 1").await.unwrap();

    postgres.freeze();
    timeout(SOON, postgres.stop()).await.unwrap();
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
