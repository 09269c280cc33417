//! Very many jobs wait for one: its end is theirs, within seconds, and nobody else's matter.

use std::time::{Duration, Instant};

use anyhow::Result;
use nox_contract::{JobId, Timestamp};
use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options, until},
    service::Kind,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{admitted, noop, setting};

/// Jobs that wait for one: NOX_DEPENDENTS sets another number.
const DEPENDENTS: u64 = 20_000;
/// All of them have ended by then.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(120);
/// Jobs that are submitted while nothing else happens, and between any two of them.
const IDLE: usize = 100;
const EVERY: Duration = Duration::from_millis(10);
/// What a build without optimisation, on a machine that does other things besides, adds to any latency.
const SLACK: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread")]
async fn all_dependents_of_a_canceled_job_end_within_seconds_and_hold_nobody_up() {
    let limits = json!({"roles": {"user": {"queued_jobs": 100_000, "cpu_seconds": 1_000_000_000}}});
    let options = Options::default().env(Kind::Scheduler, "NOX_LIMITS", limits.to_string());
    let cluster = Cluster::start(options).await.unwrap();
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let count = setting("NOX_DEPENDENTS", DEPENDENTS);

    let mut first = noop();
    first["run_at"] = json!("2999-01-01T00:00:00Z");
    let (first, _) = admitted(ada.submit(0, &first, Some("first")).await);
    let mut dependent = noop();
    dependent["after"] = json!([first]);
    for part in 0..count.div_ceil(900) {
        let bodies = vec![dependent.clone(); 900.min(count as usize)];
        for heard in ada.submit_bulk(0, &bodies, Some(&part.to_string())).await {
            admitted(heard);
        }
    }
    until(WITHIN, "rows", async || {
        Ok((page(&ada, "queued", 200).await?.len() == 200).then_some(()))
    })
    .await
    .unwrap();
    let mut others = Others::default();
    for _ in 0..IDLE {
        others.submit(&bob).await;
    }
    let mut idle = others.started().await;

    let canceled = Instant::now();
    ada.cancel(0, first).await;
    let (mut others, mut ended) = (Others::default(), None);
    while ended.is_none() {
        others.submit(&bob).await;
        if page(&ada, "queued", 1).await.unwrap().is_empty() {
            ended = Some(canceled.elapsed());
        }
        assert!(canceled.elapsed() < WITHIN, "they do not end");
    }
    let mut meanwhile = others.started().await;
    let ended = ended.unwrap();
    let (of_idle, of_meanwhile) = (p99(&mut idle), p99(&mut meanwhile));
    println!(
        "{count} dependents ended in {ended:?}; submit to start, p99: {of_idle:?} idle, {of_meanwhile:?} of {} \
         meanwhile",
        meanwhile.len()
    );

    let mut failed = 0;
    let mut path = "/jobs?status=failed&limit=200".to_owned();
    loop {
        let answer = ada.get(0, &path).await.unwrap().body;
        for job in answer["jobs"].as_array().unwrap() {
            assert_eq!(job["error"]["code"], "dependency", "{job}");
            failed += 1;
        }
        let Some(next) = answer["next"].as_str() else { break };
        path = format!("/jobs?status=failed&limit=200&cursor={next}");
    }
    assert_eq!(failed, count.div_ceil(900) * 900.min(count));
    assert!(ended <= ENDED_WITHIN, "{ended:?}");
    assert!(of_meanwhile <= of_idle * 2 + SLACK, "{of_meanwhile:?} instead of {of_idle:?}");
}

async fn page(client: &Client, status: &str, limit: usize) -> Result<Vec<Value>> {
    let path = format!("/jobs?status={status}&limit={limit}");
    let answer = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
    Ok(answer.body["jobs"].as_array().cloned().unwrap_or_default())
}

/// Jobs that somebody else submits, one every so often whatever becomes of the others.
#[derive(Default)]
struct Others {
    jobs: JoinSet<Result<Duration>>,
}

impl Others {
    async fn submit(&mut self, client: &Client) {
        let client = client.clone();
        self.jobs.spawn(async move { submit_to_start(&client).await });
        tokio::time::sleep(EVERY).await;
    }

    async fn started(self) -> Vec<Duration> {
        self.jobs.join_all().await.into_iter().map(Result::unwrap).collect()
    }
}

/// From just before the call to the start of the job, by the clock of this machine.
async fn submit_to_start(client: &Client) -> Result<Duration> {
    let before = now();
    let (job, _) = admitted(client.submit(0, &noop(), Some(&format!("{before}"))).await);
    let started = loop {
        if let Some(started) = started_at(client, job).await? {
            break started;
        }
        tokio::time::sleep(EVERY).await;
    };
    Ok(started.since(before))
}

async fn started_at(client: &Client, job: JobId) -> Result<Option<Timestamp>> {
    let answer = client.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?;
    let ended = !answer.body["ended_at"].is_null();
    Ok(answer.body["started_at"].as_str().filter(|_| ended).map(str::parse).transpose()?)
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn p99(spans: &mut [Duration]) -> Duration {
    spans.sort_unstable();
    spans[(spans.len() * 99).div_ceil(100) - 1]
}
