//! Reports on their way to their stream, and looks at whether it still is the one that has the others.

use std::{pin::Pin, sync::Arc, time::Duration};

use nox_contract::{Incarnation, ReportMessage, subject};
use nox_protocol::session::ReportId;
use nox_service::crash_point;
use nox_streams::{Error, PublishError};

use super::EventLoop;
use crate::recovery;

/// Between two looks at the stream of reports: it may be made anew while the connection lasts, and
/// until that is noticed, no heartbeat counts.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The same, when the last look came to nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) type Publishing =
    Pin<Box<dyn Future<Output = (ReportId, Result<u64, PublishError>)> + Send>>;

/// A look at the stream of reports, with what the session knew to be stored when it began.
pub(super) type Looking =
    Pin<Box<dyn Future<Output = (u64, Result<(Incarnation, u64), Error>)> + Send>>;

impl EventLoop {
    pub(super) fn look(&mut self) {
        let (broker, position) = (self.worker.broker.clone(), self.session.reports_up_to());
        self.looking =
            Some(Box::pin(async move { (position, broker.extent(subject::REPORTS).await) }));
    }

    pub(super) fn on_look(&mut self, position: u64, seen: Result<(Incarnation, u64), Error>) {
        self.looking = None;
        match seen {
            Ok((found, last)) => {
                if let Err(reason) = self.session.on_reports_seen(&found, last, position) {
                    tracing::error!(%reason, "Reports are lost; beginning a new session");
                }
            }
            Err(error) => {
                match error {
                    Error::Drift(drift) => self.set_ready(Err(&drift.to_string())),
                    error => tracing::debug!(%error, "Cannot look at the stream of reports yet"),
                }
                self.next_look.reset_after(LOOK_AGAIN);
            }
        }
    }

    pub(super) fn publish(&mut self, id: ReportId, message: &Arc<ReportMessage>) {
        crash_point("executor.before_report");
        let (broker, worker_id) = (self.worker.broker.clone(), self.worker.worker_id.clone());
        let message = message.clone();
        self.publishing = Some(Box::pin(async move {
            let outcome = recovery::publish(&broker, &worker_id, &message).await;
            if outcome.is_ok() {
                crash_point("executor.after_report");
            }
            (id, outcome)
        }));
    }

    pub(super) fn on_published(&mut self, id: ReportId, outcome: Result<u64, PublishError>) {
        self.publishing = None;
        match outcome {
            Ok(stream_seq) => {
                self.worker.metrics.report_messages.inc();
                self.session.on_report_acked(id, stream_seq);
                if !self.ready {
                    tracing::info!(session = %self.session.id(), "Reports are stored");
                    self.show();
                }
                self.show_ready();
            }
            Err(error) => {
                self.worker.metrics.report_retries.inc();
                tracing::warn!(%error, "Reports are not stored yet");
                self.session.on_report_failed(id, self.worker.runtime.clock.now());
                self.set_ready(Err("reports are not stored"));
            }
        }
    }
}
