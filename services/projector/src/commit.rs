//! Gives batches to Postgres, in order, each until it is in.

use std::time::Duration;

use anyhow::Context;
use nox_contract::FrameNumber;
use nox_readmodel::{Batch, Committed, Remedy, Store, StoreError};
use nox_service::{Runtime, crash_point};

use crate::{Config, POSTGRES, metrics::Metrics, pause::Pause, read::Batches};

/// How often the rows are looked at while the log stands still.
const VERIFY_EVERY: Duration = Duration::from_secs(1);

/// Why no more batches are committed.
pub(crate) enum End {
    Stopped,
    /// The rows are others than those that were attached to, and did not take the log in up to an event.
    OtherRows {
        reason: StoreError,
        up_to: FrameNumber,
    },
}

/// Commits what comes, until something else is to be done.
pub(crate) async fn all(
    config: &Config,
    runtime: &Runtime,
    metrics: &Metrics,
    store: &mut Store,
    mut batches: Batches,
) -> anyhow::Result<End> {
    let mut up_to = FrameNumber(0);
    loop {
        let batch = tokio::select! {
            batch = batches.next() => batch?,
            () = runtime.stop.cancelled() => return Ok(End::Stopped),
            () = tokio::time::sleep(VERIFY_EVERY) => match store.verify().await {
                Ok(()) => continue,
                Err(error) if error.remedy() == Remedy::Stop => {
                    return Err(error).context("the rows are not where they were left");
                }
                Err(reason) => return Ok(End::OtherRows { reason, up_to }),
            },
        };
        if config.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(config.delay_ms)).await;
        }
        let began = runtime.clock.monotonic();
        crash_point("projector.before_commit");
        let committed = match until_in(runtime, metrics, store, &batch).await {
            Ok(Some(committed)) => committed,
            Ok(None) => return Ok(End::Stopped),
            Err(reason) if reason.remedy() == Remedy::PrepareAgain => {
                return Ok(End::OtherRows { reason, up_to: batch.end().0 });
            }
            Err(error) => return Err(error).context("cannot take the log in"),
        };
        crash_point("projector.after_commit");
        let took = runtime.clock.monotonic().saturating_sub(began);
        metrics.commit_seconds.observe(took.as_secs_f64());
        metrics.batch_frames.observe(committed.frames as f64);
        up_to = batch.end().0;
        metrics.place(up_to);
        tracing::debug!(
            frame.n = up_to.0,
            frames = committed.frames,
            parked = committed.parked,
            took_us = took.as_micros() as u64,
            "Committed"
        );
    }
}

/// Tries until the batch is in; `None` if asked to stop while Postgres is away.
async fn until_in(
    runtime: &Runtime,
    metrics: &Metrics,
    store: &mut Store,
    batch: &Batch,
) -> Result<Option<Committed>, StoreError> {
    let mut pause = Pause::new(runtime);
    loop {
        match store.commit(batch).await {
            Ok(committed) => {
                runtime.readiness.set(POSTGRES, Ok::<(), String>(()));
                return Ok(Some(committed));
            }
            Err(error) if error.remedy() == Remedy::TryAgain => {
                metrics.retries.inc();
                if !pause.after(&error).await {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}
