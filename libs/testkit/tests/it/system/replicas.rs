//! Three brokers keep every stream: whoever leads, a scheduler or the log's stream, is killed while
//! jobs are submitted, and once its disk is lost as well.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use nox_contract::subject;
use nox_devkit::NatsServer;
use nox_testkit::system::{
    checker::{Evidence, Rule, check},
    client::Client,
    cluster::{Cluster, Options, until},
    recorder::Heard,
    service::Kind,
    wiretap::Wiretap,
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use super::{load::Load, mark, noop};

/// For an election, and whoever waits for it.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// Between two submits of which the first that is decided says that all is well again.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// Submits between two kills.
const BREATH: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_three_replicas_however_often_leaders_are_killed() {
    leaders_are_killed(4).await;
}

/// As above, for longer: `make leaders`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes"]
async fn nothing_is_lost_on_three_replicas_in_twenty_kills_of_leaders() {
    leaders_are_killed(20).await;
}

async fn leaders_are_killed(kills: usize) {
    let mut cluster = start("3").await;
    let load = Load::start(&cluster, 0);
    let mut times = BTreeMap::<&str, Vec<Recovery>>::new();
    for kill in 0..kills {
        let killed = match kill % 2 {
            0 => kill_scheduler(&mut cluster).await.map(|time| ("scheduler", time)),
            // The last one of the broker's comes back with nothing.
            _ => kill_broker(&mut cluster, kill + 1 == kills).await.map(|time| ("broker", time)),
        };
        let breathed = match killed {
            Ok((what, time)) => {
                println!("{what}: {time:.1?}");
                times.entry(what).or_default().push(time);
                breathe(&load).await
            }
            Err(error) => Err(error.context(format!("kill {kill}"))),
        };
        if let Err(error) = breathed {
            panic!("{:#}", cluster.with_log(error).await);
        }
    }
    let submitted = load.stop().await;
    if let Err(error) = cluster.settle(SETTLE_WITHIN).await {
        panic!("{error:#}");
    }
    let verdict = check(&cluster.evidence().await.unwrap());
    for (what, times) in &mut times {
        println!("{what} killed {} times: {}", times.len(), Recovery::of_all(times));
    }
    println!("{submitted} submits; {:?}", verdict.counts);
    verdict.assert_clean();
    assert_eq!(cluster.internal_errors(), 0, "a gateway answered 500");
    assert!(verdict.counts.terms > kills / 2, "too few took over");
    assert!(verdict.counts.admitted > 20 * kills, "too little went on");
}

/// The control: on one replica the same loss of a disk takes what was acknowledged, and is seen.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_loses_with_its_disk_is_seen() {
    let mut cluster = start("1").await;
    let client = cluster.client("ada");
    for number in 0..10 {
        let heard = client.submit(number, &mark(&format!("lost {number}")), None).await;
        assert!(matches!(heard, Heard::Admitted { .. }), "{heard:?}");
    }
    // A leader with a frame on its way sends all again that it has sent and finds missing, and this log is short enough
    // for that to be all of it: so nothing is to be on its way.
    let ended = async || Ok((cluster.unfinished().await? == 0).then_some(()));
    until(SETTLE_WITHIN, "all jobs to end", ended).await.unwrap();
    let leader = log_leader(&mut cluster).await.unwrap();
    kill_and_lose_disk(&mut cluster, leader).unwrap();
    broker_at(&mut cluster, leader).restart().await.unwrap();
    let what = "what is left of the log";
    let read = async || Ok(cluster.read_log().await.ok());
    let log = until(RECOVERED_WITHIN, what, read).await.unwrap();
    let verdict = check(&Evidence { calls: cluster.recorder.calls(), log, ..Evidence::default() });
    // Where another server has the commands still, they are decided anew: not as was answered.
    let lost = [Rule::AdmittedIsThere, Rule::AnswerNamesTheFrame];
    assert!(lost.iter().any(|rule| verdict.breaks(*rule)), "{verdict}");
}

/// While jobs come in bulk, no frame is sent while another one is on its way: the broker would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn on_three_replicas_jobs_in_bulk_go_through_one_frame_at_a_time() {
    const BULKS: usize = 4;
    const JOBS: usize = 500;
    let cluster = start("3").await;
    assert_eq!(cluster.broker().await.unwrap().replicas(subject::EVENTS).await.unwrap(), 3);
    let replies = Wiretap::start(&cluster.nats_url, "_INBOX_scheduler.>").await.unwrap();
    let client = cluster.client_with(json!({"sub": "ada", "role": "admin"}));
    let bulk = async |bulk: usize| {
        let heard = client.submit_bulk(bulk, &vec![noop(); JOBS], Some(&format!("{bulk}"))).await;
        heard.iter().filter(|heard| matches!(heard, Heard::Admitted { .. })).count()
    };
    let began = Instant::now();
    let admitted: usize = join_all((0..BULKS).map(bulk)).await.into_iter().sum();
    assert_eq!(admitted, BULKS * JOBS);
    let ended = async || Ok((cluster.unfinished().await? == 0).then_some(()));
    until(SETTLE_WITHIN, "all jobs to end", ended).await.unwrap();
    let jobs_s = admitted as f64 / began.elapsed().as_secs_f64();

    let replies = replies.heard().into_iter();
    let replies = replies.filter_map(|heard| serde_json::from_slice::<Value>(&heard.payload).ok());
    let replies: Vec<_> = replies.filter(|reply| reply["stream"] == subject::EVENTS).collect();
    let refused = replies.iter().filter(|reply| reply["error"]["err_code"].is_u64()).count();
    println!("{jobs_s:.0} jobs/s in {} frames", replies.len());
    assert!(replies.len() > 20, "only {} frames", replies.len());
    assert_eq!(refused, 0, "of {} frames", replies.len());
}

pub(super) async fn start(replicas: &str) -> Cluster {
    // A takeover waits for the lease of who was killed.
    let options = Options {
        brokers: 3,
        gateways: 2,
        schedulers: 2,
        executors: 2,
        lease_ms: 1_000,
        ..Options::default()
    };
    let options = options
        .env(Kind::Scheduler, "NOX_REPLICAS", replicas)
        .env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "100")
        .env(Kind::Scheduler, "NOX_SNAPSHOT_MS", "100");
    Cluster::start(options).await.unwrap()
}

/// From a kill to the first submit, begun after it, that was acknowledged, and to the first that was
/// decided.
#[derive(Debug, Clone, Copy)]
struct Recovery {
    acknowledged: Duration,
    decided: Duration,
}

impl Recovery {
    /// For people: the middle and the longest.
    fn of_all(all: &mut [Self]) -> String {
        let mut parts = Vec::new();
        for (what, of) in [
            ("acknowledged", (|r| r.acknowledged) as fn(&Self) -> Duration),
            ("decided", |r| r.decided),
        ] {
            all.sort_by_key(of);
            let (middle, longest) = (of(&all[all.len() / 2]), of(&all[all.len() - 1]));
            parts.push(format!("{what} again after {middle:.1?}, at most {longest:.1?}"));
        }
        parts.join("; ")
    }
}

async fn kill_scheduler(cluster: &mut Cluster) -> Result<Recovery> {
    let leader = cluster.wait_leader(RECOVERED_WITHIN).await?;
    cluster.schedulers[leader].kill9();
    let recovery = recover(&cluster.client("probe")).await?;
    cluster.schedulers[leader].start()?;
    cluster.schedulers[leader].wait_ready().await?;
    Ok(recovery)
}

/// Kills the server that leads a stream, and waits until all are well again.
pub(super) async fn kill_leader_of(cluster: &mut Cluster, stream: &str) -> Result<()> {
    let leader = leader_of(cluster, stream).await?;
    broker_at(cluster, leader).kill9();
    recover(&cluster.client("probe")).await?;
    restart_broker(cluster, leader).await
}

async fn kill_broker(cluster: &mut Cluster, loses_disk: bool) -> Result<Recovery> {
    let leader = log_leader(cluster).await?;
    match loses_disk {
        true => kill_and_lose_disk(cluster, leader)?,
        false => broker_at(cluster, leader).kill9(),
    }
    let recovery = recover(&cluster.client("probe")).await?;
    restart_broker(cluster, leader).await?;
    Ok(recovery)
}

async fn restart_broker(cluster: &mut Cluster, place: usize) -> Result<()> {
    broker_at(cluster, place).restart().await?;
    // Another kill before this one has caught up would leave no majority, and nothing to recover.
    for broker in cluster.brokers() {
        let well = async || Ok(broker.monitor("/healthz").await.ok());
        until(RECOVERED_WITHIN, "a broker to catch up", well).await?;
    }
    Ok(())
}

fn kill_and_lose_disk(cluster: &mut Cluster, place: usize) -> Result<()> {
    broker_at(cluster, place).kill9();
    let store = cluster.folder().join(format!("nats-{place}/jetstream"));
    Ok(std::fs::remove_dir_all(store)?)
}

fn broker_at(cluster: &mut Cluster, place: usize) -> &mut NatsServer {
    cluster.brokers().nth(place).expect("there are three")
}

/// The server that leads NOX_EVENTS.
async fn log_leader(cluster: &mut Cluster) -> Result<usize> {
    leader_of(cluster, subject::EVENTS).await
}

async fn leader_of(cluster: &mut Cluster, name: &str) -> Result<usize> {
    until(RECOVERED_WITHIN, "a leader of a stream", async || {
        for (place, broker) in cluster.brokers().enumerate() {
            let Ok(said) = broker.monitor("/jsz?accounts=true&streams=true").await else {
                continue;
            };
            let accounts = said["account_details"].as_array().into_iter().flatten();
            let mut streams =
                accounts.flat_map(|a| a["stream_detail"].as_array().into_iter().flatten());
            let leads = |stream: &Value| {
                stream["name"] == name && stream["cluster"]["leader"] == format!("nats-{place}")
            };
            if streams.any(leads) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    })
    .await
}

/// Submits again and again until one is decided.
async fn recover(client: &Client) -> Result<Recovery> {
    let began = Instant::now();
    let mut probes = JoinSet::new();
    let mut acknowledged = None;
    let decided = loop {
        ensure!(began.elapsed() < RECOVERED_WITHIN, "nothing was decided in {RECOVERED_WITHIN:?}");
        let (client, gateway) = (client.clone(), probes.len());
        probes.spawn(async move {
            let mark = mark(&uuid::Uuid::new_v4().to_string());
            (client.submit(gateway, &mark, None).await, began.elapsed())
        });
        sleep(PROBE_EVERY).await;
        let mut decided = None;
        while let Some(probe) = probes.try_join_next() {
            if let (Heard::Admitted { n, .. }, at) = probe? {
                acknowledged = acknowledged.or(Some(at));
                decided = decided.or(n.and(Some(at)));
            }
        }
        if let Some(decided) = decided {
            break decided;
        }
    };
    // They are in the record, and have to be over before that is judged.
    probes.join_all().await;
    Ok(Recovery { acknowledged: acknowledged.unwrap_or(decided), decided })
}

/// Waits until a few more submits were answered.
async fn breathe(load: &Load) -> Result<()> {
    let wanted = load.submits() + BREATH;
    let breathed = async || Ok((load.submits() >= wanted).then_some(()));
    until(RECOVERED_WITHIN, "submits to be answered", breathed).await
}
