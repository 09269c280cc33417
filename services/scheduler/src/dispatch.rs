//! Packs work for workers. A delivery, not a fact: what gets lost is handed out again.

use std::collections::BTreeMap;

use nox_archive::Log;
use nox_contract::{
    Covers, JobId, MESSAGE_BYTES_MAX, RawJson, SessionId, Work, WorkMessage, WorkerId, subject,
};
use nox_protocol::leader::Dispatch;
use nox_streams::Broker;
use tokio::sync::mpsc;

use crate::submitted::Submitted;

/// Most pieces of work in one message, so that a long list of small ones stays readable.
const WORK_MAX: usize = 500;
/// What a piece of work needs beside its inputs, in bytes, estimated from above.
const OVERHEAD_BYTES: usize = 700;
/// Flushes whose work waits for its inputs. Beyond that the log cannot be read at the moment, and
/// workers ask again for what did not arrive.
const UNREAD_MAX: usize = 256;

/// Work that may be handed out now.
pub struct Outbox {
    broker: Broker,
    ready: BTreeMap<(WorkerId, SessionId), Vec<Work>>,
    /// Work of which the log has the inputs.
    unread: BTreeMap<(WorkerId, SessionId), Vec<Dispatch>>,
    again: Vec<Parcel>,
    read: mpsc::Sender<Vec<Parcel>>,
}

/// Work for one session, some of it without its inputs.
struct Parcel {
    worker: WorkerId,
    session: SessionId,
    /// On what is handed out again: all of it in one message, or nothing.
    covers: Option<Covers>,
    work: Vec<Dispatch>,
}

impl Outbox {
    /// `log` has the inputs that are not at hand any more.
    pub fn start(broker: Broker, log: Log) -> Self {
        let (read, parcels) = mpsc::channel(UNREAD_MAX);
        // Ends when the outbox has gone and its last work is on its way.
        tokio::spawn(hand_out(broker.clone(), log, parcels));
        let (ready, unread) = (BTreeMap::new(), BTreeMap::new());
        Self { broker, ready, unread, again: Vec::new(), read }
    }

    /// Takes one piece on.
    pub fn push(&mut self, worker: WorkerId, session: SessionId, work: Dispatch) {
        let to = (worker, session);
        match work {
            Dispatch::Ready(work) => self.ready.entry(to).or_default().push(work),
            unread @ Dispatch::ReadInputs { .. } => {
                self.unread.entry(to).or_default().push(unread);
            }
        }
    }

    /// Takes on what is handed out again, because it did not arrive.
    pub fn redeliver(
        &mut self,
        worker: WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    ) {
        self.again.push(Parcel { worker, session, covers: Some(covers), work });
    }

    /// Sends what was taken on: at once, or as soon as its inputs were read.
    pub fn flush(&mut self) {
        for ((worker, session), work) in std::mem::take(&mut self.ready) {
            send_packed(&self.broker, &worker, session, work);
        }
        let mut parcels = std::mem::take(&mut self.again);
        for ((worker, session), work) in std::mem::take(&mut self.unread) {
            parcels.push(Parcel { worker, session, covers: None, work });
        }
        if !parcels.is_empty() && self.read.try_send(parcels).is_err() {
            tracing::warn!("Work is not handed out: the log is not read fast enough");
        }
    }
}

/// Completes parcels one flush after the other, and sends them.
async fn hand_out(broker: Broker, log: Log, mut parcels: mpsc::Receiver<Vec<Parcel>>) {
    let mut submitted = Submitted::default();
    while let Some(parcels) = parcels.recv().await {
        let mut wanted = BTreeMap::<_, Vec<_>>::new();
        for piece in parcels.iter().flat_map(|parcel| &parcel.work) {
            if let Dispatch::ReadInputs { submitted_n, start } = piece {
                wanted.entry(*submitted_n).or_default().push(start.job_id);
            }
        }
        let inputs = submitted.find(&log, &wanted).await;
        for parcel in parcels {
            parcel.send(&broker, &inputs);
        }
    }
}

impl Parcel {
    /// Sends it, as far as its inputs were found: the worker's next beat asks for the rest.
    fn send(self, broker: &Broker, inputs: &BTreeMap<JobId, RawJson>) {
        let Self { worker, session, covers, work } = self;
        let count = work.len();
        let complete: Vec<_> =
            work.into_iter().filter_map(|piece| with_inputs(piece, inputs)).collect();
        match covers {
            None => send_packed(broker, &worker, session, complete),
            Some(_) if complete.len() < count => {}
            Some(covers) => send(broker, &worker, session, Some(covers), complete),
        }
    }
}

fn with_inputs(piece: Dispatch, inputs: &BTreeMap<JobId, RawJson>) -> Option<Work> {
    match piece {
        Dispatch::Ready(work) => Some(work),
        Dispatch::ReadInputs { mut start, .. } => {
            start.inputs = inputs.get(&start.job_id)?.clone();
            Some(Work::Start(start))
        }
    }
}

/// Sends work in as many messages as it needs.
fn send_packed(broker: &Broker, worker: &WorkerId, session: SessionId, work: Vec<Work>) {
    let mut message = Vec::new();
    let mut bytes = 0;
    for piece in work {
        let size = OVERHEAD_BYTES + inputs_bytes(&piece);
        if bytes + size > MESSAGE_BYTES_MAX || message.len() >= WORK_MAX {
            send(broker, worker, session, None, std::mem::take(&mut message));
            bytes = 0;
        }
        bytes += size;
        message.push(piece);
    }
    if !message.is_empty() {
        send(broker, worker, session, None, message);
    }
}

fn inputs_bytes(work: &Work) -> usize {
    match work {
        Work::Start(start) => start.inputs.get().len(),
        Work::Modules(modules) => {
            // What is declared is a part of the whole.
            modules.modules.iter().map(|module| 2 * module.source.get().len()).sum()
        }
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
