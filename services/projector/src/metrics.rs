//! What the projector counts. The metrics of jobs are folded with the rows, and exported by the gateway.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nox_contract::FrameNumber;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// The projector's metrics.
#[derive(Clone)]
pub struct Metrics {
    pub lag_frames: IntGauge,
    pub batch_frames: Histogram,
    pub commit_seconds: Histogram,
    pub retries: IntCounter,
    pub swept_bytes: IntCounter,
    /// The last frame that is in the rows.
    place: Arc<AtomicU64>,
}

impl Metrics {
    /// Registers everything once; fails if the names are taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            lag_frames: IntGauge::new(
                "nox_projection_lag_frames",
                "Frames of the log that are not in the rows yet",
            )?,
            batch_frames: Histogram::with_opts(
                HistogramOpts::new("nox_projection_batch_frames", "Frames in one transaction")
                    .buckets(prometheus::exponential_buckets(1.0, 2.0, 12)?),
            )?,
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "nox_projection_commit_seconds",
                    "From the first statement of a transaction to its commit, retries included",
                )
                .buckets(prometheus::exponential_buckets(0.000_5, 2.0, 16)?),
            )?,
            retries: IntCounter::new(
                "nox_projection_retries_total",
                "Tries to reach Postgres that failed",
            )?,
            swept_bytes: IntCounter::new(
                "nox_projection_swept_bytes_total",
                "Bytes of files and uploads that were removed from the artifact store",
            )?,
            place: Arc::default(),
        };
        registry.register(Box::new(metrics.lag_frames.clone()))?;
        registry.register(Box::new(metrics.batch_frames.clone()))?;
        registry.register(Box::new(metrics.commit_seconds.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.swept_bytes.clone()))?;
        Ok(metrics)
    }

    /// The rows are a fold of the log up to `n`.
    pub fn place(&self, n: FrameNumber) {
        self.place.store(n.0, Ordering::Relaxed);
    }

    /// How far the rows are.
    pub fn rows_are_at(&self) -> FrameNumber {
        FrameNumber(self.place.load(Ordering::Relaxed))
    }

    /// The log ends at `n`.
    pub fn log_ends_at(&self, n: u64) {
        let lag = n.saturating_sub(self.rows_are_at().0);
        self.lag_frames.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }
}
