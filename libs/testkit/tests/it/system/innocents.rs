//! Nobody fails for what another did: a job that takes its executors down, an executor that is
//! restarted again and again, one that cannot run anything.

use std::time::Duration;

use anyhow::Result;
use nox_contract::{Attempt, JobId};
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    modules::runs,
    service::Kind,
};
use serde_json::{Value, json};

use super::{admitted, mark, slow_mark};

const WITHIN: Duration = Duration::from_secs(60);

async fn view(client: &Client, job: JobId) -> Result<Value> {
    let answer = client.get(0, &format!("/jobs/{job}")).await;
    Ok(answer.map_err(anyhow::Error::msg)?.body)
}

/// How often the job's attempts were lost.
async fn losses(client: &Client, job: JobId) -> Result<usize> {
    let answer = client.get(0, &format!("/jobs/{job}/events")).await;
    Ok(answer.map_err(anyhow::Error::msg)?.body.to_string().matches("\"attempt_lost\"").count())
}

fn killer_after(seconds: f64) -> Value {
    json!({"module": "killer", "inputs": {"after_s": seconds}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_executor_is_parked_and_its_neighbours_of_other_tenants_succeed() {
    let options = Options { worker_lease_ms: 10_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let mallory = cluster.client_with(json!({"sub": "mallory", "role": "user", "tenant": "evil"}));
    let (killer, _) = admitted(mallory.submit(0, &killer_after(0.2), Some("the killer")).await);
    let mut innocents = Vec::new();
    for name in ["ada", "grace", "linus"] {
        let client = cluster
            .client_with(json!({"sub": name, "role": "user", "tenant": format!("of-{name}")}));
        let (job, _) = admitted(client.submit(0, &slow_mark(name, 0.4), None).await);
        innocents.push((client, job));
    }
    // As a service manager would.
    let mut restarts = 0;
    while cluster.unfinished().await.unwrap() > 0 {
        assert!(restarts < 20, "the killer goes on killing");
        if !cluster.executors[0].is_running() {
            restarts += 1;
            cluster.executors[0].kill9();
            cluster.executors[0].start().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.settle(WITHIN).await.unwrap();
    for (client, job) in &innocents {
        let job = view(client, *job).await.unwrap();
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    let parked = view(&mallory, killer).await.unwrap();
    assert_eq!(parked["error"]["code"], "crashed", "{parked}");
    let message = parked["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 attempts") && message.contains("no other job"), "{message}");
    check(&cluster.evidence().await.unwrap()).assert_clean();
    println!("parked after {restarts} restarts: {message}");
}

/// It does so before anybody hears of its start, and the executor is started again when it was given up:
/// of what the log knows, only the neighbour ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_executor_at_once_is_parked_and_its_neighbour_succeeds() {
    let options = Options { worker_lease_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let grace = cluster.client_with(json!({"sub": "grace", "role": "user", "tenant": "of-grace"}));
    let (innocent, _) = admitted(grace.submit(0, &slow_mark("long", 1.2), None).await);
    let truth = cluster.truth();
    let ran = async || Ok((!runs(&truth)?.is_empty()).then_some(()));
    until(WITHIN, "the neighbour to run", ran).await.unwrap();
    let mallory = cluster.client_with(json!({"sub": "mallory", "role": "user", "tenant": "evil"}));
    let (killer, _) = admitted(mallory.submit(0, &killer_after(0.0), Some("the killer")).await);
    let mut restarts = 0;
    while cluster.unfinished().await.unwrap() > 0 {
        assert!(restarts < 10, "the killer goes on killing");
        if !cluster.executors[0].is_running() {
            restarts += 1;
            let lost = async || Ok((losses(&mallory, killer).await? == restarts).then_some(()));
            until(WITHIN, "the executor to be given up", lost).await.unwrap();
            cluster.executors[0].kill9();
            cluster.executors[0].start().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What it says when it begins is in the log as well.
    cluster.executors[0].wait_ready().await.unwrap();
    let innocent = view(&grace, innocent).await.unwrap();
    assert_eq!(innocent["status"], "succeeded", "{innocent}");
    let parked = view(&mallory, killer).await.unwrap();
    assert_eq!(parked["error"]["code"], "crashed", "{parked}");
    check(&cluster.evidence().await.unwrap()).assert_clean();
    println!("parked after {restarts} restarts");
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_restarts_of_an_executor_do_not_fail_a_long_job() {
    let options = Options::default().env(Kind::Executor, "NOX_STOP_GRACE_S", "0");
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let (job, _) = admitted(ada.submit(0, &slow_mark("long", 2.0), None).await);
    let truth = cluster.truth();
    for restart in 1..=4 {
        let attempt = Attempt(restart);
        let ran = async || Ok(runs(&truth)?.iter().any(|run| run.attempt == attempt).then_some(()));
        until(WITHIN, "the attempt to run", ran).await.unwrap();
        if restart <= 3 {
            cluster.executors[0].stop().await;
            cluster.executors[0].start().unwrap();
        }
    }
    cluster.settle(WITHIN).await.unwrap();
    let long = view(&ada, job).await.unwrap();
    assert_eq!((&long["status"], &long["attempt"]), (&json!("succeeded"), &json!(4)), "{long}");
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!(verdict.counts.handed_back, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_executor_cannot_run_another_one_finishes() {
    const JOBS: usize = 12;
    let options = Options { executors: 2, ..Options::default() };
    let mut cluster = Cluster::servers(options).await.unwrap();
    let supervisor = cluster.folder().join("supervisor");
    let program = nox_testkit::system::service::program(Kind::Executor).unwrap();
    std::os::unix::fs::symlink(&program, &supervisor).unwrap();
    let broken = [("NOX_SUPERVISOR", supervisor.to_str().unwrap())];
    cluster.executors[0].start_with(&broken).unwrap();
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();

    std::fs::remove_file(&supervisor).unwrap();
    let ada = cluster.client("ada");
    for number in 0..JOBS {
        admitted(ada.submit(0, &mark(&number.to_string()), None).await);
    }
    cluster.settle(WITHIN).await.unwrap();
    let (ready, why) = cluster.executors[0].readyz().await.unwrap();
    assert!(!ready && why.contains("cannot run attempts"), "{why}");
    // It is of use again once it can be.
    std::os::unix::fs::symlink(&program, &supervisor).unwrap();
    cluster.executors[0].wait_ready().await.unwrap();
    for number in 0..JOBS {
        admitted(ada.submit(0, &mark(&format!("again {number}")), None).await);
    }
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    println!("{:?}", verdict.counts);
    verdict.assert_clean();
    assert_eq!((verdict.counts.succeeded, verdict.counts.failed), (2 * JOBS, 0));
    assert!(verdict.counts.handed_back > 0, "nothing was handed back");
}
