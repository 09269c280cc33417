//! What an earlier process of this worker had begun, told before its attempts are given up: without it,
//! a job that takes its executor down with it would be tried for ever, and attempts would be charged
//! with a stop that was asked for.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{Report, ReportMessage, SessionId, WorkerId, report::Started, subject};
use nox_service::Clock;
use nox_streams::{Broker, PublishError};
use tokio::time::sleep;

use crate::sandbox::Leftovers;

/// Reports of one message; far below what fits.
const REPORTS_MAX: usize = 1_000;

/// Between two tries to publish.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Reports as started what was, in the name of the sessions that began it, and which session was to
/// stop. Returns when that is stored. Repeating it changes nothing.
pub async fn report(
    broker: &Broker,
    worker: &WorkerId,
    clock: &Clock,
    leftovers: &Leftovers,
    stopping: Option<SessionId>,
) {
    let mut by_session: BTreeMap<SessionId, Vec<Report>> = BTreeMap::new();
    if let Some(session) = stopping {
        by_session.entry(session).or_default().push(Report::Draining);
    }
    for journal in leftovers.started() {
        let elapsed = clock.wall().since(journal.at).as_millis();
        let started = Started {
            job_id: journal.job_id,
            attempt: journal.attempt,
            token: journal.token,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
        };
        by_session.entry(journal.session).or_default().push(Report::Started(started));
    }
    for (session, reports) in by_session {
        for reports in reports.chunks(REPORTS_MAX) {
            let message = ReportMessage { session, reports: reports.to_vec() };
            while let Err(error) = publish(broker, worker, &message).await {
                tracing::warn!(%error, "Cannot tell of an earlier process yet");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Stores a message of reports; returns its stream sequence.
pub async fn publish(
    broker: &Broker,
    worker: &WorkerId,
    message: &ReportMessage,
) -> Result<u64, PublishError> {
    let payload = serde_json::to_vec(message)
        .map_err(|error| PublishError::Unknown(format!("a report cannot be written: {error}")))?;
    let ack = broker.publish(subject::reports(worker), None, payload.into()).await?;
    Ok(ack.seq)
}
