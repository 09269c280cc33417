//! Says how far the rows are.

use std::time::Duration;

use nox_contract::{Incarnation, Position};
use nox_streams::Broker;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Metrics;

/// The log is cut by minutes, and who is silent for a week is taken for gone.
const EVERY: Duration = Duration::from_secs(5);

/// The projector among the readers of the log.
const NAME: &str = "projector";

/// Tells it now and then, until dropped. What is told last stands while the projector is away.
pub(crate) fn place(
    broker: Broker,
    incarnation: Incarnation,
    metrics: Metrics,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let seq = metrics.rows_are_at().0;
            let position = Position { incarnation: incarnation.clone(), seq };
            if let Err(error) = broker.tell_reader(NAME, &position).await {
                tracing::debug!(%error, "Cannot say how far the rows are");
            }
            tokio::time::sleep(EVERY).await;
        }
    }))
}
