//! Commands on their way to the scheduler, and what becomes of them.
//!
//! Two things are known of a command. The broker's acknowledgement means that it will be decided,
//! however long that takes; the scheduler's answer means that it was.

pub mod admission;
pub mod batch;
pub mod beats;
pub mod packer;
pub mod publisher;
pub mod undecided;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use nox_contract::{Outcome, ProblemCode, TenantId};
use nox_streams::Broker;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    commands::{
        batch::{Asker, Batch, Text},
        packer::Packer,
        publisher::{InFlight, Publisher},
    },
    identity::asking,
    metrics::Metrics,
    problem::ApiError,
};

/// Longest time from a command to what became of it: its turn behind a message that takes all its
/// time, then its own.
const COMMAND_WAIT: Duration = Duration::from_secs(15);

/// Commands in hand, in KiB of memory, each rounded up; more are refused. Enough for 60,000 small
/// ones, and 64 MiB at worst.
const ROOM_KIB: u32 = 64 * 1024;

/// Sends commands. Clones share one queue.
#[derive(Clone)]
pub struct Commands {
    queue: mpsc::UnboundedSender<Batch>,
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// When a command is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The scheduler has answered, or it is clear that it won't in time.
    Answered,
    /// The broker has it.
    Published,
}

/// What became of a command that the broker has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Answered(Outcome),
    /// It will be decided, but was not in time.
    Published,
}

/// Why it is not known that a command will be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Not sent: too much is in hand already.
    #[error("too many commands are in hand")]
    NoRoom,
    /// Not stored: the stream is full.
    #[error("the stream of commands is full")]
    StreamFull,
    /// Not stored: there is no stream, no leader or no connection.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// Perhaps stored.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl From<Undelivered> for ApiError {
    fn from(error: Undelivered) -> Self {
        match error {
            Undelivered::NoRoom => Self::new(ProblemCode::Overloaded, error.to_string()),
            Undelivered::StreamFull => Self::new(ProblemCode::StorageFull, error.to_string()),
            Undelivered::Refused(_) => Self::unavailable("the broker", error),
            Undelivered::Unknown(_) => {
                let detail = "the broker has not said whether it took the request; it may have";
                Self::new(ProblemCode::Unavailable, detail).caused_by(error)
            }
        }
    }
}

impl Commands {
    /// Starts the task that packs and publishes; it ends with the last clone.
    pub fn start(broker: Broker, metrics: Arc<Metrics>) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        let publisher = Publisher::new(broker);
        tokio::spawn(pack(queued, publisher, metrics.clone()));
        Self { queue, room: Arc::new(Semaphore::new(ROOM_KIB as usize)), metrics }
    }

    /// Sends a command and waits for what becomes of it.
    pub async fn send(
        &self,
        tenant: &TenantId,
        command: &impl Serialize,
        until: Until,
    ) -> Result<Delivery, Undelivered> {
        let mut deliveries = self.send_all(tenant, std::slice::from_ref(command), until).await;
        deliveries.pop().unwrap_or_else(|| Err(stopping()))
    }

    /// Sends commands in as few messages as they fit in, and waits for what becomes of each, in their
    /// order.
    pub async fn send_all<C: Serialize>(
        &self,
        tenant: &TenantId,
        commands: &[C],
        until: Until,
    ) -> Vec<Result<Delivery, Undelivered>> {
        let texts = match Text::of(commands, asking::current()) {
            Ok(texts) => texts,
            Err(error) => {
                return vec![Err(Undelivered::Refused(error.to_string())); commands.len()];
            }
        };
        // All are on their way before the first is waited for.
        let sent: Vec<_> = texts.into_iter().map(|text| self.queue(tenant, text, until)).collect();
        let waiting = sent.into_iter().map(async |(count, sent)| (count, delivered(sent).await));
        let mut deliveries = Vec::with_capacity(commands.len());
        for (count, batch) in join_all(waiting).await {
            match batch {
                Ok(batch) => deliveries.extend(batch.into_iter().map(Ok)),
                Err(error) => deliveries.extend(std::iter::repeat_n(Err(error), count)),
            }
        }
        self.count(&deliveries);
        deliveries
    }

    /// Hands a batch to the packer; says how many commands it has.
    fn queue(
        &self,
        tenant: &TenantId,
        text: Text,
        until: Until,
    ) -> (usize, Result<Reply, Undelivered>) {
        let count = text.count;
        let Ok(place) = self.room.clone().try_acquire_many_owned(text.kib) else {
            return (count, Err(Undelivered::NoRoom));
        };
        let (reply, delivery) = oneshot::channel();
        let asker = Asker { until, reply, _place: place };
        let sent = self.queue.send(Batch { tenant: tenant.clone(), text, asker });
        (count, sent.map(|()| delivery).map_err(|_| stopping()))
    }

    fn count(&self, deliveries: &[Result<Delivery, Undelivered>]) {
        let outcome = |delivery: &Result<Delivery, Undelivered>| match delivery {
            Ok(Delivery::Answered(Outcome::Accepted(_))) => "accepted",
            Ok(Delivery::Answered(Outcome::Refused(_))) => "refused",
            Ok(Delivery::Published) => "pending",
            Err(_) => "failed",
        };
        for alike in deliveries.chunk_by(|a, b| outcome(a) == outcome(b)) {
            let counter = self.metrics.commands.with_label_values(&[outcome(&alike[0])]);
            counter.inc_by(alike.len() as u64);
        }
    }
}

/// What became of each command of a batch.
type Reply = oneshot::Receiver<Result<Vec<Delivery>, Undelivered>>;

async fn delivered(sent: Result<Reply, Undelivered>) -> Result<Vec<Delivery>, Undelivered> {
    match tokio::time::timeout(COMMAND_WAIT, sent?).await {
        Ok(reply) => reply.unwrap_or_else(|_| Err(stopping())),
        Err(_) => Err(Undelivered::Unknown("no acknowledgement in time".to_owned())),
    }
}

fn stopping() -> Undelivered {
    Undelivered::Unknown("the gateway is stopping".to_owned())
}

/// Takes batches in and sends messages out, as long as there is anybody to wait for them.
async fn pack(
    mut queued: mpsc::UnboundedReceiver<Batch>,
    publisher: Publisher,
    metrics: Arc<Metrics>,
) {
    let mut packer = Packer::default();
    let (landed, mut landings) = mpsc::unbounded_channel::<TenantId>();
    loop {
        tokio::select! {
            // What has landed first: it makes room for what has come.
            biased;
            Some(tenant) = landings.recv() => packer.landed(tenant),
            batch = queued.recv() => {
                let Some(batch) = batch else { return };
                let mut push = |batch: Batch| {
                    packer.push(batch.tenant.clone(), batch.text.load(), batch);
                };
                push(batch);
                while let Ok(batch) = queued.try_recv() {
                    push(batch);
                }
            }
        }
        while let Some((tenant, batches)) = packer.take() {
            let commands: usize = batches.iter().map(|batch| batch.text.count).sum();
            metrics.packed.observe(commands as f64);
            let in_flight = InFlight::new(tenant, landed.clone());
            tokio::spawn(publisher.clone().deliver(batches, in_flight));
        }
    }
}
