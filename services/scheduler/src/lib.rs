//! The scheduler: commands and reports in, facts and work out.
//!
//! Reads:  NOX_COMMANDS, NOX_REPORTS, NOX_BEATS; the log when it takes over; NOX_READERS before it cuts
//! Writes: NOX_EVENTS, work, answers, the archive; it alone makes, changes and cuts streams
//! Keeps:  nothing that the log does not have; snapshots only shorten a takeover
//!
//! Several may run. The lease decides who tries to lead; the log itself refuses everybody else.
//!
//! | file | what it does |
//! |---|---|
//! | [`config`] | what an operator can set |
//! | `held_lease` | gets the lease and keeps it |
//! | `takeover` | carries out what a new leader has to read and write |
//! | `term` | carries out what a leader decides |
//! | `inputs` | gives each input stream its share of a turn |
//! | `replies` | what the broker said to appends, in order |
//! | `dispatch` | packs work for workers |
//! | `probes` | asks whether workers that are not heard of still listen |
//! | `submitted` | finds the inputs of jobs in the log |
//! | `snapshot` | keeps and finds folds of the log |
//! | `archive` | keeps the log for good |
//! | `verified` | what of the stream the archive has for certain; archives again what is damaged there |
//! | `cut` | cuts its stream |
//! | `lost_end` | gives the stream back what only the archive has of its end |
//! | `streams` | looks after the streams, which it alone makes |
//! | `metrics` | what it counts |

mod archive;
pub mod config;
mod cut;
mod dispatch;
#[cfg(test)]
mod fixture;
mod held_lease;
mod inputs;
mod lost_end;
mod metrics;
mod probes;
mod replies;
mod snapshot;
mod streams;
mod submitted;
mod takeover;
mod term;
mod verified;

use std::time::Duration;

use anyhow::Context;
use nox_archive::{Archive, Log, LogArchive};
use nox_contract::subject;
use nox_service::{Running, Runtime};
use nox_streams::{Broker, ConnectOptions, Error};
use tokio_util::task::AbortOnDropHandle;

pub use config::Config;
use held_lease::HeldLease;
use metrics::Metrics;
use term::End;

/// How long to wait before trying to lead again after a term that ended badly.
const PAUSE_AFTER_TERM: Duration = Duration::from_millis(200);

/// What all of it works with.
struct Scheduler {
    config: Config,
    runtime: Runtime,
    broker: Broker,
    metrics: Metrics,
    archive: Archive,
}

/// The archive of a log that a scheduler has opened.
fn archive_of(log: &Log) -> &LogArchive {
    log.archive().expect("no scheduler starts without one")
}

/// Runs until stopped, or until the log or an input stream is not what it was.
pub fn run(config: Config, runtime: Runtime) -> Running {
    Box::pin(until_stopped(config, runtime))
}

async fn until_stopped(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let metrics = Metrics::register(&runtime.registry)?;
    let archive = config.archive()?;
    let broker = Broker::connect(ConnectOptions {
        url: config.nats_url.reveal().to_owned(),
        service: "scheduler",
        monitor_url: config.nats_monitor_url.clone(),
        sync: config.sync,
    })
    .await
    .context("cannot use the broker")?;
    let tell = runtime.part(
        "scheduler.broker",
        "nox_scheduler_broker_unwell",
        "1 while the broker takes no writes, as with a full disk",
    )?;
    let _health = AbortOnDropHandle::new(tokio::spawn(broker.clone().watch_health(tell)));
    broker.declare_layout(config.layout()).await.context("cannot declare the streams")?;
    let scheduler = Scheduler { config, runtime, broker, metrics, archive };
    tokio::select! {
        served = scheduler.serve() => served,
        drift = streams::watch(&scheduler.broker, &scheduler.runtime) => {
            scheduler.metrics.leading.set(0);
            Err(drift).context("a stream is not ours any more")
        }
    }
}

impl Scheduler {
    /// Leads whenever it can.
    async fn serve(&self) -> anyhow::Result<()> {
        let Self { config, runtime, broker, metrics, .. } = self;
        let mut resets = config.accept_input_reset.clone();
        while !runtime.stop.is_cancelled() {
            let holder = nox_service::ids::unique().to_string();
            let ttl = Duration::from_millis(config.lease_ms);
            let lease = broker.lease(holder.clone(), ttl);
            runtime.readiness.set("scheduler", Ok::<(), String>(()));
            runtime.readiness.note("scheduler.role", "standby");
            let Some(lease) = HeldLease::acquire(lease, ttl, &runtime.stop).await else { break };
            let end = self.lead(&lease, &holder, &mut resets).await;
            metrics.leading.set(0);
            lease.release().await;
            match end {
                Ok(end) => {
                    metrics.terms_ended.with_label_values(&[end.reason()]).inc();
                    match &end {
                        End::Unavailable(reason) => tracing::warn!(reason, "Cannot lead"),
                        _ => tracing::info!(reason = end.reason(), detail = %end, "Leads no more"),
                    }
                }
                Err(error) => {
                    metrics.terms_ended.with_label_values(&["broken"]).inc();
                    runtime.readiness.set("scheduler", Err(format!("{error:#}")));
                    return Err(error);
                }
            }
            tokio::time::sleep(PAUSE_AFTER_TERM).await;
        }
        Ok(())
    }

    /// One term, from the epoch record to its end.
    async fn lead(
        &self,
        lease: &HeldLease,
        holder: &str,
        resets: &mut Option<String>,
    ) -> anyhow::Result<End> {
        let Self { runtime, metrics, .. } = self;
        let began = runtime.clock.monotonic();
        let log = match self.log().await {
            Ok(log) => log,
            Err(Error::Unavailable(reason)) => return Ok(End::Unavailable(reason)),
            Err(error) => return Err(error.into()),
        };
        let ready = tokio::select! {
            ready = takeover::run(self, &log, holder, resets.clone()) => match ready {
                Ok(ready) => ready,
                Err(takeover::Failure::Broken(error)) => return Err(error),
                Err(takeover::Failure::Unavailable(reason)) => return Ok(End::Unavailable(reason)),
            },
            () = lease.lost() => return Ok(End::LeaseLost),
            () = runtime.stop.cancelled() => return Ok(End::Stopped),
        };
        // An operator's word counts once.
        *resets = None;
        let took = runtime.clock.monotonic().saturating_sub(began);
        tracing::info!(
            epoch = ready.state.epoch.0,
            n = ready.epoch_seq,
            took_ms = took.as_millis() as u64,
            "Leads"
        );
        metrics.leading.set(1);
        metrics.takeover_seconds.set(took.as_secs_f64());
        runtime.readiness.note("scheduler.role", "leader");
        term::run(self, &log, lease, ready).await
    }

    /// The log as its stream and the archive have it.
    async fn log(&self) -> Result<Log, Error> {
        let incarnation = self.broker.incarnation(subject::EVENTS).await?;
        Ok(Log::new(self.broker.clone(), incarnation, Some(&self.archive)))
    }
}
