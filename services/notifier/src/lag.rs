//! How far behind the log the feed is, and whether the log can be read at all.

use std::time::Duration;

use nox_contract::subject;
use nox_service::Runtime;
use nox_streams::Broker;
use tokio_util::task::AbortOnDropHandle;

use crate::{LOG, metrics::Metrics};

/// Often enough for a dashboard, and no load for the broker.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the end of the log now and then, until dropped.
pub(crate) fn watch(broker: Broker, runtime: Runtime, metrics: Metrics) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            match broker.last_sequence(subject::EVENTS).await {
                Ok(last) => {
                    metrics.log_ends_at(last);
                    runtime.readiness.set(LOG, Ok::<(), String>(()));
                }
                Err(error) => runtime.readiness.set(LOG, Err(error.to_string())),
            }
            tokio::time::sleep(EVERY).await;
        }
    }))
}
