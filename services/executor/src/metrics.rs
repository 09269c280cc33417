//! What the executor counts.

use std::time::Duration;

use nox_contract::{AttemptEnd, ModuleName};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

/// The executor's metrics; all copies count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: IntCounterVec,
    attempt_seconds: Histogram,
    spawn_seconds: Histogram,
    pub held: IntGauge,
    pub running: IntGauge,
    survivors: IntCounter,
    pub report_messages: IntCounter,
    pub report_retries: IntCounter,
    pub log_bytes: IntCounter,
    pub log_bytes_lost: IntCounter,
    pub sessions: IntCounter,
}

/// Spawns take milliseconds; attempts anything.
const SPAWN_BUCKETS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];
const ATTEMPT_BUCKETS: [f64; 9] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(registry, Histogram::with_opts(options)?)
        };
        let attempts = Opts::new("nox_executor_attempts_total", "Attempts that ended here");
        Ok(Self {
            attempts: registered(registry, IntCounterVec::new(attempts, &["module", "outcome"])?)?,
            attempt_seconds: histogram(
                "nox_executor_attempt_seconds",
                "From the order to run an attempt to its end",
                &ATTEMPT_BUCKETS,
            )?,
            spawn_seconds: histogram(
                "nox_executor_spawn_seconds",
                "From the start of a supervisor to the run of its program",
                &SPAWN_BUCKETS,
            )?,
            held: gauge("nox_executor_held_attempts", "Attempts whose end is not acknowledged")?,
            running: gauge("nox_executor_running_attempts", "Attempts that are being run")?,
            survivors: counter(
                "nox_executor_survivors_killed_total",
                "Processes that outlived their attempt's program and were killed",
            )?,
            report_messages: counter(
                "nox_executor_report_messages_total",
                "Messages of reports that the broker has stored",
            )?,
            report_retries: counter(
                "nox_executor_report_retries_total",
                "Messages of reports that had to be sent again",
            )?,
            log_bytes: counter("nox_executor_log_bytes_total", "Bytes of logs that were kept")?,
            log_bytes_lost: counter(
                "nox_executor_log_bytes_lost_total",
                "Bytes of logs that were lost: the broker did not take them in time",
            )?,
            sessions: counter("nox_executor_sessions_total", "Sessions that were begun")?,
        })
    }

    /// An attempt has ended.
    pub fn attempt(&self, module: &ModuleName, end: &AttemptEnd, took: Duration) {
        let outcome = match end {
            AttemptEnd::Succeeded { .. } => "succeeded",
            AttemptEnd::Failed { error, .. } => &error.code,
            AttemptEnd::HandedBack(_) => "handed_back",
        };
        self.attempts.with_label_values(&[module.as_str(), outcome]).inc();
        self.attempt_seconds.observe(took.as_secs_f64());
    }

    pub fn spawned(&self, took: Duration) {
        self.spawn_seconds.observe(took.as_secs_f64());
    }

    pub fn survivors(&self, killed: usize) {
        self.survivors.inc_by(killed as u64);
    }
}

/// Registers `metric`; returns it for counting.
fn registered<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: M,
) -> Result<M, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
