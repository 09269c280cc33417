//! The notifier: facts in, events out, for whoever subscribes, and to the endpoints of webhooks.
//!
//! Reads:  NOX_EVENTS, and its archive where the stream was cut; labels of jobs in Postgres
//! Writes: NOX_FEED, and how far it has come: NOX_READERS; what webhooks have to send: the schema `nox_outbox` in
//!         Postgres; that one is to be switched off: NOX_COMMANDS, in the name of no tenant; where one is named, a
//!         folder of who did what
//! Keeps:  nothing; the feed's last message, the outbox, and the folder's last line, say where it goes on
//!
//! One at a time: a second one finds that another has written, and exits. It stops loudly where the log is not
//! the one it has read; it waits for ever where the broker is away, or refuses for a reason that can pass. A fact that
//! this version does not know is left out, and counted.
//!
//! | file | what it does |
//! |---|---|
//! | [`audit`] | writes who did what |
//! | [`config`] | what an operator can set |
//! | `events` | makes events of frames |
//! | `resume` | where the feed goes on |
//! | `publish` | publishes in order, up to the first that is not acknowledged |
//! | `live` | tells events that nobody keeps |
//! | `webhooks` | sends events to endpoints |
//! | `place` | says how far its readers of the log are |
//! | `metrics` | what it counts |

pub mod audit;
pub mod config;
mod events;
mod live;
mod metrics;
mod place;
mod publish;
mod resume;
mod webhooks;

use std::time::Duration;

use anyhow::Context;
use nox_archive::{Archive, Log};
use nox_contract::{FrameNumber, Incarnation, subject};
use nox_service::{Backoff, Running, Runtime, ids};
use nox_streams::{Broker, ConnectOptions, Error, FeedSource};
use tokio_util::task::AbortOnDropHandle;

pub use config::{Config, Fault, Feed, WebhookFault};
use metrics::Metrics;

/// The notifier among the readers of the log.
const READER: &str = "notifier";
/// The part of readiness that says whether events follow the log.
const NOTIFIER: &str = "notifier";
/// The part of readiness that says how the log is.
const LOG: &str = "notifier.log";

/// Between two tries to reach the broker, or to go on with the feed.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Runs until stopped, or until the log is not what it was, or another notifier writes the feed.
pub fn run(config: Config, runtime: Runtime) -> Running {
    Box::pin(until_stopped(config, runtime))
}

async fn until_stopped(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let metrics = Metrics::register(&runtime.registry)?;
    let sends_webhooks = webhooks::is_configured(&config);
    if config.feed == Feed::Off && !sends_webhooks && config.audit.is_none() {
        tracing::info!("Publishes nothing: the feed is off");
        runtime.readiness.set(NOTIFIER, Ok::<(), String>(()));
        runtime.stop.cancelled().await;
        return Ok(());
    }
    runtime.readiness.set(NOTIFIER, Err("not connected yet"));
    let outcome = tokio::select! {
        outcome = notify(&config, &runtime, &metrics) => outcome,
        () = runtime.stop.cancelled() => return Ok(()),
    };
    if let Err(error) = &outcome {
        runtime.readiness.set(NOTIFIER, Err(format!("{error:#}")));
    }
    outcome
}

async fn notify(config: &Config, runtime: &Runtime, metrics: &Metrics) -> anyhow::Result<()> {
    let archive = config.archive.as_deref().map(Archive::open).transpose()?;
    let broker = Broker::connect(ConnectOptions {
        url: config.nats_url.reveal().to_owned(),
        service: "notifier",
        monitor_url: config.nats_monitor_url.clone(),
        sync: config.sync,
    });
    let broker = broker.await.context("cannot use the broker")?;
    let tell = runtime.part(
        "notifier.broker",
        "nox_feed_broker_unwell",
        "1 while the broker takes no writes, as with a full disk",
    )?;
    let _health = AbortOnDropHandle::new(tokio::spawn(broker.clone().watch_health(tell)));
    let incarnation = incarnation(&broker, config, runtime).await?;
    let (readiness, lag) = (runtime.readiness.clone(), metrics.clone());
    let watch = broker.clone().watch_log(move |end| {
        let outcome = end.map(|end| lag.log_ends_at(end));
        readiness.set(LOG, outcome.map_err(|error| error.to_string()));
    });
    let _watch = AbortOnDropHandle::new(tokio::spawn(watch));
    let source = FeedSource { log: incarnation.clone(), writer: ids::process().to_string() };
    let log = Log::new(broker, incarnation, archive.as_ref());
    let sink = config
        .audit
        .as_ref()
        .map(|folder| audit::Sink { folder: folder.clone(), from: FrameNumber(config.audit_from) });
    let _audit = sink.map(|sink| {
        AbortOnDropHandle::new(tokio::spawn(audit::run(sink, log.clone(), runtime.clone())))
    });
    let feed = async {
        match config.feed {
            Feed::Off => {
                runtime.readiness.set(NOTIFIER, Ok::<(), String>(()));
                std::future::pending().await
            }
            Feed::Live => live::tell_all(&log, &source, runtime, metrics).await,
            Feed::Kept => keep(config, runtime, &log, &source, metrics).await,
        }
    };
    let webhooks = webhooks::run(config, runtime, &log, metrics);
    tokio::try_join!(feed, webhooks).map(drop)
}

/// Goes on with the kept feed, again and again: after whatever went wrong, the feed says where.
async fn keep(
    config: &Config,
    runtime: &Runtime,
    log: &Log,
    source: &FeedSource,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut written = None;
    let (broker, place) = (log.broker().clone(), metrics.clone());
    let tell = broker.keep_telling_reader(READER, source.log.clone(), move || place.feed_is_at());
    let _tell = AbortOnDropHandle::new(tokio::spawn(tell));
    loop {
        match resume::place(log.broker(), source, config, written).await {
            Ok(resumed) => {
                runtime.readiness.set(NOTIFIER, Ok::<(), String>(()));
                tracing::info!(
                    frame.n = resumed.after.n.0,
                    feed.seq = resumed.seq,
                    "Goes on with the feed"
                );
                let stopped = publish::from(log, source, resumed, config, metrics).await?;
                if stopped.published > 0 {
                    backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
                }
                written = Some(stopped.seq);
                tracing::warn!(error = %stopped.reason, "An event has no acknowledgement");
            }
            Err(resume::Error::Broker(error)) => {
                runtime.readiness.set(NOTIFIER, Err(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        metrics.retries.inc();
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Which log there is, once there is one, and the feed beside it where that is kept.
async fn incarnation(
    broker: &Broker,
    config: &Config,
    runtime: &Runtime,
) -> anyhow::Result<Incarnation> {
    let streams: &[&str] = match config.feed {
        Feed::Kept => &[subject::EVENTS, subject::FEED],
        Feed::Live | Feed::Off => &[subject::EVENTS],
    };
    let waits = |reason| runtime.readiness.set(LOG, Err(reason));
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    loop {
        broker.wait_for_streams(streams, waits).await.context("cannot use the streams")?;
        match broker.incarnation(subject::EVENTS).await {
            Ok(incarnation) => return Ok(incarnation),
            Err(Error::Drift(drift)) => return Err(drift).context("cannot use the log"),
            Err(error) => runtime.readiness.set(LOG, Err(error.to_string())),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
