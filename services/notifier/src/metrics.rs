//! What the notifier counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nox_contract::FrameNumber;
use nox_readmodel::outbox::Attempted;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The notifier's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) lag_frames: IntGauge,
    pub(crate) published: IntCounter,
    pub(crate) retries: IntCounter,
    /// Facts without an event.
    pub(crate) unknown: IntCounter,
    /// By what came of them: `taken`, `status`, `unreachable`, `timeout`, `tls`, `protocol`.
    pub(crate) webhook_attempts: IntCounterVec,
    webhook_deliveries: IntCounterVec,
    webhook_waiting: IntGauge,
    webhook_place: IntGauge,
    /// The last frame of which every event is in the feed; 0 while that is not known.
    place: Arc<AtomicU64>,
}

impl Metrics {
    /// Registers everything once; fails if the names are taken.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            lag_frames: IntGauge::new(
                "nox_feed_lag_frames",
                "Frames of the log whose events are not published yet",
            )?,
            published: IntCounter::new("nox_feed_published_total", "Events that were published")?,
            retries: IntCounter::new(
                "nox_feed_retries_total",
                "Times that the feed was asked for its end, and gone on with, after something went wrong",
            )?,
            unknown: IntCounter::new(
                "nox_feed_unknown_total",
                "Facts of a newer version that were left out, for what of them may be told is not known; an alarm",
            )?,
            webhook_attempts: IntCounterVec::new(
                Opts::new(
                    "nox_webhook_attempts_total",
                    "Attempts to deliver, by what came of them",
                ),
                &["outcome"],
            )?,
            webhook_deliveries: IntCounterVec::new(
                Opts::new(
                    "nox_webhook_deliveries_total",
                    "Deliveries that wait no more, by what became of them",
                ),
                &["state"],
            )?,
            webhook_waiting: IntGauge::new(
                "nox_webhook_waiting",
                "Deliveries that wait for an attempt",
            )?,
            webhook_place: IntGauge::new(
                "nox_webhook_place",
                "The last frame of the log that was looked through for webhooks",
            )?,
            place: Arc::default(),
        };
        registry.register(Box::new(metrics.webhook_attempts.clone()))?;
        registry.register(Box::new(metrics.webhook_deliveries.clone()))?;
        registry.register(Box::new(metrics.webhook_waiting.clone()))?;
        registry.register(Box::new(metrics.webhook_place.clone()))?;
        registry.register(Box::new(metrics.lag_frames.clone()))?;
        registry.register(Box::new(metrics.published.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.unknown.clone()))?;
        Ok(metrics)
    }

    /// An attempt was made.
    pub(crate) fn webhook_ended(&self, attempted: &Attempted) {
        let state = match (attempted.taken, attempted.again_at) {
            (true, _) => "delivered",
            (false, None) => "failed",
            (false, Some(_)) => return,
        };
        self.webhook_deliveries.with_label_values(&[state]).inc();
    }

    /// So many deliveries were dropped.
    pub(crate) fn webhooks_dropped(&self, count: u64) {
        self.webhook_deliveries.with_label_values(&["dropped"]).inc_by(count);
    }

    pub(crate) fn webhooks_waiting(&self, count: u64) {
        self.webhook_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The log was looked through up to frame `n`.
    pub(crate) fn outbox_place(&self, n: FrameNumber) {
        self.webhook_place.set(i64::try_from(n.0).unwrap_or(i64::MAX));
    }

    /// Every event up to frame `n` is published.
    pub(crate) fn place(&self, n: FrameNumber) {
        self.place.store(n.0, Ordering::Relaxed);
    }

    /// How far the feed is, once that is known.
    pub(crate) fn feed_is_at(&self) -> Option<FrameNumber> {
        Some(FrameNumber(self.place.load(Ordering::Relaxed))).filter(|n| n.0 > 0)
    }

    /// The log ends at `n`.
    pub(crate) fn log_ends_at(&self, n: u64) {
        let at = self.feed_is_at().unwrap_or_default();
        self.lag_frames.set(i64::try_from(n.saturating_sub(at.0)).unwrap_or(i64::MAX));
    }
}
