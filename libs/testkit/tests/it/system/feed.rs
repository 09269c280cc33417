//! The feed, read by a plain JetStream consumer: the Python of docs/subscribing.md as it is written.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use nox_archive::Log;
use nox_contract::{CloudEvent, FactOrUnknown, FactPlace, Frame, FrameNumber, subject};
use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options, until, user_password, user_url},
    service::Kind,
    wiretap::{Heard, Wiretap},
};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{admitted, load::Load, noop, replicas, setting};

const WITHIN: Duration = Duration::from_secs(90);
const PAGE: &str = include_str!("../../../../../docs/subscribing.md");
const JOBS: usize = 300;
const SUBSCRIBER_KILLS: usize = 10;

/// A program of the page.
fn program(language: &str, name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language} {name}\n")).expect("the page has it");
    rest.split_once("```").expect("a block has an end").0
}

/// What a program of the page is told.
struct Told<'a> {
    nats_url: &'a str,
    consumer: &'a str,
    tenant: &'a str,
    events: &'a Path,
}

impl Told<'_> {
    fn start(&self, command: &mut Command) -> Result<Child> {
        command
            .env("NATS_URL", self.nats_url)
            .env("CONSUMER", self.consumer)
            .env("TENANT", self.tenant)
            .env("ACK_WAIT_S", "1")
            .env("EVENTS", self.events)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command.spawn()?)
    }
}

fn python(cluster: &Cluster, name: &str, events: &Path) -> Result<Child> {
    let told = Told { nats_url: &cluster.nats_url, consumer: "reader", tenant: "default", events };
    python_told(&told, name)
}

fn python_told(told: &Told<'_>, name: &str) -> Result<Child> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = std::env::var_os("NOX_TOOLS").map_or_else(|| root.join(".nox/tools"), Into::into);
    let packages = tools.join("python");
    ensure!(
        packages.join("nats").is_dir(),
        "{} has no nats-py: `make test` brings it, or libs/devkit/setup.sh clients",
        packages.display()
    );
    let mut command = Command::new("python3");
    command
        .args(["-c", program("python", name)])
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    told.start(&mut command)
}

/// The Rust of the page, which is an example that is built with the tests.
fn rust(told: &Told<'_>) -> Result<Child> {
    let test = std::env::current_exe()?;
    let built = test.ancestors().nth(2).context("this program is nowhere")?;
    let built = built.join("examples/subscriber");
    ensure!(
        built.is_file(),
        "{} is missing: cargo build -p nox-streams --examples",
        built.display()
    );
    let mut command = Command::new(built);
    command.env("NATS_USER", told.consumer).env("NATS_PASSWORD", user_password(told.consumer));
    told.start(&mut command)
}

/// What the log says that there is to read: ids for the tenant, and for all.
async fn in_the_log(cluster: &Cluster) -> Result<(Vec<String>, Vec<FactPlace>)> {
    in_the_log_of(cluster, "default").await
}

async fn in_the_log_of(cluster: &Cluster, tenant: &str) -> Result<(Vec<String>, Vec<FactPlace>)> {
    let broker = cluster.broker().await?;
    let incarnation = broker.incarnation(subject::EVENTS).await?;
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    let log = Log::new(broker, incarnation, None);
    let chunks: Vec<_> = log.read(FrameNumber(1), last).try_collect().await?;
    let (mut ids, mut all) = (Vec::new(), Vec::new());
    for message in chunks.into_iter().flatten() {
        let Ok(frame) = serde_json::from_slice::<Frame>(&message.payload) else { continue };
        for (entry, of) in (0..).zip(&frame.entries) {
            for (fact, known) in (0..).zip(&of.facts) {
                let FactOrUnknown::Known(known) = known else { continue };
                let place = FactPlace { n: frame.n, entry, fact };
                let Some(event) = CloudEvent::of(place, frame.at, of, known)? else { continue };
                all.push(place);
                if event.tenant() == tenant {
                    ids.push(place.to_string());
                }
            }
        }
    }
    Ok((ids, all))
}

/// Waits until the feed has all that the log says; each event has to be there once, and in its order. How many there are.
pub(super) async fn is_whole(cluster: &Cluster, within: Duration) -> Result<u64> {
    let broker = cluster.broker().await?;
    until(within, "the feed to have all of the log", async || {
        let Ok((_, all)) = in_the_log(cluster).await else { return Ok(None) };
        let Ok(end) = broker.feed_end().await else { return Ok(None) };
        Ok((end.last.map(|last| last.place) == all.last().copied()).then_some(()))
    })
    .await?;
    let (_, all) = in_the_log(cluster).await?;
    let mut found = Vec::with_capacity(all.len());
    for seq in 1..=broker.feed_end().await?.seq {
        found.extend(broker.feed_at(seq).await?.map(|said| said.place));
    }
    let differs = all.iter().zip(&found).position(|(said, found)| said != found);
    ensure!(
        differs.is_none() && found.len() == all.len(),
        "{} events, the log has {}, other ones from {differs:?} on",
        found.len(),
        all.len()
    );
    Ok(all.len() as u64)
}

fn read(events: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    whole.filter_map(|event| Some(event["id"].as_str()?.to_owned())).collect()
}

async fn run_jobs(client: &Client, count: usize, key: &str) -> Result<()> {
    for heard in client.submit_bulk(0, &vec![noop(); count], Some(key)).await {
        admitted(heard);
    }
    until(WITHIN, "the jobs", async || {
        let path = "/jobs?state=queued,running&limit=1";
        let open = client.get(0, path).await.map_err(anyhow::Error::msg)?;
        Ok(open.body["jobs"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .await
}

struct Reading {
    cluster: Cluster,
    subscriber: Child,
    events: PathBuf,
}

impl Reading {
    async fn start() -> Result<Self> {
        let cluster = Cluster::start(Options::default()).await?;
        let events = cluster.folder().join("events.jsonl");
        let made = python(&cluster, "operator", &events)?.wait().await?;
        ensure!(made.success(), "the consumer was not made: {made}");
        let subscriber = python(&cluster, "subscriber", &events)?;
        Ok(Self { cluster, subscriber, events })
    }

    /// `kill -9`, and begin again; returns when it has read something, or all.
    async fn kill_subscriber(&mut self) -> Result<()> {
        self.subscriber.kill().await?;
        let before = read(&self.events).len();
        self.subscriber = python(&self.cluster, "subscriber", &self.events)?;
        until(WITHIN, "the subscriber", async || {
            let now = read(&self.events).len();
            let is_all = now == in_the_log(&self.cluster).await?.0.len();
            Ok((now > before || is_all).then_some(()))
        })
        .await
    }

    async fn kill_notifier(&mut self, extra: &[(&str, &str)]) -> Result<()> {
        self.cluster.notifier.kill9();
        self.cluster.notifier.start_with(extra)?;
        self.cluster.notifier.wait_ready().await
    }

    /// Whether the feed is what the log says, and was read once and in order; within a time.
    async fn judge(&self, within: Duration) -> Result<usize> {
        let broker = self.cluster.broker().await?;
        let (ids, all) = in_the_log(&self.cluster).await?;
        let (ends, all) = (async || broker.last_sequence(subject::FEED).await, all.len() as u64);
        until(within, "the feed", async || Ok((ends().await? >= all).then_some(()))).await?;
        ensure!(ends().await? == all, "an event stands in the feed twice");
        let arrived = async || Ok((read(&self.events).len() >= ids.len()).then_some(()));
        until(within, "the subscriber", arrived)
            .await
            .with_context(|| format!("{} of {} read", read(&self.events).len(), ids.len()))?;
        let read = read(&self.events);
        let differs = read.iter().zip(&ids).position(|(read, id)| read != id);
        ensure!(differs.is_none() && read.len() == ids.len(), "other events from {differs:?} on");
        Ok(read.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_killed_ten_times_reads_every_event_once_and_in_order() {
    let mut reading = Reading::start().await.unwrap();
    let client = reading.cluster.client("somebody");
    let jobs = async {
        for part in 0..3 {
            run_jobs(&client, JOBS / 3, &format!("feed-{part}")).await.unwrap();
        }
    };
    let kills = async {
        for kill in 0..SUBSCRIBER_KILLS {
            reading.kill_subscriber().await.unwrap();
            if kill % 2 == 0 {
                reading.kill_notifier(&[]).await.unwrap();
            }
        }
    };
    tokio::join!(jobs, kills);
    let read = reading.judge(WITHIN).await.unwrap();
    assert!(read > JOBS * 4, "{read} events");
}

#[test]
fn the_rust_of_the_page_is_the_example_that_is_run() {
    let example = include_str!("../../../../../libs/streams/examples/subscriber.rs");
    assert_eq!(program("rust", "subscriber"), example);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_its_feed_in_rust_and_in_python_with_its_own_permissions_alone() {
    let options = Options { subscribers: vec!["acme"], ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let events = cluster.folder().join("events.jsonl");
    let (operator, acme) = (user_url(&cluster.nats, "operator"), user_url(&cluster.nats, "acme"));
    let told = |nats_url| Told { nats_url, consumer: "acme", tenant: "acme", events: &events };
    // The negative control: who subscribes cannot make the consumer.
    let made = python_told(&told(&acme), "operator").unwrap().wait().await.unwrap();
    assert!(!made.success());
    let made = python_told(&told(&operator), "operator").unwrap().wait().await.unwrap();
    assert!(made.success(), "{made}");

    let of =
        |tenant: &str| cluster.client_with(json!({"sub": "ada", "role": "user", "tenant": tenant}));
    let (client, other) = (of("acme"), of("umbra"));
    run_jobs(&client, 5, "first").await.unwrap();
    let jobs = async {
        for part in 0..3 {
            run_jobs(&other, 5, &format!("other-{part}")).await.unwrap();
            run_jobs(&client, JOBS / 3, &format!("rust-{part}")).await.unwrap();
        }
    };
    let kills = async {
        for kill in 0..SUBSCRIBER_KILLS {
            // Whatever it is written in, it goes on where the other one was.
            let mut subscriber = match kill % 3 {
                2 => python_told(&told(&acme), "subscriber"),
                _ => rust(&told(&acme)),
            }
            .unwrap();
            let before = read(&events).len();
            until(WITHIN, "the subscriber", async || {
                ensure!(subscriber.try_wait()?.is_none(), "the subscriber has ended");
                let now = read(&events).len();
                let is_all = now == in_the_log_of(&cluster, "acme").await?.0.len();
                Ok((now > before || is_all).then_some(()))
            })
            .await
            .unwrap();
            subscriber.kill().await.unwrap();
        }
    };
    tokio::join!(jobs, kills);
    let mut subscriber = rust(&told(&acme)).unwrap();
    let (ids, _) = in_the_log_of(&cluster, "acme").await.unwrap();
    until(WITHIN, "the rest", async || {
        ensure!(subscriber.try_wait()?.is_none(), "the subscriber has ended");
        Ok((read(&events).len() >= ids.len()).then_some(()))
    })
    .await
    .with_context(|| format!("{} of {}", read(&events).len(), ids.len()))
    .unwrap();
    assert!(ids.len() > JOBS * 4, "{} events", ids.len());
    assert!(read(&events) == ids, "each once, and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_skips_or_repeats_an_event_is_found_out() {
    for (fault, told) in [("skip", "the feed"), ("repeat", "twice")] {
        let mut reading = Reading::start().await.unwrap();
        let client = reading.cluster.client("somebody");
        run_jobs(&client, 5, "before").await.unwrap();
        reading.judge(WITHIN).await.unwrap();
        reading.kill_notifier(&[("NOX_NOTIFIER_FAULT", fault)]).await.unwrap();
        run_jobs(&client, 5, "behind").await.unwrap();
        let error = reading.judge(Duration::from_secs(10)).await.unwrap_err();
        assert!(format!("{error:#}").contains(told), "{fault}: {error:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_three_replicas_no_event_is_lost_or_doubled_when_the_server_that_leads_the_feed_is_killed()
 {
    let kills = setting("NOX_TEST_FEED_KILLS", 2);
    let mut cluster = replicas::start("3").await;
    let load = Load::start(&cluster, 3);
    for kill in 0..kills {
        if let Err(error) = replicas::kill_leader_of(&mut cluster, subject::FEED).await {
            panic!("{:#}", cluster.with_log(error.context(format!("kill {kill}"))).await);
        }
        let wanted = load.submits() + 40;
        until(WITHIN, "submits", async || Ok((load.submits() >= wanted).then_some(())))
            .await
            .unwrap();
    }
    load.stop().await;
    cluster.settle(WITHIN).await.unwrap();
    let events = is_whole(&cluster, WITHIN).await.unwrap();
    println!("{events} events after {kills} kills");
    assert!(events > 100 * kills, "{events} events");
    assert!(cluster.notifier.is_running(), "{}", cluster.notifier.quote());
    assert!(
        cluster.notifier.metric("nox_feed_retries_total").await > Some(0.0),
        "it noticed nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_notifiers_one_ends_and_no_event_is_told_twice() {
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    let client = cluster.client("somebody");
    let mut second = cluster.notifier.another("notifier-1").unwrap();
    run_jobs(&client, 50, "alone").await.unwrap();
    second.start().unwrap();
    let ended = async {
        until(WITHIN, "one of two to end", async || {
            Ok(cluster.notifier.ended().or_else(|| second.ended()))
        })
        .await
    };
    let jobs = async {
        for part in 0..5 {
            run_jobs(&client, 50, &format!("both-{part}")).await.unwrap();
        }
    };
    let (status, ()) = tokio::join!(ended, jobs);
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(!cluster.notifier.is_running() && second.is_running(), "the later one goes on");
    // Of the feed or of webhooks, whichever came first.
    let log = cluster.notifier.log();
    assert!(log.contains("another notifier"), "{log}");
    is_whole(&cluster, WITHIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_feed_is_heard_and_kept_nowhere_and_one_that_is_off_says_nothing() {
    for (feed, is_heard) in [("live", true), ("off", false)] {
        let options = Options::default().env(Kind::Notifier, "NOX_FEED", feed);
        let cluster = Cluster::start(options).await.unwrap();
        let tap = Wiretap::start(&cluster.nats_url, "nox.feed.>").await.unwrap();
        let client = cluster.client("somebody");
        run_jobs(&client, 20, feed).await.unwrap();
        let (_, all) = in_the_log(&cluster).await.unwrap();
        let ends = |heard: &[Heard]| {
            let ended = heard.iter().filter(|heard| heard.subject.ends_with(".succeeded"));
            ended.map(|heard| heard.subject.clone()).collect::<BTreeSet<_>>().len()
        };
        if is_heard {
            let heard = async || Ok((ends(&tap.heard()) == 20).then_some(()));
            until(WITHIN, "the ends of jobs", heard).await.unwrap();
        }
        let heard = tap.heard();
        assert_eq!(!heard.is_empty(), is_heard, "{feed}: {} of {}", heard.len(), all.len());
        let broker = cluster.broker().await.unwrap();
        assert_eq!(
            broker.last_sequence(subject::FEED).await.unwrap(),
            0,
            "{feed}: nobody keeps it"
        );
    }
}
