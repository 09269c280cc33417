//! Executors that are gone, and nobody starts again: how soon that is noticed, and what is not taken for it.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use nox_contract::JobId;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    cuttable::Cuttable,
    service::Kind,
};
use serde_json::json;
use tokio::time::sleep;

use super::{admitted, facts, slow_mark};

const WITHIN: Duration = Duration::from_secs(60);
/// As it is where nothing else was said.
const LEASE: Duration = Duration::from_secs(15);
/// As it is where nothing else was said: what is not heard of for two seconds is nothing unusual.
const BEAT: Duration = Duration::from_secs(2);
/// From the end of a process whose host lives to what everybody can read of it.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// The same where nothing is heard of the process, for its host is gone or it stands still.
const SILENT_WITHIN: Duration = Duration::from_secs(17);

/// Kills, each at another moment between two beats and questions.
const KILLS: u32 = 5;

fn options() -> Options {
    let beat_ms = BEAT.as_millis().to_string();
    Options { executors: 2, worker_lease_ms: LEASE.as_millis() as u64, ..Options::default() }.env(
        Kind::Executor,
        "NOX_BEAT_MS",
        beat_ms,
    )
}

/// A job that runs for long, and the executor that runs it.
async fn long_job(client: &Client, name: &str) -> (JobId, usize) {
    let mut body = slow_mark(name, 600.0);
    body["requested_resources"] = json!({"cpu": 1, "mem_mb": 64, "wall_time_s": 3_600});
    let (job, _) = admitted(client.submit(0, &body, None).await);
    let started = async || Ok(facts(client, job, "started").await?.pop());
    let started = until(WITHIN, "the job to run", started).await.unwrap();
    (job, place(&started["worker_id"]))
}

fn place(worker: &serde_json::Value) -> usize {
    worker.as_str().unwrap().strip_prefix("executor-").unwrap().parse().unwrap()
}

/// How long after `since` the job's first attempt is said to be lost.
async fn lost_after(client: &Client, job: JobId, since: Instant) -> Duration {
    let lost = async || Ok(facts(client, job, "attempt_lost").await?.pop());
    let lost = until(WITHIN, "the attempt to be lost", lost).await.unwrap();
    let took = since.elapsed();
    assert_eq!((&lost["reason"], &lost["attempt"]), (&json!("worker_silent"), &json!(1)), "{lost}");
    // It may have been cut off, for all that anybody knows.
    assert_eq!(lost["blame"], "suspected", "{lost}");
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_while_its_host_lives_is_given_up_within_two_seconds() {
    let mut cluster = Cluster::start(options()).await.unwrap();
    let ada = cluster.client("ada");
    let mut spans = Vec::new();
    for kill in 0..KILLS {
        let (job, killed) = long_job(&ada, &format!("killed {kill}")).await;
        sleep(Duration::from_millis(u64::from(kill) * 430)).await;
        let since = Instant::now();
        cluster.executors[killed].kill9();
        let took = lost_after(&ada, job, since).await;
        // It goes on elsewhere.
        let elsewhere = async || {
            let started = facts(&ada, job, "started").await?;
            Ok(started.get(1).map(|started| place(&started["worker_id"])))
        };
        assert_eq!(until(WITHIN, "the job to run again", elsewhere).await.unwrap(), 1 - killed);
        ada.cancel(0, job).await;
        cluster.executors[killed].start().unwrap();
        cluster.executors[killed].wait_ready().await.unwrap();
        spans.push(took);
    }
    println!("lost after {spans:?}");
    let longest = spans.iter().max().unwrap();
    assert!(*longest <= NOTICED_WITHIN, "{spans:?}");
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!(verdict.counts.lost_silent, KILLS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_asks_after_it_the_lease_of_a_killed_executor_has_to_end() {
    const LEASE: Duration = Duration::from_secs(5);
    let options = Options { worker_lease_ms: LEASE.as_millis() as u64, ..options() }.env(
        Kind::Scheduler,
        "NOX_WORKER_PROBES",
        "false",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let (job, killed) = long_job(&ada, "killed").await;
    let since = Instant::now();
    cluster.executors[killed].kill9();
    let took = lost_after(&ada, job, since).await;
    println!("lost after {took:?}");
    // Its last beat was up to two seconds before.
    assert!((LEASE - NOTICED_WITHIN..LEASE + NOTICED_WITHIN).contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_stands_still_is_given_up_when_its_lease_ends() {
    let mut cluster = Cluster::start(options()).await.unwrap();
    let ada = cluster.client("ada");
    let (job, frozen) = long_job(&ada, "frozen").await;
    let since = Instant::now();
    cluster.executors[frozen].freeze();
    let took = lost_after(&ada, job, since).await;
    println!("lost after {took:?}");
    assert!((LEASE - NOTICED_WITHIN..SILENT_WITHIN).contains(&took), "{took:?}");
    cluster.executors[frozen].thaw();
    ada.cancel(0, job).await;
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

/// A deployment that was cut off: the control is what counts against a job where nobody had said that it would stop.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_while_it_stops_as_planned_counts_against_nobody() {
    let options = options().env(Kind::Executor, "NOX_STOP_GRACE_S", "600");
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let (job, stopped) = long_job(&ada, "deployed").await;
    let pid = cluster.executors[stopped].pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let schema = cluster.schema().await.unwrap();
    let sql = format!("select state from {schema}.workers where worker_id = 'executor-{stopped}'");
    let stops = async || Ok((cluster.sql(&sql).await? == "draining").then_some(()));
    until(WITHIN, "the executor to say that it stops", stops).await.unwrap();
    let since = Instant::now();
    cluster.executors[stopped].kill9();
    let lost = async || Ok(facts(&ada, job, "attempt_lost").await?.pop());
    let lost = until(WITHIN, "the attempt to be lost", lost).await.unwrap();
    println!("lost after {:?}: {lost}", since.elapsed());
    assert!(since.elapsed() <= NOTICED_WITHIN, "{:?}", since.elapsed());
    assert_eq!((&lost["reason"], &lost["blame"]), (&json!("draining"), &json!("nobody")), "{lost}");
    ada.cancel(0, job).await;
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

/// A moment without a connection is none without a process.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_whose_connection_breaks_and_is_back_within_a_second_loses_nothing() {
    let mut cluster = Cluster::servers(Options { executors: 1, ..options() }).await.unwrap();
    let way = Cuttable::start(&cluster.nats_url).await.unwrap();
    cluster.executors[0].start_with(&[("NOX_NATS_URL", &way.url)]).unwrap();
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let ada = cluster.client("ada");
    let (job, _) = long_job(&ada, "cut off").await;
    let lost = async || -> Result<usize> { Ok(facts(&ada, job, "attempt_lost").await?.len()) };
    for cut in [100, 300, 600, 800] {
        way.cut();
        sleep(Duration::from_millis(cut)).await;
        way.mend();
        // Until it was heard of again, and would be asked after.
        sleep(Duration::from_millis(2_500)).await;
        assert_eq!(lost().await.unwrap(), 0, "after {cut} ms");
    }
    // The broker's own absence is nobody's.
    for _ in 0..2 {
        cluster.nats.kill9();
        cluster.nats.restart().await.unwrap();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(lost().await.unwrap(), 0, "after a restart of the broker");
    }
    // That it could have been noticed: it stays away.
    let since = Instant::now();
    way.cut();
    let took = lost_after(&ada, job, since).await;
    println!("lost after {took:?} without a connection");
    assert!(took <= NOTICED_WITHIN, "{took:?}");
    way.mend();
    ada.cancel(0, job).await;
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

/// Whoever was connected to the server that dies finds another one, and servers that learn of each other's clients
/// anew do not take them for absent.
#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_one_of_three_brokers_gives_no_executor_up() {
    const EXECUTORS: usize = 3;
    // A job for each of them.
    let options = Options { brokers: 3, executors: EXECUTORS, slots: 1, ..options() }.env(
        Kind::Scheduler,
        "NOX_REPLICAS",
        "3",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let mut jobs = Vec::new();
    for number in 0..EXECUTORS {
        jobs.push(long_job(&ada, &format!("on one of three {number}")).await);
    }
    let workers: BTreeSet<usize> = jobs.iter().map(|(_, place)| *place).collect();
    assert_eq!(workers.len(), EXECUTORS);
    for killed in 0..3 {
        cluster.brokers().nth(killed).unwrap().kill9();
        sleep(Duration::from_secs(5)).await;
        cluster.brokers().nth(killed).unwrap().restart().await.unwrap();
        for broker in cluster.brokers() {
            let well = async || Ok(broker.monitor("/healthz").await.ok());
            until(WITHIN, "a broker to catch up", well).await.unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        for (job, place) in &jobs {
            let lost = facts(&ada, *job, "attempt_lost").await.unwrap();
            assert!(
                lost.is_empty(),
                "executor {place} after the death of broker {killed}: {lost:?}"
            );
        }
    }
    // The death of a broker may have ended the leader's term, and a leader has to hear of an executor before its
    // absence counts: somebody leads, and everybody has beaten since.
    let (waiting, _) =
        admitted(ada.submit(0, &slow_mark("somebody leads", 1.0), Some("somebody leads")).await);
    ada.cancel(0, waiting).await;
    sleep(2 * BEAT).await;
    let (job, killed) = jobs[0];
    let since = Instant::now();
    cluster.executors[killed].kill9();
    let took = lost_after(&ada, job, since).await;
    println!("lost after {took:?}");
    assert!(took <= NOTICED_WITHIN, "{took:?}");
    for (job, _) in jobs {
        ada.cancel(0, job).await;
    }
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}
