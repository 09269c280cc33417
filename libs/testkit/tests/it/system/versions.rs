//! Versions beside each other: a step back parks what the newer one said, and a rolling upgrade and step back
//! under load lose nothing.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use nox_contract::{JobId, JobState};
use nox_testkit::system::{
    checker::check,
    client::{Answer, Client},
    cluster::{CLUSTER_KEY, Cluster, Options, until},
    service::{Kind, Service},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{admitted, facts, load::Load, mark, noop, noxctl, slow_mark};

const WITHIN: Duration = Duration::from_secs(60);
/// A version that is still to come: it says a fact more of jobs of the highest priority.
const FUTURE: [(&str, &str); 1] = [("NOX_SCHEDULER_FAULT", "future")];

/// Ends the scheduler as an operator does, and starts one of the version.
async fn lead(cluster: &mut Cluster, version: &[(&str, &str)]) -> Result<()> {
    cluster.schedulers[0].stop().await;
    cluster.schedulers[0].start_with(version)?;
    cluster.wait_leader(WITHIN).await.map(drop)
}

fn first(mut body: Value) -> Value {
    body["priority"] = json!(9);
    body
}

async fn is_said(client: &Client, job: JobId, kind: &str) -> Result<()> {
    until(WITHIN, kind, async || Ok(facts(client, job, kind).await?.pop().map(drop))).await
}

async fn cancel(client: &Client, job: JobId) -> Answer {
    let request = client.request(0, Method::POST, &format!("/jobs/{job}/cancel"));
    client.send(request).await.unwrap()
}

async fn is_parked(cluster: &Cluster, jobs: f64) -> Result<()> {
    until(WITHIN, "jobs to be parked, or not", async || {
        let parked = cluster.schedulers[0].metric("nox_jobs_parked").await;
        Ok((parked == Some(jobs)).then_some(()))
    })
    .await
}

async fn row(client: &Client, path: &str) -> Value {
    client.get(0, path).await.unwrap().body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_said_parks_its_jobs_alone_and_is_taken_up_again() {
    let options = Options::default().env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "1").env(
        Kind::Scheduler,
        "NOX_SNAPSHOT_MS",
        "50",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    lead(&mut cluster, &FUTURE).await.unwrap();

    let mut waits = first(noop());
    waits["run_at"] = json!("2100-01-01T00:00:00Z");
    let (waiting, _) = admitted(ada.submit(0, &waits, Some("waits")).await);
    let (running, _) = admitted(ada.submit(0, &first(slow_mark("parked", 4.0)), None).await);
    let (other, _) = admitted(ada.submit(0, &slow_mark("other", 6.0), None).await);
    for job in [running, other] {
        is_said(&ada, job, "started").await.unwrap();
    }

    // A step back, twice: the second time from a snapshot with what is parked.
    for _ in 0..2 {
        lead(&mut cluster, &[]).await.unwrap();
        is_parked(&cluster, 2.0).await.unwrap();
        let leader = &cluster.schedulers[0];
        let (is_ready, said) = leader.readyz().await.unwrap();
        assert!(is_ready && said.contains("2 jobs since frame"), "{said}");
        // Others go on, those that run and those that come.
        let (next, _) = admitted(ada.submit(0, &mark("next"), None).await);
        is_said(&ada, next, "succeeded").await.unwrap();
        until(WITHIN, "a snapshot", async || {
            Ok(leader.log().contains("\"name\":\"parked5-").then_some(()))
        })
        .await
        .unwrap();
    }
    is_said(&ada, other, "succeeded").await.unwrap();
    assert!(cluster.schedulers[0].metric("nox_scheduler_takeover_snapshot_n").await > Some(0.0));
    for job in [waiting, running] {
        assert_eq!(row(&ada, &format!("/jobs/{job}")).await["parked"], "unknown_fact");
        let why = row(&ada, &format!("/jobs/{job}/why")).await;
        assert!(why["reason"].as_str().unwrap().starts_with("It is parked"), "{why}");
        let answer = cancel(&ada, job).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "parked"), "{}", answer.body);
        assert!(facts(&ada, job, "succeeded").await.unwrap().is_empty());
    }
    let mallory = cluster.client("mallory");
    let answer = cancel(&mallory, running).await;
    assert_eq!(answer.code(), "job_not_found", "whose it is not, hears nothing of it");
    assert!(cluster.notifier.metric("nox_feed_unknown_total").await > Some(0.0));
    assert!(cluster.notifier.is_running() && cluster.projector.is_running());

    // The newer version again: what ran is run again, for its end was told to nobody who knew the job.
    lead(&mut cluster, &FUTURE).await.unwrap();
    is_parked(&cluster, 0.0).await.unwrap();
    is_said(&ada, running, "succeeded").await.unwrap();
    assert_eq!(facts(&ada, running, "succeeded").await.unwrap().len(), 1);
    let answer = cancel(&ada, waiting).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    let differences =
        nox_readmodel::audit::ledger_differences(&cluster.database_url).await.unwrap();
    assert_eq!(differences, []);

    // Facts have no versions, so frames that other rules decided are folded like any. To decide them again, those rules
    // are needed: whoever is asked to and has them not says so of the first, and compares nothing.
    let archive = cluster.folder().join("archive").display().to_string();
    let env = [
        ("NOX_NATS_URL", &*cluster.nats_url),
        ("NOX_ARCHIVE", &*archive),
        ("NOX_CLUSTER_KEY", CLUSTER_KEY),
    ];
    let (status, said) = noxctl(&["replay", "verify"], &env);
    assert_ne!(status, Some(0), "{said}");
    let other = format!("by version {} of the rules", nox_core::RULES_VERSION + 1);
    assert!(said.contains(&other), "{said}");
}

/// Where programs of the version before are; `make mixed` builds them.
fn before() -> PathBuf {
    std::env::var_os("NOX_TEST_BEFORE").map(PathBuf::from).expect("NOX_TEST_BEFORE names a folder")
}

/// Starts each service as another version, one at a time, while the others run on.
async fn roll(cluster: &mut Cluster, to: &std::path::Path, load: &Load) -> Result<()> {
    let order = [Kind::Projector, Kind::Notifier, Kind::Gateway, Kind::Executor, Kind::Scheduler];
    for kind in order {
        for service in cluster.services().filter(|service| service.kind == kind) {
            replace(service, to).await?;
            let before = load.submits();
            until(WITHIN, "submits", async || Ok((load.submits() > before + 5).then_some(())))
                .await?;
        }
    }
    cluster.wait_leader(WITHIN).await.map(drop)
}

async fn replace(service: &mut Service, to: &std::path::Path) -> Result<()> {
    service.stop().await;
    service.run_from(to)?;
    service.start()?;
    service.wait_ready().await.with_context(|| format!("{} from {}", service.name, to.display()))
}

/// The version before, this one, a step back, and this one again; under load all the time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs programs of the version before: `make mixed`"]
async fn a_rolling_upgrade_and_a_step_back_under_load_lose_nothing() {
    let test = std::env::current_exe().unwrap();
    let now = test.ancestors().nth(2).unwrap().to_owned();
    let options = Options { gateways: 2, schedulers: 2, executors: 2, ..Options::default() }
        .env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "100")
        .env(Kind::Scheduler, "NOX_SNAPSHOT_MS", "100");
    let mut cluster = Cluster::servers(options).await.unwrap();
    for service in cluster.services() {
        service.run_from(&before()).unwrap();
    }
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let load = Load::start(&cluster, 7);
    for to in [&now, &before(), &now] {
        if let Err(error) = roll(&mut cluster, to, &load).await {
            panic!("{:#}", cluster.with_log(error).await);
        }
    }
    let submitted = load.stop().await;
    cluster.settle(WITHIN).await.unwrap();
    let evidence = cluster.evidence().await.unwrap();
    let verdict = check(&evidence);
    println!("{submitted} submits; {:?}", verdict.counts);
    verdict.assert_clean();
    assert!(verdict.counts.succeeded > 50 && verdict.counts.terms >= 4, "too little went on");
    let jobs = evidence.view.unwrap().jobs;
    assert!(jobs.iter().any(|job| job.status == JobState::Succeeded));
}
