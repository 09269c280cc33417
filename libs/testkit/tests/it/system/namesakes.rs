//! Two executors of one name, and one that comes back.

use std::time::Duration;

use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    modules::runs,
};
use serde_json::json;

use super::{admitted, mark};

const WITHIN: Duration = Duration::from_secs(60);

async fn modules_are_there(client: &Client) {
    let modules = async || {
        let answer = client.get(0, "/modules").await;
        Ok(answer.is_ok_and(|a| a.body["modules"][0].is_object()).then_some(()))
    };
    until(WITHIN, "modules", modules).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_executor_of_a_name_is_refused_while_the_first_lives_and_taken_on_after_it() {
    let options = Options { executors: 2, ..Options::default() };
    let mut cluster = Cluster::servers(options).await.unwrap();
    let elsewhere = cluster.folder().join("elsewhere");
    let namesake = [("NOX_WORKER_ID", "executor-0"), ("NOX_DATA", elsewhere.to_str().unwrap())];
    for service in cluster.services().filter(|service| service.name != "executor-1") {
        service.start().unwrap();
        service.wait_ready().await.unwrap();
    }
    let ada = cluster.client("ada");
    let mut long = mark("long");
    long["inputs"]["sleep"] = json!(4.0);
    modules_are_there(&ada).await;
    admitted(ada.submit(0, &long, None).await);
    let truth = cluster.truth();
    let ran = async || Ok((runs(&truth)?.len() == 1).then_some(()));
    until(WITHIN, "the job to run", ran).await.unwrap();

    for _ in 0..2 {
        cluster.executors[1].start_with(&namesake).unwrap();
        let ended = cluster.executors[1].wait_ended(WITHIN).await.unwrap();
        assert!(!ended.success());
        cluster.executors[1].kill9();
    }
    let log = cluster.executors[1].log();
    assert!(log.contains("another executor named executor-0"), "{log}");
    assert_eq!(cluster.executors[0].metric("nox_executor_sessions_total").await, Some(1.0));
    cluster.settle(WITHIN).await.unwrap();
    assert_eq!(runs(&truth).unwrap().len(), 1, "the first one's job was not disturbed");

    // A crash gives the name away only with the lease: the second has to try again until then.
    cluster.executors[0].kill9();
    let taken = async || {
        if !cluster.executors[1].is_running() {
            cluster.executors[1].kill9();
            cluster.executors[1].start_with(&namesake)?;
        }
        let ready = cluster.executors[1].readyz().await;
        Ok(ready.is_some_and(|(ready, _)| ready).then_some(()))
    };
    until(WITHIN, "the second to be taken on", taken).await.unwrap();
    admitted(ada.submit(0, &mark("with the second"), None).await);
    cluster.settle(WITHIN).await.unwrap();
    // And its own restart takes its place at once.
    cluster.executors[1].kill9();
    cluster.executors[1].start_with(&namesake).unwrap();
    cluster.executors[1].wait_ready().await.unwrap();
    admitted(ada.submit(0, &mark("with its successor"), None).await);
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!(verdict.counts.succeeded, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_is_ready_when_the_scheduler_has_taken_it_on_so_that_no_job_goes_to_its_past() {
    let options = Options { lease_ms: 60_000, worker_lease_ms: 60_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    for round in 0..3 {
        // Nobody reads what the one says who goes, and the one who comes.
        cluster.schedulers[0].freeze();
        cluster.executors[0].stop().await;
        cluster.executors[0].start().unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let ready = cluster.executors[0].readyz().await;
        assert!(!ready.is_some_and(|(ready, _)| ready), "ready, and nobody has heard of it");
        cluster.schedulers[0].thaw();
        cluster.executors[0].wait_ready().await.unwrap();
        admitted(ada.submit(0, &mark(&format!("first of {round}")), None).await);
    }
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!((verdict.counts.succeeded, verdict.counts.handed_back), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_executors_with_copies_of_one_data_folder_the_first_ends_and_no_job_is_failed() {
    let options = Options { executors: 2, ..Options::default() };
    let mut cluster = Cluster::servers(options).await.unwrap();
    for service in cluster.services().filter(|service| service.name != "executor-1") {
        service.start().unwrap();
        service.wait_ready().await.unwrap();
    }
    let ada = cluster.client("ada");
    let mut long = mark("long");
    long["inputs"]["sleep"] = json!(2.0);
    let copy = cluster.folder().join("copy");
    let folder = |data: &std::path::Path| data.join("executor-executor-0");
    std::fs::create_dir_all(folder(&copy)).unwrap();
    let original = folder(&cluster.folder().join("data")).join("instance");
    std::fs::copy(original, folder(&copy).join("instance")).unwrap();
    modules_are_there(&ada).await;
    admitted(ada.submit(0, &long, None).await);
    let truth = cluster.truth();
    let ran = async || Ok((runs(&truth)?.len() == 1).then_some(()));
    until(WITHIN, "the job to run", ran).await.unwrap();

    let namesake = [("NOX_WORKER_ID", "executor-0"), ("NOX_DATA", copy.to_str().unwrap())];
    cluster.executors[1].start_with(&namesake).unwrap();
    let ended = cluster.executors[0].wait_ended(Duration::from_secs(10)).await.unwrap();
    assert!(!ended.success());
    let log = cluster.executors[0].log();
    assert!(log.contains("was copied while this executor lives"), "{log}");
    cluster.settle(WITHIN).await.unwrap();
    assert_eq!(cluster.executors[1].metric("nox_executor_sessions_total").await, Some(1.0));
    assert_eq!(runs(&truth).unwrap().len(), 2, "one take-over, and no more");
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert_eq!((verdict.counts.succeeded, verdict.counts.failed), (1, 0));
}
