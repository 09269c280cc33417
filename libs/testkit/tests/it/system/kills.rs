//! Every process is killed again and again while jobs are submitted, run, retried and canceled; in
//! the end nothing is lost, nothing happened twice, and the rows are what the log tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nox_testkit::system::{
    checker::{Verdict, check},
    cluster::{Cluster, Options, until},
    service::{Kind, Service},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use tokio::time::sleep;

use super::load::Load;

/// Every place in the code that has a name to die at, but for those that only a full log comes to.
const POINTS: [(Kind, &str); 20] = [
    (Kind::Gateway, "gateway.before_publish"),
    (Kind::Gateway, "gateway.after_publish"),
    (Kind::Gateway, "gateway.before_answer"),
    (Kind::Scheduler, "scheduler.before_epoch"),
    (Kind::Scheduler, "scheduler.after_epoch"),
    (Kind::Scheduler, "scheduler.after_decide"),
    (Kind::Scheduler, "scheduler.before_append"),
    (Kind::Scheduler, "scheduler.after_append"),
    (Kind::Scheduler, "scheduler.after_ack"),
    (Kind::Scheduler, "scheduler.before_dispatch"),
    (Kind::Executor, "executor.before_spawn"),
    (Kind::Executor, "executor.after_spawn"),
    (Kind::Executor, "executor.before_report"),
    (Kind::Executor, "executor.after_report"),
    (Kind::Projector, "projector.before_commit"),
    (Kind::Projector, "projector.after_commit"),
    (Kind::Notifier, "notifier.before_publish"),
    (Kind::Notifier, "notifier.within_group"),
    (Kind::Notifier, "notifier.after_publish"),
    (Kind::Notifier, "notifier.after_ack"),
];

/// From the start of a process to the point that it was told to die at; a scheduler has to wait for
/// a dead one's lease first.
const POINT_WITHIN: Duration = Duration::from_secs(30);
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
const KILLS_MIN: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_however_often_processes_are_killed() {
    let mut injector = FaultInjector::new();
    let verdict = run(&mut injector, Duration::ZERO).await;
    assert!(verdict.counts.succeeded > 200 && verdict.counts.canceled > 5, "too little went on");
    assert!(verdict.counts.retried > 20 && verdict.counts.terms > 5, "too little went wrong");
    assert!(injector.kills.values().sum::<u64>() >= KILLS_MIN, "only {:?}", injector.kills);
}

/// As above, again and again: `NOX_SOAK_MINUTES=60 cargo nextest run -p nox-testkit --run-ignored
/// only soak`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as NOX_SOAK_MINUTES says"]
async fn soak() {
    let minutes = std::env::var("NOX_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_secs(60 * minutes.unwrap_or(5));
    run(&mut FaultInjector::new(), span).await;
}

/// Kills everything, and then again until `span` has passed; judges what came of it.
async fn run(injector: &mut FaultInjector, span: Duration) -> Verdict {
    let options = Options { gateways: 2, schedulers: 2, executors: 2, ..Options::default() }
        // So that most takeovers begin at a snapshot.
        .env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "100")
        .env(Kind::Scheduler, "NOX_SNAPSHOT_MS", "100");
    let mut cluster = Cluster::start(options).await.unwrap();
    let load = Load::start(&cluster, injector.seed);
    let began = Instant::now();
    loop {
        if let Err(error) = injector.kill_everything(&mut cluster, &load).await {
            panic!("{:#}", cluster.with_log(error).await);
        }
        if began.elapsed() >= span {
            break;
        }
    }
    let killed_for = began.elapsed();

    let submitted = load.stop().await;
    if let Err(error) = cluster.settle(SETTLE_WITHIN).await {
        panic!("{error:#}");
    }
    let settled_for = began.elapsed() - killed_for;
    let verdict = check(&cluster.evidence().await.unwrap());
    let kills: u64 = injector.kills.values().sum();
    println!("{kills} kills in {killed_for:?}, settled in {settled_for:?}: {:?}", injector.kills);
    println!("frozen: {:?}", injector.freezes);
    println!("{submitted} submits; {:?}", verdict.counts);
    verdict.assert_clean();
    assert_eq!(cluster.internal_errors(), 0, "a gateway answered 500");
    let events = super::feed::is_whole(&cluster, SETTLE_WITHIN).await.unwrap();
    println!("{events} events");
    // A worker has what it says it has received.
    assert_eq!(verdict.counts.lost_not_held, 0);
    verdict
}

#[test]
fn every_named_point_in_the_code_is_died_at() {
    let services = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let mut named = BTreeSet::new();
    let mut folders = vec![services];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let calls = text.split("crash_point(\"").skip(1);
                named.extend(calls.filter_map(|call| Some(call.split_once('"')?.0.to_owned())));
            }
        }
    }
    let points = POINTS.iter().map(|(_, point)| *point).chain(super::retention::POINTS);
    let died_at: BTreeSet<_> = points.map(str::to_owned).collect();
    assert_eq!(named, died_at);
}

/// Kills and freezes, and counts what it did by what it was and how.
struct FaultInjector {
    seed: u64,
    rng: ChaCha8Rng,
    kills: BTreeMap<String, u64>,
    freezes: BTreeMap<String, u64>,
}

impl FaultInjector {
    fn new() -> Self {
        let seed = std::env::var("NOX_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("NOX_TEST_SEED={seed}");
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { seed, rng, kills: BTreeMap::new(), freezes: BTreeMap::new() }
    }

    /// Each named point once, and in between the servers, and whatever there is at random moments.
    async fn kill_everything(&mut self, cluster: &mut Cluster, load: &Load) -> Result<()> {
        let mut points = POINTS;
        points.shuffle(&mut self.rng);
        for (place, (kind, point)) in points.into_iter().enumerate() {
            self.at_point(cluster, kind, point).await?;
            match place % 4 {
                0 => self.nats(cluster).await?,
                1 => self.postgres(cluster).await?,
                2 => self.at_random(cluster).await?,
                _ => self.freeze(cluster).await?,
            }
            // It must have been seen to work in between, else this would test one long outage.
            self.breathe(cluster, load).await?;
            self.expect_all_alive(cluster)?;
        }
        Ok(())
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.kills.entry(what.into()).or_default() += 1;
    }

    /// Kills one of a kind, and its successor at a named point.
    async fn at_point(&mut self, cluster: &mut Cluster, kind: Kind, point: &str) -> Result<()> {
        // Early ones hit start and hand-over, later ones the middle of work; a takeover has its own
        // points once.
        let times = if point.ends_with("epoch") { 1 } else { self.rng.random_range(1..20) };
        let armed = format!("{point}:{times}");
        let place = self.rng.random_range(0..2);
        match kind {
            Kind::Scheduler => {
                // So that the armed one leads next: all of them go.
                for scheduler in &mut cluster.schedulers {
                    scheduler.kill9();
                }
                self.count("scheduler");
                self.count("scheduler");
                self.dies_at(&mut cluster.schedulers[place], &armed).await?;
                cluster.schedulers[1 - place].start()
            }
            Kind::Gateway => self.replace(&mut cluster.gateways[place], &armed).await,
            Kind::Executor => self.replace(&mut cluster.executors[place], &armed).await,
            Kind::Projector => self.replace(&mut cluster.projector, &armed).await,
            Kind::Notifier => self.replace(&mut cluster.notifier, &armed).await,
        }
        .with_context(|| armed)
    }

    async fn replace(&mut self, service: &mut Service, armed: &str) -> Result<()> {
        service.kill9();
        self.count(service.kind.name());
        self.dies_at(service, armed).await
    }

    /// Starts the service with the order to die at the point, waits until it has, and starts it anew.
    async fn dies_at(&mut self, service: &mut Service, armed: &str) -> Result<()> {
        service.start_with(&[("NOX_CRASH_POINT", armed)])?;
        let status = service.wait_ended(POINT_WITHIN).await?;
        ensure!(status.code().is_none(), "{} ended by itself with {status}", service.name);
        self.count(armed.split(':').next().unwrap_or_default());
        service.start()
    }

    async fn at_random(&mut self, cluster: &mut Cluster) -> Result<()> {
        sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
        let chosen = self.rng.random_range(0..7);
        let service = cluster.services().nth(chosen).context("there are seven")?;
        service.kill9();
        service.start()?;
        let name = service.kind.name();
        self.count(name);
        Ok(())
    }

    async fn nats(&mut self, cluster: &mut Cluster) -> Result<()> {
        sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
        cluster.nats.kill9();
        self.count("nats-server");
        cluster.nats.restart().await
    }

    async fn postgres(&mut self, cluster: &mut Cluster) -> Result<()> {
        sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
        cluster.postgres.kill9();
        self.count("postgres");
        cluster.postgres.restart().await
    }

    /// Lets a service or a server stand still, for longer than any lease or not.
    async fn freeze(&mut self, cluster: &mut Cluster) -> Result<()> {
        let span = Duration::from_millis(self.rng.random_range(200..4_000));
        let chosen = self.rng.random_range(0..9);
        let name = match chosen {
            7 => {
                cluster.nats.freeze();
                sleep(span).await;
                cluster.nats.thaw();
                "nats-server"
            }
            8 => {
                cluster.postgres.freeze();
                sleep(span).await;
                cluster.postgres.thaw();
                "postgres"
            }
            place => {
                let service = cluster.services().nth(place).context("there are seven")?;
                service.freeze();
                sleep(span).await;
                service.thaw();
                service.kind.name()
            }
        };
        *self.freezes.entry(name.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Waits until a few more submits were answered.
    async fn breathe(&mut self, cluster: &Cluster, load: &Load) -> Result<()> {
        let before = load.submits();
        let wanted = before + 20;
        until(POINT_WITHIN, "submits to be answered", async || {
            Ok((load.submits() >= wanted).then_some(()))
        })
        .await?;
        cluster.wait_leader(POINT_WITHIN).await?;
        Ok(())
    }

    /// Nothing may end that was not killed.
    fn expect_all_alive(&self, cluster: &mut Cluster) -> Result<()> {
        for service in cluster.services() {
            let ended = service.ended();
            ensure!(ended.is_none(), "{} ended by itself: {ended:?}", service.name);
        }
        Ok(())
    }
}
