//! A worker that stands still past its lease: others do its jobs meanwhile, and what it says when it
//! wakes up changes nothing.

use std::time::Duration;

use nox_contract::Attempt;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    modules::runs,
};
use serde_json::json;

use super::mark;

const WITHIN: Duration = Duration::from_secs(40);
/// Fewer than an executor has slots, so that the other can do all of them.
const JOBS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_says_after_it_was_given_up_on_changes_nothing() {
    let mut cluster =
        Cluster::start(Options { executors: 2, slots: 24, ..Options::default() }).await.unwrap();
    let client = cluster.client("ada");
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            let mut body = mark(&number.to_string());
            body["inputs"]["sleep"] = json!(1.5);
            body
        })
        .collect();
    client.submit_bulk(0, &jobs, Some("zombies")).await;
    let truth = cluster.truth();
    until(WITHIN, "all jobs to run", async || Ok((runs(&truth)?.len() == JOBS).then_some(())))
        .await
        .unwrap();

    // Its jobs go on, for only the executor itself stands still, and end while nobody listens.
    cluster.executors[0].freeze();
    let again = async || {
        let again = runs(&truth)?.iter().filter(|run| run.attempt > Attempt(1)).count();
        Ok((again > 0).then_some(again))
    };
    let again = until(WITHIN, "jobs to run again elsewhere", again).await.unwrap();
    let ended = async || Ok((cluster.unfinished().await? == 0).then_some(()));
    until(WITHIN, "all jobs to end", ended).await.unwrap();
    cluster.executors[0].thaw();

    // It hears that it was given up on, and begins anew.
    let sessions = async || {
        let sessions = cluster.executors[0].metric("nox_executor_sessions_total").await;
        Ok(sessions.filter(|count| *count >= 2.0))
    };
    until(WITHIN, "the worker to begin anew", sessions).await.unwrap();
    // And is of use again.
    for number in 0..20 {
        client.submit(0, &mark(&format!("afterwards {number}")), None).await;
    }
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    let late = files_are_of_the_attempt_that_counts(&cluster, &client).await;
    println!("{again} ran again, {late} left files that nobody sees; {:?}", verdict.counts);
    verdict.assert_clean();
    assert!(verdict.counts.lost_silent > 0, "nothing was given up on");
    assert_eq!(verdict.counts.succeeded, JOBS + 20);
}

/// Downloads what each job has left, and finds it to be of the attempt that completed it; returns how many jobs
/// have files of another one in the store.
async fn files_are_of_the_attempt_that_counts(cluster: &Cluster, client: &Client) -> usize {
    let listed = client.get(0, "/jobs?limit=200&status=succeeded").await.unwrap();
    let jobs = listed.body["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), JOBS + 20);
    let mut others = 0;
    for job in jobs {
        let (id, attempt) = (job["id"].as_str().unwrap(), &job["attempt"]);
        let file = client.get(0, &format!("/jobs/{id}/artifacts/attempt.txt")).await.unwrap();
        assert_eq!(file.body, *attempt, "the file of {id} is of another attempt");
        let attempts = cluster.folder().join("artifacts/default/ada").join(id);
        others += usize::from(std::fs::read_dir(attempts).unwrap().count() > 1);
    }
    assert!(jobs.iter().any(|job| job["attempt"] != 1), "no job ran again");
    others
}
