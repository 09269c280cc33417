//! Reports that are owed, packed into one message at a time.
//!
//! One message in flight keeps the order of reports whatever the broker does to it; packing what
//! gathers meanwhile gives the throughput, and costs broker and scheduler less than many messages.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use nox_contract::{
    AttemptEnd, HandBack, MESSAGE_BYTES_MAX, Report, ReportMessage, SessionId, Timestamp,
    report::Progressed,
};

use super::ReportId;

/// First wait before a report is sent again; doubled each time.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Longest wait before a report is sent again: a broker that comes back is noticed this soon.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// Bytes of a message's envelope, generously.
const ENVELOPE_BYTES: usize = 256;

/// Bytes of a report beside its outputs or its error, generously.
const REPORT_BYTES: usize = 512;

#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    owed: VecDeque<Owed>,
    in_flight: Option<InFlight>,
    last_id: ReportId,
    /// The stream sequence of the newest acknowledged message; 0 before the first.
    stored_up_to: u64,
}

/// A report that is not yet sent.
#[derive(Debug, Clone)]
struct Owed {
    report: Report,
    /// When what it says became true; only `started` says so.
    at: Timestamp,
}

/// The message that is on its way.
#[derive(Debug, Clone)]
struct InFlight {
    id: ReportId,
    message: Arc<ReportMessage>,
    /// When to send it again; `None` while its outcome is awaited.
    retry_at: Option<Timestamp>,
    retry_after: Duration,
}

impl Outbox {
    pub(super) fn owe(&mut self, report: Report, at: Timestamp) {
        self.owed.push_back(Owed { report, at });
    }

    /// As [`Self::owe`], in place of what is owed of the same attempt's progress: while nothing can be stored, only
    /// the latest is kept.
    pub(super) fn owe_progress(&mut self, progressed: Progressed, now: Timestamp) {
        let is_of_it = |owed: &&mut Owed| {
            matches!(&owed.report, Report::Progressed(of)
                    if of.job_id == progressed.job_id && of.attempt == progressed.attempt)
        };
        match self.owed.iter_mut().find(is_of_it) {
            Some(owed) => owed.report = Report::Progressed(progressed),
            None => self.owe(Report::Progressed(progressed), now),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.in_flight.is_none()
    }

    /// Whether anything was acknowledged, and so the `hello`, which is always first.
    pub(super) fn was_acked(&self) -> bool {
        self.stored_up_to > 0
    }

    pub(super) fn stored_up_to(&self) -> u64 {
        self.stored_up_to
    }

    pub(super) fn clear(&mut self) {
        self.owed.clear();
        self.in_flight = None;
    }

    /// The message to send now, if any: the one that failed, or the next.
    pub(super) fn due(
        &mut self,
        session: SessionId,
        now: Timestamp,
    ) -> Option<(ReportId, Arc<ReportMessage>)> {
        if let Some(sent) = &mut self.in_flight {
            sent.retry_at.take_if(|at| *at <= now)?;
            return Some((sent.id, sent.message.clone()));
        }
        let reports = self.pack(now);
        if reports.is_empty() {
            return None;
        }
        self.last_id = ReportId(self.last_id.0 + 1);
        let sent = InFlight {
            id: self.last_id,
            message: Arc::new(ReportMessage { session, reports }),
            retry_at: None,
            retry_after: RETRY_AFTER,
        };
        let due = (sent.id, sent.message.clone());
        self.in_flight = Some(sent);
        Some(due)
    }

    /// Takes as many of the oldest owed reports as fit into one message, and at least one.
    fn pack(&mut self, now: Timestamp) -> Vec<Report> {
        let mut reports = Vec::with_capacity(self.owed.len());
        let mut bytes = ENVELOPE_BYTES;
        while let Some(owed) = self.owed.front() {
            bytes += report_bytes(&owed.report);
            if bytes > MESSAGE_BYTES_MAX && !reports.is_empty() {
                break;
            }
            let Some(Owed { mut report, at }) = self.owed.pop_front() else { break };
            if let Report::Started(started) = &mut report {
                started.elapsed_ms = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
            }
            reports.push(report);
        }
        reports
    }

    /// Returns the message that is now known to be stored. An acknowledgement may come late, when
    /// the message was already sent again: one is enough.
    pub(super) fn acked(&mut self, id: ReportId, stream_seq: u64) -> Option<Arc<ReportMessage>> {
        self.stored_up_to = self.stored_up_to.max(stream_seq);
        self.in_flight.take_if(|sent| sent.id == id).map(|sent| sent.message)
    }

    pub(super) fn failed(&mut self, id: ReportId, now: Timestamp) {
        let Some(sent) = self.in_flight.as_mut().filter(|sent| sent.id == id) else { return };
        sent.retry_at = Some(now + sent.retry_after);
        sent.retry_after = (sent.retry_after * 2).min(RETRY_AFTER_MAX);
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.in_flight.as_ref()?.retry_at
    }
}

/// An upper bound of a report's size in a message, in bytes of JSON.
pub(super) fn report_bytes(report: &Report) -> usize {
    /// One byte of text may need `\u00XX`.
    const ESCAPED: usize = 6;
    let more = match report {
        Report::Ended(ended) => match &ended.end {
            AttemptEnd::Succeeded { outputs } => outputs.get().len(),
            AttemptEnd::Failed { error, .. } => ESCAPED * (error.code.len() + error.message.len()),
            AttemptEnd::HandedBack(HandBack::Draining) => 0,
            AttemptEnd::HandedBack(HandBack::CannotRun { reason }) => ESCAPED * reason.len(),
        },
        // Once a session; a `hello` that cannot be written is noticed where it is sent.
        Report::Hello(hello) => serde_json::to_vec(hello).map_or(0, |json| json.len()),
        Report::Offer(offer) => serde_json::to_vec(offer).map_or(0, |json| json.len()),
        Report::Progressed(of) => of.progress.message.as_ref().map_or(0, |m| ESCAPED * m.len()),
        Report::Paused { reason, .. } => ESCAPED * reason.len(),
        Report::Started(_)
        | Report::Stopped(_)
        | Report::Draining
        | Report::Resumed { .. }
        | Report::Bye
        | Report::Unreadable => 0,
    };
    REPORT_BYTES + more
}
