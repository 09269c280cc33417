//! The rows can be thrown away: what the log makes of them anew is the same to the last byte.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nox_contract::JobId;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    recorder::Heard,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{mark, noop, noxctl, setting};

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

/// What of reading went wrong, and how much there was.
#[derive(Clone, Default)]
struct Reads {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Reads {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn count(&self, outcome: Result<()>) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = outcome {
            self.failures.lock().unwrap().push(format!("{error:#}"));
        }
    }

    fn failed(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }
}

async fn read(client: &Client, gateway: usize, path: &str) -> Result<Value> {
    let answer = client.get(gateway, path).await.map_err(anyhow::Error::msg)?;
    ensure!(answer.status == StatusCode::OK, "{path}: {} {}", answer.status, answer.body);
    Ok(answer.body)
}

/// Reads jobs by their ids, and lists, through both gateways, until it is over.
async fn look(client: Client, known: Vec<JobId>, reads: Reads) {
    for round in 0.. {
        if reads.is_over() {
            return;
        }
        let job = known[round * 7919 % known.len()];
        let one = read(&client, round, &format!("/jobs/{job}")).await;
        reads.count(one.and_then(|body| {
            ensure!(body["job_id"] == job.to_string() && body["state"] == "succeeded", "{body}");
            Ok(())
        }));
        let path =
            ["/jobs?limit=50", "/jobs?state=succeeded&limit=20", "/modules", "/me"][round % 4];
        reads.count(read(&client, round, path).await.map(drop));
    }
}

/// Follows events, a while on each connection, and goes on behind the last one: none is missing that a page has.
async fn follow(client: Client, reads: Reads) {
    let mut last = None;
    while !reads.is_over() {
        reads.count(follow_once(&client, &mut last).await);
    }
}

async fn follow_once(client: &Client, last: &mut Option<String>) -> Result<()> {
    let place = |id: &str| -> Vec<u64> { id.split('-').filter_map(|n| n.parse().ok()).collect() };
    let mut request = client.request(0, Method::GET, "/events").timeout(Duration::from_secs(60));
    request = request.header("accept", "text/event-stream");
    if let Some(last) = last.as_ref() {
        request = request.header("last-event-id", last);
    }
    let mut answer = request.send().await?;
    ensure!(answer.status() == StatusCode::OK, "events: {}", answer.status());
    let (began, mut text) = (Instant::now(), String::new());
    while began.elapsed() < Duration::from_secs(2) {
        let chunk = tokio::time::timeout(Duration::from_secs(40), answer.chunk()).await;
        let chunk = chunk.context("silence")??.context("events end by themselves")?;
        text.push_str(std::str::from_utf8(&chunk)?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
                // An id without an event says where it begins, or has come to.
                let is_event = event.contains("\ndata: ");
                let may_follow = |last: &String| match is_event {
                    true => place(id) > place(last),
                    false => place(id) >= place(last),
                };
                ensure!(last.as_ref().is_none_or(may_follow), "{id} follows {last:?}");
                *last = Some(id.to_owned());
            }
            text = rest.to_owned();
        }
    }
    Ok(())
}

/// Submits on, until it is over.
async fn submit(client: Client, reads: Reads) {
    for round in 0.. {
        if reads.is_over() {
            return;
        }
        let heard =
            client.submit_bulk(round, &vec![noop(); 10], Some(&format!("on {round}"))).await;
        for heard in heard {
            let admitted = matches!(heard, Heard::Admitted { .. });
            reads.count(admitted.then_some(()).with_context(|| format!("{heard:?}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_made_anew_and_changed_over_while_jobs_run_and_no_read_fails() {
    const PART: usize = 900;
    let jobs = setting("NOX_TEST_REBUILD_JOBS", 2_000) as usize;
    let mut cluster =
        Cluster::start(Options { gateways: 2, slots: 64, ..Options::default() }).await.unwrap();
    // Whose limits are out of the way.
    let ada = cluster.client_with(json!({"sub": "ada", "role": "admin"}));
    let mut known = Vec::new();
    for (part, begun) in (0..jobs).step_by(PART).enumerate() {
        let bodies = vec![noop(); PART.min(jobs - begun)];
        let heard = ada.submit_bulk(part, &bodies, Some(&format!("part {part}"))).await;
        let before = known.len();
        known.extend(heard.into_iter().filter_map(|heard| match heard {
            Heard::Admitted { job, .. } => Some(job),
            _ => None,
        }));
        assert_eq!(known.len() - before, bodies.len(), "some were not admitted");
        let ended = async || Ok((cluster.unfinished().await? < 2_000).then_some(()));
        until(WITHIN, "jobs to end", ended).await.unwrap();
    }
    let ended = async || Ok((cluster.unfinished().await? == 0).then_some(()));
    until(WITHIN, "all jobs to end", ended).await.unwrap();

    let reads = Reads::default();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        tasks.spawn(look(ada.clone(), known.clone(), reads.clone()));
    }
    tasks.spawn(follow(ada.clone(), reads.clone()));
    tasks.spawn(submit(ada.clone(), reads.clone()));
    let generation = cluster.schema().await.unwrap();
    let archive = cluster.folder().join("archive").display().to_string();
    let (nats_url, database_url) = (cluster.nats_url.clone(), cluster.database_url.clone());
    let began = Instant::now();
    let rebuild = tokio::task::spawn_blocking(move || {
        let env = [
            ("NOX_NATS_URL", &*nats_url),
            ("NOX_DATABASE_URL", &*database_url),
            ("NOX_ARCHIVE", &*archive),
        ];
        noxctl(&["projection", "rebuild", "--json"], &env)
    });
    let (status, said) = rebuild.await.unwrap();
    let (took, meanwhile) = (began.elapsed(), reads.done.load(Ordering::Relaxed));
    assert_eq!(status, Some(0), "{said}");
    // It takes less than half a second where there are few jobs.
    assert!(meanwhile > 20, "{meanwhile} reads while it ran");
    let begins = said.find('{').expect("it says what it did");
    let mut documents = serde_json::Deserializer::from_str(&said[begins..]).into_iter::<Value>();
    let said = documents.next().unwrap().unwrap();
    assert!(said["equal"] == true && said["switched"] == true, "{said}");
    assert_ne!(cluster.schema().await.unwrap(), generation, "other rows are in use");
    // Readers go on for a while on the rows that are in use now.
    let wanted = reads.done.load(Ordering::Relaxed) + 200;
    let more = async || Ok((reads.done.load(Ordering::Relaxed) > wanted).then_some(()));
    until(WITHIN, "more reads", more).await.unwrap();
    let (done, failed) = (reads.done.load(Ordering::Relaxed), reads.failed());
    println!("{} jobs in {took:.1?}: {done} reads, {} failed: {said}", known.len(), failed.len());
    assert_eq!(failed, Vec::<String>::new());

    // The control: rows that go without others being in use are missed.
    cluster.projector.stop().await;
    let schema = cluster.schema().await.unwrap();
    cluster.sql(&format!("drop schema {schema} cascade")).await.unwrap();
    until(WITHIN, "a read to fail", async || Ok((!reads.failed().is_empty()).then_some(())))
        .await
        .unwrap();
    reads.stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}
