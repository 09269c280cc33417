//! What the scheduler counts.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The scheduler's metrics.
#[derive(Clone)]
pub struct Metrics {
    pub leading: IntGauge,
    pub takeover_seconds: Gauge,
    pub takeover_snapshot_n: IntGauge,
    pub terms_ended: IntCounterVec,
    pub frames: IntCounter,
    pub entries: IntCounter,
    pub inputs: IntCounterVec,
    pub backlog: IntGauge,
    pub append_seconds: Histogram,
    pub unknown_outcomes: IntCounter,
}

impl Metrics {
    /// Registers everything once; fails if the names are taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            leading: IntGauge::new("nox_scheduler_leading", "1 while this process leads")?,
            takeover_seconds: Gauge::new(
                "nox_scheduler_takeover_seconds",
                "How long the last takeover took",
            )?,
            takeover_snapshot_n: IntGauge::new(
                "nox_scheduler_takeover_snapshot_n",
                "The frame up to which the last takeover had a snapshot; 0 without one",
            )?,
            terms_ended: IntCounterVec::new(
                Opts::new("nox_scheduler_terms_ended_total", "Terms that ended, by reason"),
                &["reason"],
            )?,
            frames: IntCounter::new("nox_scheduler_frames_total", "Frames sent to the log")?,
            entries: IntCounter::new(
                "nox_scheduler_entries_total",
                "Entries of the frames sent to the log",
            )?,
            inputs: IntCounterVec::new(
                Opts::new("nox_scheduler_inputs_total", "Messages consumed, by stream"),
                &["stream"],
            )?,
            backlog: IntGauge::new(
                "nox_scheduler_backlog_frames",
                "Frames decided and not yet in the log",
            )?,
            append_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "nox_scheduler_append_seconds",
                    "From sending an append to its acknowledgement",
                )
                .buckets(prometheus::exponential_buckets(0.000_1, 2.0, 16)?),
            )?,
            unknown_outcomes: IntCounter::new(
                "nox_scheduler_unknown_outcomes_total",
                "Appends without a clean acknowledgement, each followed by a look at the tail",
            )?,
        };
        registry.register(Box::new(metrics.leading.clone()))?;
        registry.register(Box::new(metrics.takeover_seconds.clone()))?;
        registry.register(Box::new(metrics.takeover_snapshot_n.clone()))?;
        registry.register(Box::new(metrics.terms_ended.clone()))?;
        registry.register(Box::new(metrics.frames.clone()))?;
        registry.register(Box::new(metrics.entries.clone()))?;
        registry.register(Box::new(metrics.inputs.clone()))?;
        registry.register(Box::new(metrics.backlog.clone()))?;
        registry.register(Box::new(metrics.append_seconds.clone()))?;
        registry.register(Box::new(metrics.unknown_outcomes.clone()))?;
        Ok(metrics)
    }
}
