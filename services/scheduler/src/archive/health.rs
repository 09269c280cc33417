//! How the archiving goes, for operators: in readiness and metrics, for as long as there is any.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use anyhow::anyhow;
use futures_util::FutureExt;
use nox_contract::FrameNumber;
use nox_service::Readiness;

use crate::metrics::Metrics;

/// The part of readiness that says whether the log is being archived.
const ARCHIVE: &str = "scheduler.archive";

/// Says how it goes. When this is dropped the archiving is somebody else's, who says it: a standby that could
/// not archive while it led must not alarm for ever.
pub struct Health {
    readiness: Readiness,
    metrics: Metrics,
}

impl Health {
    pub fn new(readiness: Readiness, metrics: Metrics) -> Self {
        Self { readiness, metrics }
    }

    /// It goes on, whatever there is to be said of what is `damaged` and of why the stream is not cut.
    pub fn goes_on(&self, archived: FrameNumber, damaged: Option<&str>, held: Option<&str>) {
        self.metrics.archive_failing.set(damaged.is_some().into());
        let mut note = format!("up to frame {archived}");
        for trouble in [damaged, held].into_iter().flatten() {
            note.push_str("; ");
            note.push_str(trouble);
        }
        self.readiness.note(ARCHIVE, note);
    }

    pub fn failing(&self, reason: &str) {
        tracing::warn!(reason, "Cannot keep the log in the archive");
        self.metrics.archive_failing.set(1);
        self.readiness.note(ARCHIVE, format!("failing: {reason}"));
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.metrics.archive_failing.set(0);
        self.metrics.log_held_seconds.reset();
        self.readiness.note(ARCHIVE, "kept by whoever leads");
    }
}

/// What became of something that may panic as well: nobody else would notice.
pub async fn outcome<T>(of: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let caught = AssertUnwindSafe(of).catch_unwind().await;
    caught.unwrap_or_else(|panic| Err(anyhow!("a panic: {}", message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("of no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(readiness: &Readiness) -> String {
        readiness.snapshot().notes[ARCHIVE].clone()
    }

    #[test]
    fn a_leader_that_was_deposed_alarms_no_more() {
        let readiness = Readiness::default();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let health = Health::new(readiness.clone(), metrics.clone());
        health.failing("the disk is full");
        assert_eq!(metrics.archive_failing.get(), 1);
        assert_eq!(note(&readiness), "failing: the disk is full");
        health.goes_on(FrameNumber(7), Some("a segment is damaged"), Some("it is held"));
        assert_eq!(metrics.archive_failing.get(), 1);
        assert_eq!(note(&readiness), "up to frame 7; a segment is damaged; it is held");
        metrics.log_held_seconds.with_label_values(&["snapshot"]).set(130);
        drop(health);
        assert_eq!(metrics.archive_failing.get(), 0);
        assert_eq!(metrics.log_held_seconds.with_label_values(&["snapshot"]).get(), 0);
        assert_eq!(note(&readiness), "kept by whoever leads");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_like_any_other() {
        let number = 7;
        for panics in [true, false] {
            let failed = outcome::<()>(async move {
                tokio::task::yield_now().await;
                assert!(!panics, "number {number}");
                panic!("no number")
            });
            let expected = if panics { "a panic: number 7" } else { "a panic: no number" };
            assert_eq!(failed.await.unwrap_err().to_string(), expected);
        }
        assert_eq!(outcome(async { Ok(number) }).await.unwrap(), 7);
    }
}
