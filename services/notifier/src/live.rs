//! Tells events to whoever listens at that time. Nobody keeps them, and a notifier that begins does so at the end
//! of the log.

use nox_archive::{Follower, Log};
use nox_contract::{FrameNumber, subject};
use nox_protocol::HeadReader;
use nox_service::{Backoff, Runtime};
use nox_streams::FeedSource;

use crate::{
    NOTIFIER, RETRY_MAX, RETRY_MIN,
    events::{self, Events},
    metrics::Metrics,
};

/// Tells what comes from now on, for ever.
///
/// # Errors
/// The log cannot be followed.
pub(crate) async fn tell_all(
    log: &Log,
    source: &FeedSource,
    runtime: &Runtime,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let broker = log.broker();
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let end = loop {
        match broker.last_sequence(subject::EVENTS).await {
            Ok(end) => break FrameNumber(end),
            Err(error) => runtime.readiness.set(NOTIFIER, Err(error.to_string())),
        }
        tokio::time::sleep(backoff.pause()).await;
    };
    runtime.readiness.set(NOTIFIER, Ok::<(), String>(()));
    tracing::info!(frame.n = end.0, "Tells events, and keeps none");
    let mut follower = Follower::new(log, HeadReader::after(end));
    loop {
        for message in follower.next().await? {
            let Events { events, unknown } = events::behind(events::end_of(end), &message)?;
            metrics.unknown.inc_by(unknown);
            for event in events {
                broker.tell_event(event, source);
                metrics.published.inc();
            }
            metrics.place(message.n);
        }
        // No more leaves than the connection takes.
        broker.flush().await;
    }
}
