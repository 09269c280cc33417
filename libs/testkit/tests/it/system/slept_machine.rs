//! A machine that slept: every process stood still for longer than any lease and any time-out.

use std::time::{Duration, Instant};

use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    modules::runs,
    recorder::Heard,
    service::Kind,
};
use serde_json::json;
use tokio::time::sleep;

use super::{admitted, facts, mark, setting, slow_mark};

const WITHIN: Duration = Duration::from_secs(60);
/// From the first process that goes on to a new job that has ended.
const WORKS_WITHIN: Duration = Duration::from_secs(10);
/// What is left of the running job when everything goes on, in seconds.
const LEFT: f64 = 4.0;

/// Where the seconds are not set, they are more than every lease, the longest time-out, and what nats-server and
/// its clients wait for each other. `make sleep` has ten minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_works_again_and_what_ran_on_it_ends_once() {
    let span = Duration::from_secs(setting("NOX_TEST_SLEEP_S", 40));
    // Leases and beats as they are where nothing else was said.
    let options = Options { lease_ms: 10_000, worker_lease_ms: 15_000, ..Options::default() }.env(
        Kind::Executor,
        "NOX_BEAT_MS",
        "2000",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let mut long = slow_mark("through the night", span.as_secs_f64() + LEFT);
    long["requested_resources"] = json!({"cpu": 1, "mem_mb": 64, "wall_time_s": 3_600});
    let (long, _) = admitted(ada.submit(0, &long, None).await);
    let truth = cluster.truth();
    let ran = async || Ok((!runs(&truth)?.is_empty()).then_some(()));
    until(WITHIN, "the job to run", ran).await.unwrap();

    for service in cluster.services() {
        service.freeze_all();
    }
    cluster.nats.freeze();
    cluster.postgres.freeze();
    sleep(span).await;
    // The order in which most could go wrong: whoever judges first, and who is judged last.
    cluster.schedulers.iter_mut().for_each(|scheduler| scheduler.thaw());
    let woken = Instant::now();
    cluster.postgres.thaw();
    cluster.nats.thaw();
    sleep(Duration::from_millis(500)).await;
    for service in cluster.services() {
        service.thaw_all();
    }

    let new = first_accepted(&ada).await;
    let ended = async || Ok(facts(&ada, new, "succeeded").await?.pop());
    until(WITHIN, "a new job to end", ended).await.unwrap();
    let works_after = woken.elapsed();
    cluster.settle(WITHIN).await.unwrap();
    println!("slept {span:?}, worked {works_after:?} later");
    assert!(works_after <= WORKS_WITHIN, "{works_after:?}");
    for kind in ["attempt_lost", "attempt_failed", "retry_scheduled", "failed"] {
        let found = facts(&ada, long, kind).await.unwrap();
        assert!(found.is_empty(), "{kind}: {found:?}");
    }
    assert_eq!(facts(&ada, long, "succeeded").await.unwrap().len(), 1);
    let verdict = check(&cluster.evidence().await.unwrap());
    println!("{:?}", verdict.counts);
    verdict.assert_clean();
    let counts = &verdict.counts;
    assert_eq!((counts.lost_silent, counts.lost_restarted, counts.lost_not_held), (0, 0, 0));
    assert_eq!((counts.handed_back, counts.retried, counts.failed), (0, 0, 0));
    assert_eq!(counts.runs, counts.succeeded, "each ran once");
}

/// Submits until somebody takes it, as a client does that hears that nobody is there.
async fn first_accepted(client: &Client) -> nox_contract::JobId {
    for number in 0.. {
        let heard = client.submit(0, &mark(&format!("in the morning {number}")), None).await;
        if let Heard::Admitted { job, .. } = heard {
            return job;
        }
        assert!(number < 100, "{heard:?}");
        sleep(Duration::from_millis(100)).await;
    }
    unreachable!("it is counted without an end")
}
