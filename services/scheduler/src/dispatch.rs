//! Packs work for workers. A delivery, not a fact: what gets lost is handed out again.

use std::collections::BTreeMap;

use nox_contract::{
    Covers, Event, Fact, MESSAGE_BYTES_MAX, SessionId, StartWork, Work, WorkMessage, WorkerId,
    subject,
};
use nox_protocol::leader::Dispatch;
use nox_streams::Broker;

/// Most pieces of work in one message, so that a long list of small ones stays readable.
const WORK_MAX: usize = 500;
/// What a piece of work needs beside its inputs, in bytes, estimated from above.
const OVERHEAD_BYTES: usize = 700;

/// Work that may be handed out now.
#[derive(Default)]
pub struct Outbox {
    by_session: BTreeMap<(WorkerId, SessionId), Vec<Work>>,
}

impl Outbox {
    /// Takes one piece on. One without its inputs takes its own way by the log.
    pub fn push(&mut self, broker: &Broker, worker: WorkerId, session: SessionId, work: Dispatch) {
        match work {
            Dispatch::Ready(work) => {
                self.by_session.entry((worker, session)).or_default().push(work);
            }
            Dispatch::ReadInputs { submitted_n, start } => {
                let broker = broker.clone();
                tokio::spawn(async move {
                    let Some(start) = with_inputs(&broker, submitted_n.0, *start).await else {
                        // The worker's next beat asks for it again.
                        return;
                    };
                    send(&broker, &worker, session, None, vec![Work::Start(Box::new(start))]);
                });
            }
        }
    }

    /// Sends again what did not arrive, all of it in one message or nothing.
    pub fn redeliver(
        broker: &Broker,
        worker: WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    ) {
        let broker = broker.clone();
        tokio::spawn(async move {
            let mut complete = Vec::with_capacity(work.len());
            for piece in work {
                complete.push(match piece {
                    Dispatch::Ready(work) => work,
                    Dispatch::ReadInputs { submitted_n, start } => {
                        match with_inputs(&broker, submitted_n.0, *start).await {
                            Some(start) => Work::Start(Box::new(start)),
                            // The worker's next beat asks for all of it again.
                            None => return,
                        }
                    }
                });
            }
            send(&broker, &worker, session, Some(covers), complete);
        });
    }

    /// Sends what was taken on.
    pub fn flush(&mut self, broker: &Broker) {
        for ((worker, session), work) in std::mem::take(&mut self.by_session) {
            let mut message = Vec::new();
            let mut bytes = 0;
            for piece in work {
                let size = OVERHEAD_BYTES + inputs_bytes(&piece);
                if bytes + size > MESSAGE_BYTES_MAX || message.len() >= WORK_MAX {
                    send(broker, &worker, session, None, std::mem::take(&mut message));
                    bytes = 0;
                }
                bytes += size;
                message.push(piece);
            }
            send(broker, &worker, session, None, message);
        }
    }
}

fn inputs_bytes(work: &Work) -> usize {
    match work {
        Work::Start(start) => start.inputs.get().len(),
        Work::Stop(_)
        | Work::Abandon(_)
        | Work::Superseded
        | Work::Joined
        | Work::Refused { .. }
        | Work::Unreadable => 0,
    }
}

fn send(
    broker: &Broker,
    worker: &WorkerId,
    session: SessionId,
    covers: Option<Covers>,
    work: Vec<Work>,
) {
    match serde_json::to_vec(&WorkMessage { session, covers, work }) {
        Ok(payload) => broker.publish_unacked(subject::work(worker), payload.into()),
        Err(error) => tracing::error!(%error, "Cannot serialise work"),
    }
}

/// Reads a job's inputs from the event that submitted it.
async fn with_inputs(broker: &Broker, submitted_n: u64, start: StartWork) -> Option<StartWork> {
    let message = match broker.read_one(subject::EVENTS, submitted_n).await {
        Ok(message) => message?,
        Err(error) => {
            tracing::warn!(%error, job.id = %start.job_id, "Cannot read a job's inputs");
            return None;
        }
    };
    let event: Event = serde_json::from_slice(&message.payload).ok()?;
    let inputs = event.known_facts().find_map(|fact| match fact {
        Fact::Submitted(submitted) => Some(submitted.inputs.clone()),
        _ => None,
    })?;
    Some(StartWork { inputs, ..start })
}
