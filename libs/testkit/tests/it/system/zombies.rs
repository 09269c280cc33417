//! Attempts that come back after they were given up: their executor stood still past its lease, and goes on when
//! another one has completed the job. What they say, print and keep changes nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use nox_contract::{
    Attempt, AttemptEnd, JobId, RawJson, Report, ReportMessage, Usage, Work, WorkMessage, WorkerId,
    report::Ended, subject,
};
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    modules::runs,
    wiretap::Wiretap,
};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{admitted, facts, setting};

const WITHIN: Duration = Duration::from_secs(40);
/// What the first attempt takes: longer than it takes to stop its executor, and over when that goes on.
const TAKES: Duration = Duration::from_millis(1_000);
/// What is late is there within this time after its executor is ready again.
const LATE_WITHIN: Duration = Duration::from_millis(500);

/// `make zombies` has a hundred rounds.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_comes_back_after_it_was_given_up_changes_nothing() {
    let rounds = setting("NOX_TEST_ZOMBIES", 3);
    let options = Options { executors: 2, worker_lease_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    let told = Wiretap::start(&cluster.nats_url, "nox.work.>").await.unwrap();
    let (mut late_chunks, mut late_files) = (0, 0);
    for round in 0..rounds {
        let job = begin(&cluster, &ada, round, TAKES).await;
        let place = worker_of(&ada, job).await.unwrap();
        let zombie = &mut cluster.executors[place];
        let sessions = zombie.metric("nox_executor_sessions_total").await.unwrap();
        // Its job goes on, for only the executor itself stands still, and ends while nobody listens.
        zombie.freeze();
        let ended = async || Ok(facts(&ada, job, "succeeded").await?.pop());
        until(WITHIN, "the job to end elsewhere", ended).await.unwrap();
        sleep(TAKES).await;
        let before = everything(&ada, job).await.unwrap();
        let chunks_before = chunks(&cluster, job).await.unwrap();
        assert_eq!(before["job"]["attempt"], 2, "{before}");

        // It hears that it was given up within milliseconds. Whether it says how its attempt ended before that is
        // left to chance, so that is said for it.
        cluster.executors[place].thaw();
        report_success(&cluster, &told, place, job).await.unwrap();
        let zombie = &mut cluster.executors[place];
        let begun_anew = async || {
            let now = zombie.metric("nox_executor_sessions_total").await;
            let (ready, _) = zombie.readyz().await.context("it does not answer")?;
            Ok((ready && now > Some(sessions)).then_some(()))
        };
        until(WITHIN, "the executor to begin anew", begun_anew).await.unwrap();
        sleep(LATE_WITHIN).await;

        let after = everything(&ada, job).await.unwrap();
        assert_eq!(before, after, "round {round}");
        assert_eq!(after["artifacts"]["scalars"], json!({"attempt": 2}));
        assert_eq!(after["file"], "2");
        let text = after["text"].as_str().unwrap();
        assert!(text.ends_with("attempt 2 begins\nattempt 2 ends\n"), "{text}");
        assert!(!text.contains("attempt 1 ends"), "{text}");
        // What it tried all the same.
        late_chunks += chunks(&cluster, job).await.unwrap() - chunks_before;
        let attempts = cluster.folder().join("artifacts/default/ada").join(job.to_string());
        late_files += std::fs::read_dir(attempts).unwrap().count() - 1;
    }
    // That such a report would count, if it came from the attempt that counts.
    let job = begin(&cluster, &ada, rounds, 20 * TAKES).await;
    let place = worker_of(&ada, job).await.unwrap();
    report_success(&cluster, &told, place, job).await.unwrap();
    let ended = async || Ok(facts(&ada, job, "succeeded").await?.pop());
    let ended = until(WITHIN, "the job to end by what was said for it", ended).await.unwrap();
    assert_eq!(ended["attempt"], 1, "{ended}");

    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    println!(
        "{rounds} rounds: as many late ends, {late_chunks} late pieces of logs and {late_files} late folders of \
         files, and nothing of them is seen; {:?}",
        verdict.counts
    );
    verdict.assert_clean();
    let rounds = usize::try_from(rounds).unwrap();
    assert_eq!((verdict.counts.succeeded, verdict.counts.lost_silent), (rounds + 1, rounds));
    // Else nothing was tried.
    assert!(late_chunks > 0, "nothing was printed late");
}

/// A job whose first attempt runs, and will for as long as that.
async fn begin(cluster: &Cluster, client: &Client, number: u64, takes: Duration) -> JobId {
    let inputs = json!({"mark": number.to_string(), "sleep": takes.as_secs_f64()});
    let body = json!({"module": "talker", "inputs": inputs});
    let (job, _) = admitted(client.submit(0, &body, None).await);
    let truth = cluster.truth();
    let ran = async || Ok(runs(&truth)?.iter().any(|run| run.job == job).then_some(()));
    until(WITHIN, "the job to run", ran).await.unwrap();
    job
}

/// Says that the job's first attempt has succeeded, as its worker would, with its session and its token.
async fn report_success(cluster: &Cluster, told: &Wiretap, place: usize, job: JobId) -> Result<()> {
    let messages = told.heard();
    let messages = messages.iter().map(|heard| serde_json::from_slice(&heard.payload));
    let messages = messages.collect::<Result<Vec<WorkMessage>, _>>()?;
    let start = |message: &WorkMessage| {
        message.work.iter().find_map(|work| match work {
            Work::Start(start) if start.job_id == job && start.attempt == Attempt(1) => {
                Some((message.session, start.token.clone()))
            }
            _ => None,
        })
    };
    let (session, token) = messages.iter().find_map(start).context("nobody was told to start")?;
    let outputs = json!({"scalars": {"attempt": 1}, "series": {}, "artifacts": []});
    let ended = Ended {
        job_id: job,
        attempt: Attempt(1),
        token,
        started: true,
        usage: Usage::default(),
        end: AttemptEnd::Succeeded { outputs: RawJson::of(&outputs)? },
    };
    let message = ReportMessage { session, reports: vec![Report::Ended(Box::new(ended))] };
    let worker: WorkerId = format!("executor-{place}").parse()?;
    let payload = serde_json::to_vec(&message)?;
    cluster.broker().await?.publish(subject::reports(&worker), None, payload.into()).await?;
    Ok(())
}

/// Which executor was given the job first.
async fn worker_of(client: &Client, job: JobId) -> Result<usize> {
    let assigned = facts(client, job, "assigned").await?;
    let worker = assigned.first().and_then(|assigned| assigned["worker_id"].as_str());
    Ok(worker.and_then(|worker| worker.strip_prefix("executor-")).context("no worker")?.parse()?)
}

/// All that anybody can see of a job.
async fn everything(client: &Client, job: JobId) -> Result<Value> {
    let json = async |path: &str| {
        let answer = client.get(0, &format!("/jobs/{job}{path}")).await;
        let mut body = answer.map_err(anyhow::Error::msg)?.body;
        if let Value::Object(fields) = &mut body {
            // How far the rows are, which other things move on.
            fields.remove("n");
        }
        anyhow::Ok(body)
    };
    let logs = client.request(0, Method::GET, &format!("/jobs/{job}/logs"));
    let text = logs.header(ACCEPT, "text/plain").send().await?.text().await?;
    Ok(json!({
        "job": json("").await?,
        "events": json("/events").await?,
        "chunks": json("/logs").await?,
        "rows": json("/status").await?,
        "text": text,
        "artifacts": json("/artifacts").await?,
        "file": json("/artifacts/attempt.txt").await?.to_string(),
    }))
}

/// How many pieces of the job's log are stored, seen or not.
async fn chunks(cluster: &Cluster, job: JobId) -> Result<usize> {
    let subject = subject::log(cluster.client("ada").tenant(), job);
    let stored = cluster.broker().await?;
    let stored = stored.read_history(subject::LOGS, &subject, 0, usize::MAX, 64 << 20).await?;
    Ok(stored.len())
}
