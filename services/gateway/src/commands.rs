//! Commands on their way to the scheduler, and what becomes of them.
//!
//! Two things are known of a command. The broker's acknowledgement means that it will be decided,
//! however long that takes; the scheduler's answer means that it was.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use nox_contract::{Command, Outcome, ProblemCode, TenantId};
use nox_streams::Broker;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    metrics::Metrics,
    packer::Packer,
    problem::ApiError,
    publisher::{InFlight, Publisher},
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
    queue: mpsc::UnboundedSender<Queued>,
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

/// A command in hand.
pub struct Queued {
    pub tenant: TenantId,
    pub command: Box<RawValue>,
    pub until: Until,
    pub reply: oneshot::Sender<Result<Delivery, Undelivered>>,
    _place: OwnedSemaphorePermit,
}

impl From<Undelivered> for ApiError {
    fn from(error: Undelivered) -> Self {
        match error {
            Undelivered::NoRoom => Self::new(ProblemCode::Overloaded, error.to_string()),
            Undelivered::StreamFull => Self::new(ProblemCode::Overloaded, error.to_string())
                .with_status(StatusCode::INSUFFICIENT_STORAGE),
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

    /// Sends `command` and waits for what becomes of it.
    pub async fn send(
        &self,
        tenant: &TenantId,
        command: &Command,
        until: Until,
    ) -> Result<Delivery, Undelivered> {
        let delivery = self.send_uncounted(tenant, command, until).await;
        let outcome = match &delivery {
            Ok(Delivery::Answered(Outcome::Accepted(_))) => "accepted",
            Ok(Delivery::Answered(Outcome::Refused(_))) => "refused",
            Ok(Delivery::Published) => "pending",
            Err(_) => "failed",
        };
        self.metrics.commands.with_label_values(&[outcome]).inc();
        delivery
    }

    async fn send_uncounted(
        &self,
        tenant: &TenantId,
        command: &Command,
        until: Until,
    ) -> Result<Delivery, Undelivered> {
        let command = to_raw_value(command).map_err(|e| Undelivered::Refused(e.to_string()))?;
        let kib = u32::try_from(command.get().len() / 1024 + 1).unwrap_or(u32::MAX);
        let place = self.room.clone().try_acquire_many_owned(kib);
        let place = place.map_err(|_| Undelivered::NoRoom)?;
        let (reply, delivery) = oneshot::channel();
        let queued = Queued { tenant: tenant.clone(), command, until, reply, _place: place };
        let gone = || Undelivered::Unknown("the gateway is stopping".to_owned());
        self.queue.send(queued).map_err(|_| gone())?;
        match tokio::time::timeout(COMMAND_WAIT, delivery).await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Undelivered::Unknown("no acknowledgement in time".to_owned())),
        }
    }
}

/// Takes commands in and sends messages out, as long as there is anybody to wait for them.
async fn pack(
    mut queued: mpsc::UnboundedReceiver<Queued>,
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
            command = queued.recv() => {
                let Some(command) = command else { return };
                packer.push(command.tenant.clone(), command.command.get().len(), command);
                while let Ok(command) = queued.try_recv() {
                    packer.push(command.tenant.clone(), command.command.get().len(), command);
                }
            }
        }
        while let Some((tenant, commands)) = packer.take() {
            metrics.packed.observe(commands.len() as f64);
            let in_flight = InFlight::new(tenant, landed.clone());
            tokio::spawn(publisher.clone().deliver(commands, in_flight));
        }
    }
}
