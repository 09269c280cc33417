//! Commands on their way to the scheduler: packed, published, answered.
//!
//! Everything is decided by two facts. The broker's acknowledgement means that a command will be
//! decided, however long that takes; the scheduler's answer means that it was.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use nox_contract::{Answer, AnswerMessage, Command, Outcome, ProblemCode, TenantId, subject};
use nox_service::crash_point;
use nox_streams::{AnswerInbox, Broker, PublishError, publish::NOBODY_THERE};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, packer::Packer, problem::ApiError};

/// How long an answer is waited for after the command was acknowledged.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How long a message without an acknowledgement is published again and again.
const PUBLISH_WAIT: Duration = Duration::from_secs(6);

/// Pause before publishing again.
const PUBLISH_PAUSE: Duration = Duration::from_millis(50);

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
    /// `repeated` says that it may have been published twice, so that a refusal can be an echo of
    /// its own first copy.
    Answered { outcome: Outcome, repeated: bool },
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

struct Queued {
    tenant: TenantId,
    command: Box<RawValue>,
    until: Until,
    reply: oneshot::Sender<Result<Delivery, Undelivered>>,
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
    /// Starts the task that packs and publishes, which ends with `stop` or the last clone.
    pub fn start(broker: Broker, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        let courier = Courier { inbox: Arc::new(broker.answer_inbox()), broker };
        tokio::spawn(pack(queued, courier, metrics.clone(), stop));
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
            Ok(Delivery::Answered { outcome: Outcome::Accepted(_), .. }) => "accepted",
            Ok(Delivery::Answered { outcome: Outcome::Refused(_), .. }) => "refused",
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

/// Takes commands in and sends messages out, until `stop` and nothing is left.
async fn pack(
    mut queued: mpsc::UnboundedReceiver<Queued>,
    courier: Courier,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
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
            () = stop.cancelled(), if queued.is_empty() && !queued.is_closed() => queued.close(),
        }
        while let Some((tenant, commands)) = packer.take() {
            metrics.packed.observe(commands.len() as f64);
            let flight = Flight { tenant, landed: landed.clone() };
            tokio::spawn(courier.clone().deliver(commands, flight));
        }
    }
}

/// A message in flight; tells the packer when it is no longer.
struct Flight {
    tenant: TenantId,
    landed: mpsc::UnboundedSender<TenantId>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        // An error says that the packer has ended.
        let _ = self.landed.send(self.tenant.clone());
    }
}

/// Carries one message to the broker and its answers back.
#[derive(Clone)]
struct Courier {
    broker: Broker,
    inbox: Arc<AnswerInbox>,
}

/// [`nox_contract::CommandMessage`] over commands that are JSON already.
#[derive(Serialize)]
struct PackedMessage<'a> {
    reply_to: &'a str,
    commands: Vec<&'a RawValue>,
}

impl Courier {
    /// Publishes one message and sees each of its commands to its end.
    async fn deliver(self, commands: Vec<Queued>, flight: Flight) {
        let (reply_to, answer) = self.inbox.next();
        let packed = PackedMessage {
            reply_to: &reply_to,
            commands: commands.iter().map(|queued| &*queued.command).collect(),
        };
        let payload = serde_json::to_vec(&packed).map(Bytes::from);
        let mut waiting = Waiting(commands.into_iter().map(Some).collect());
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => return waiting.fail(&Undelivered::Refused(error.to_string())),
        };

        crash_point("gateway.before_publish");
        let mut answer = std::pin::pin!(answer);
        let published = tokio::select! {
            // An answer proves that the message is stored, whatever became of its acknowledgement.
            biased;
            Ok(answer) = &mut answer => {
                drop(flight);
                return waiting.answered(answer, false);
            }
            published = self.publish(&flight.tenant, payload) => published,
        };
        crash_point("gateway.after_publish");
        drop(flight);
        let repeated = match published {
            Ok(repeated) => repeated,
            Err(error) => return waiting.fail(&error),
        };

        waiting.published(|queued| queued.until == Until::Published);
        match tokio::time::timeout(ANSWER_WAIT, answer).await {
            Ok(Ok(answer)) => waiting.answered(answer, repeated),
            Ok(Err(_)) | Err(_) => waiting.published(|_| true),
        }
    }

    /// Publishes until the broker has acknowledged or refused for good. Says whether the message may
    /// have been stored more than once.
    async fn publish(&self, tenant: &TenantId, payload: Bytes) -> Result<bool, Undelivered> {
        let subject = subject::commands(tenant);
        let mut in_doubt = false;
        let mut why = String::new();
        let tries = async {
            loop {
                let doubted_before = in_doubt;
                in_doubt = true;
                match self.broker.publish(subject.clone(), None, payload.clone()).await {
                    Ok(_) => return Ok(doubted_before),
                    // The link is down or the stream is between two leaders: nothing was sent.
                    Err(PublishError::Refused { code: NOBODY_THERE, description }) => {
                        in_doubt = doubted_before;
                        why = description;
                    }
                    // This copy is not stored, but an earlier one may be.
                    Err(error @ PublishError::Refused { .. }) if doubted_before => {
                        return Err(Undelivered::Unknown(error.to_string()));
                    }
                    Err(error) if error.is_full() => return Err(Undelivered::StreamFull),
                    Err(error @ PublishError::Refused { .. }) => {
                        return Err(Undelivered::Refused(error.to_string()));
                    }
                    Err(PublishError::Unknown(reason)) => why = reason,
                }
                tokio::time::sleep(PUBLISH_PAUSE).await;
            }
        };
        match tokio::time::timeout(PUBLISH_WAIT, tries).await {
            Ok(outcome) => outcome,
            Err(_) if in_doubt => Err(Undelivered::Unknown(why)),
            Err(_) => Err(Undelivered::Refused(why)),
        }
    }
}

/// The commands of one message, each until it is done with. Whoever sent one may have gone.
struct Waiting(Vec<Option<Queued>>);

impl Waiting {
    /// Hands each answer out. A part that is not in there was left to another leader, whose answer
    /// nobody listens for: it will be decided, but is not known to be.
    fn answered(&mut self, message: AnswerMessage, repeated: bool) {
        for Answer { part, outcome } in message.answers {
            if let Some(queued) = self.0.get_mut(part as usize).and_then(Option::take) {
                let _ = queued.reply.send(Ok(Delivery::Answered { outcome, repeated }));
            }
        }
        self.published(|_| true);
    }

    fn published(&mut self, which: impl Fn(&Queued) -> bool) {
        for place in &mut self.0 {
            if let Some(queued) = place.take_if(|queued| which(queued)) {
                let _ = queued.reply.send(Ok(Delivery::Published));
            }
        }
    }

    fn fail(&mut self, why: &Undelivered) {
        for queued in self.0.iter_mut().filter_map(Option::take) {
            let _ = queued.reply.send(Err(why.clone()));
        }
    }
}
