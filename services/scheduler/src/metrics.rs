//! What the scheduler counts.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
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
    pub jobs_parked: IntGauge,
    pub others_parked: IntGaugeVec,
    pub append_seconds: Histogram,
    pub unknown_outcomes: IntCounter,
    pub absences: IntCounter,
    pub archived_n: IntGauge,
    pub archive_failing: IntGauge,
    pub archive_requests: IntGauge,
    pub segments_mended: IntCounter,
    pub log_first_n: IntGauge,
    pub log_held_seconds: IntGaugeVec,
    pub readers_left_behind: IntCounterVec,
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
            jobs_parked: IntGauge::new(
                "nox_jobs_parked",
                "Jobs that are set aside while this process leads, for a newer version wrote facts of them",
            )?,
            others_parked: IntGaugeVec::new(
                Opts::new(
                    "nox_others_parked",
                    "Likewise schedules, workers, modules and topics, by kind",
                ),
                &["kind"],
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
            absences: IntCounter::new(
                "nox_scheduler_absences_total",
                "Times that the broker said that nobody listens for a worker's work",
            )?,
            archived_n: IntGauge::new(
                "nox_log_archived_n",
                "The frame up to which this process has seen the log in the archive",
            )?,
            archive_failing: IntGauge::new(
                "nox_log_archive_failing",
                "1 while the leader cannot keep the log in the archive, or finds a segment damaged",
            )?,
            archive_requests: IntGauge::new(
                "nox_log_archive_requests",
                "Requests of this process to the archive's folder or bucket",
            )?,
            segments_mended: IntCounter::new(
                "nox_log_segments_mended_total",
                "Damaged segments of which the leader archived again what the stream still had",
            )?,
            log_first_n: IntGauge::new(
                "nox_log_first_n",
                "The frame before which this process has cut the log's stream; 0 before that",
            )?,
            log_held_seconds: IntGaugeVec::new(
                Opts::new(
                    "nox_log_held_seconds",
                    "How long the log's stream should be cut and nothing of it may go, by what holds it",
                ),
                &["by"],
            )?,
            readers_left_behind: IntCounterVec::new(
                Opts::new(
                    "nox_log_readers_left_behind_total",
                    "Cuts of the log's stream before a reader had come so far",
                ),
                &["reader"],
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
        registry.register(Box::new(metrics.jobs_parked.clone()))?;
        registry.register(Box::new(metrics.others_parked.clone()))?;
        registry.register(Box::new(metrics.append_seconds.clone()))?;
        registry.register(Box::new(metrics.unknown_outcomes.clone()))?;
        registry.register(Box::new(metrics.absences.clone()))?;
        registry.register(Box::new(metrics.archived_n.clone()))?;
        registry.register(Box::new(metrics.archive_failing.clone()))?;
        registry.register(Box::new(metrics.archive_requests.clone()))?;
        registry.register(Box::new(metrics.segments_mended.clone()))?;
        registry.register(Box::new(metrics.log_first_n.clone()))?;
        registry.register(Box::new(metrics.log_held_seconds.clone()))?;
        registry.register(Box::new(metrics.readers_left_behind.clone()))?;
        Ok(metrics)
    }
}
