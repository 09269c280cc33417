//! The rows can be thrown away: what the log makes of them anew is the same to the last byte.

use std::time::Duration;

use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options, until},
};
use serde_json::json;

use super::{mark, noop};

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_dropped_come_back_as_they_were() {
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client("ada");
    for round in 0..10 {
        let mut jobs = vec![noop(); 30];
        jobs.push(json!({"module": "noop", "inputs": {"fail": "error"}}));
        jobs.push(mark(&format!("round {round}")));
        client.submit_bulk(0, &jobs, Some(&format!("round {round}"))).await;
        // The projector dies in the middle of it, and goes on where it was.
        if round % 3 == 1 {
            cluster.projector.kill9();
            let point = [("NOX_CRASH_POINT", "projector.before_commit:2")];
            cluster.projector.start_with(&point).unwrap();
        }
        if round % 3 == 2 {
            cluster.projector.wait_ended(WITHIN).await.unwrap();
            cluster.projector.start().unwrap();
        }
    }
    cluster.settle(WITHIN).await.unwrap();
    let live = nox_readmodel::audit::content_hash(&cluster.database_url, None).await.unwrap();
    let evidence = cluster.evidence().await.unwrap();
    check(&evidence).assert_clean();

    // Everything goes, the note of which rows are current included.
    cluster.projector.stop().await;
    let generation = cluster.schema().await.unwrap();
    let drop = format!("drop schema {generation} cascade; drop schema nox cascade");
    cluster.sql(&drop).await.unwrap();
    cluster.projector.start().unwrap();
    let again = async || {
        let hash = nox_readmodel::audit::content_hash(&cluster.database_url, None).await;
        Ok(hash.ok().filter(|hash| hash.n >= live.n))
    };
    let again = until(WITHIN, "the rows to be back", again).await.unwrap();
    println!("{} frames, {} jobs: {}", live.n, evidence.view.unwrap().jobs.len(), live.hash);
    assert_eq!((again.n, again.hash), (live.n, live.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_by_hand_is_noticed_by_a_rebuild() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client("ada");
    client.submit_bulk(0, &vec![noop(); 20], Some("all")).await;
    cluster.settle(WITHIN).await.unwrap();
    assert!(cluster.rebuild().await.unwrap().is_equal());

    let schema = cluster.schema().await.unwrap();
    let change = format!(
        "update {schema}.jobs_ended set priority = 9
         where id = (select id from {schema}.jobs_ended order by id limit 1)"
    );
    cluster.sql(&change).await.unwrap();
    assert!(!cluster.rebuild().await.unwrap().is_equal());
}
