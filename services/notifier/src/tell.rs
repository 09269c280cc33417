//! Says how far the feed is.

use std::time::Duration;

use nox_contract::{Incarnation, Position};
use nox_streams::Broker;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Metrics;

/// The log is cut by minutes, and who is silent for a week is taken for gone.
const EVERY: Duration = Duration::from_secs(5);

/// The notifier among the readers of the log.
pub(crate) const NAME: &str = "notifier";

/// Tells it now and then, until dropped. What is told last stands while the notifier is away.
pub(crate) fn place(
    broker: Broker,
    incarnation: Incarnation,
    metrics: Metrics,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if let Some(n) = metrics.feed_is_at() {
                let position = Position { incarnation: incarnation.clone(), seq: n.0 };
                if let Err(error) = broker.tell_reader(NAME, &position).await {
                    tracing::debug!(%error, "Cannot say how far the feed is");
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }))
}
