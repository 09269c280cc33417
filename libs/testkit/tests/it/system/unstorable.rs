//! What Postgres cannot store stops nobody else.

use std::time::Duration;

use nox_testkit::system::{
    checker::check,
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
};
use reqwest::{Method, header::CONTENT_TYPE};

use super::{admitted, mark};

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_stored_is_refused_or_flagged_and_the_next_one_is_seen() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client("ada");

    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    for inputs in [r#"{"mark":"a\u0000b"}"#, r#"{"mark":"\ud800"}"#, r#"{"x":1e999999}"#, &deep] {
        let refused = post(&client, &format!(r#"{{"module":"mark","inputs":{inputs}}}"#)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "unstorable_json"), "{inputs}");
    }

    // The program prints a NUL, which the module's rule then finds.
    let mut prints_nul = mark("prints nul");
    prints_nul["inputs"]["print"] = r"a\0000b".into();
    let (flagged, _) = admitted(client.submit(0, &prints_nul, None).await);
    let (next, _) = admitted(client.submit(0, &mark("next"), None).await);
    let flagged = ended(&client, &flagged.to_string()).await;
    assert_eq!(flagged.body["state"], "succeeded", "{}", flagged.body);
    assert!(flagged.body["outputs"]["scalars"]["printed"].is_null(), "{}", flagged.body);
    assert_eq!(flagged.body["outputs"]["flags"][0], "unstorable_scalars");
    let next = ended(&client, &next.to_string()).await;
    assert_eq!(next.body["state"], "succeeded");

    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

async fn post(client: &Client, body: &str) -> Answer {
    let request = client.request(0, Method::POST, "/jobs");
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
    client.send(request).await.unwrap()
}

async fn ended(client: &Client, job: &str) -> Answer {
    let path = format!("/jobs/{job}");
    until(WITHIN, "a job to end", async || {
        let answer = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
        let ended = answer.body["ended_at"].is_string();
        Ok(ended.then_some(answer))
    })
    .await
    .unwrap()
}
