//! A scheduler that takes over begins at the last snapshot, and knows from there what the last one
//! knew.

use std::time::Duration;

use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options, until},
    service::Kind,
};

use super::{admitted, mark, noop};

const WITHIN: Duration = Duration::from_secs(60);

/// The frame up to which the last takeover had a snapshot.
const FROM: &str = "nox_scheduler_takeover_snapshot_n";

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_begins_at_a_snapshot_and_forgets_nothing() {
    let options = Options::default().env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "50").env(
        Kind::Scheduler,
        "NOX_SNAPSHOT_MS",
        "100",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    assert_eq!(cluster.schedulers[0].metric(FROM).await, Some(0.0), "there was none");

    let (job, _) = admitted(client.submit(0, &mark("before"), Some("the key")).await);
    client.submit_bulk(0, &vec![noop(); 60], Some("many")).await;
    cluster.settle(WITHIN).await.unwrap();
    let kept = async || {
        let log = cluster.schedulers[0].log();
        Ok(log.contains("Kept a snapshot").then_some(()))
    };
    until(WITHIN, "a snapshot", kept).await.unwrap();
    cluster.schedulers[0].kill9();
    cluster.schedulers[0].start().unwrap();
    cluster.wait_leader(WITHIN).await.unwrap();
    let from = cluster.schedulers[0].metric(FROM).await.unwrap();
    assert!(from > 1.0, "it folded from frame {from} on");

    let (again, _) = admitted(client.submit(0, &mark("before"), Some("the key")).await);
    assert_eq!(again, job);
    admitted(client.submit(0, &mark("after"), None).await);
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}
