//! What one gateway has acknowledged, no other one denies, however far the rows are behind.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use nox_contract::TenantId;
use nox_readmodel::Reader;
use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options},
    recorder::Heard,
    service::Kind,
};
use serde_json::json;
use tokio::time::sleep;

use super::{admitted, noop};

/// Jobs that are submitted to one gateway and read from the other.
const READS: u64 = 2_000;
/// At a time, so that a slow projector does not make this slow.
const CLIENTS: u64 = 200;
/// How long the projector waits before each commit.
const DELAY_MS: u64 = 500;
/// How long the scheduler stands still now and then: shorter than its lease, longer than a gateway
/// waits for it.
const PAUSE: Duration = Duration::from_secs(3);
const READ_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_acknowledged_is_never_said_not_to_be_there() {
    let options = Options { gateways: 2, lease_ms: 10_000, ..Options::default() }
        .env(Kind::Projector, "NOX_PROJECTOR_DELAY_MS", DELAY_MS.to_string())
        .env(Kind::Scheduler, "NOX_LIMITS", limits());
    let mut cluster = Cluster::start(options).await.unwrap();
    let next = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let (waited, pending) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();

    let clients: Vec<_> =
        (0..CLIENTS).map(|number| cluster.client(&format!("user-{number}"))).collect();
    let reads = async {
        let reading = clients.iter().map(async |client| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= READS {
                    return;
                }
                let (one, other) = (number as usize % 2, (number as usize + 1) % 2);
                let heard = client.submit(one, &noop(), Some(&number.to_string())).await;
                let Heard::Admitted { job, n } = heard else { panic!("not admitted: {heard:?}") };
                pending.fetch_add(u64::from(n.is_none()), Ordering::Relaxed);
                // Every other one names the frame that it heard of.
                let n = n.filter(|_| number % 4 < 2);
                let asked = Instant::now();
                loop {
                    match client.read(other, job, n).await {
                        Heard::Seen { .. } => break,
                        Heard::Unknown { .. } if asked.elapsed() < READ_WITHIN => {
                            waited.fetch_add(1, Ordering::Relaxed);
                        }
                        heard => panic!("job {job}: {heard:?}"),
                    }
                }
            }
        });
        futures_util::future::join_all(reading).await;
        done.store(true, Ordering::Relaxed);
    };
    let scheduler = &mut cluster.schedulers[0];
    let pauses = async {
        let mut pauses = 0;
        while !done.load(Ordering::Relaxed) {
            sleep(Duration::from_secs(2)).await;
            scheduler.freeze();
            sleep(PAUSE).await;
            scheduler.thaw();
            pauses += 1;
        }
        pauses
    };
    let ((), pauses) = tokio::join!(reads, pauses);
    println!(
        "{READS} reads in {:?}: {} times behind, {} submits pending, {pauses} pauses",
        began.elapsed(),
        waited.into_inner(),
        pending.into_inner()
    );
    assert!(pauses > 0, "the scheduler was never paused");

    cluster.settle(Duration::from_secs(60)).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!((verdict.counts.admitted, cluster.internal_errors()), (READS as usize, 0));
}

/// The control: without the barrier, most of the same reads would miss what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn rows_alone_miss_what_was_acknowledged() {
    let options =
        Options::default().env(Kind::Projector, "NOX_PROJECTOR_DELAY_MS", DELAY_MS.to_string());
    let cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    let rows = Reader::new(&cluster.database_url, 2).unwrap();
    let tenant: TenantId = TenantId::DEFAULT.parse().unwrap();
    let mut missed = 0;
    for number in 0..20 {
        let key = number.to_string();
        let (job, _) = admitted(client.submit(0, &noop(), Some(&key)).await);
        missed += u32::from(rows.job(&tenant, job).await.unwrap().value.is_none());
    }
    assert!(missed > 10, "only {missed} of 20 were missed: the test above proves nothing");
}

/// Room for everything: quotas are not what is tried here.
fn limits() -> String {
    json!({"roles": {"user": {"cpu_seconds": 1_000_000_000}}}).to_string()
}
