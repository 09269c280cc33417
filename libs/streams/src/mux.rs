//! One connection's writes and replies: writes go out in the order of the calls, replies come in
//! through one inbox and are matched by number.
//!
//! The client library's own acknowledgements cost a permit and a future each, and wait for a free
//! place; here a write is one entry in a queue.

mod tasks;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Event, HeaderMap, HeaderValue, message::OutboundMessage};
use bytes::Bytes;
use nox_contract::AnswerMessage;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    denied::Denials,
    publish::{self, Ack, Headers, PublishError},
    waiting::Waiting,
};

/// Writes without a reply at a time. Half of what the client library buffers of their replies, beyond
/// which it drops; at 80,000 writes a second this is nearly half a second.
const IN_FLIGHT_MAX: usize = 32 * 1024;
/// Writes that the connection has not taken yet.
const QUEUE_MAX: usize = 8 * 1024;
/// Bytes that the connection has not taken yet: 80 messages of the largest kind.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The resolution of the bounds below.
const TICK: Duration = Duration::from_millis(250);
/// A write without a reply is `Unknown` after this many ticks: 5 s, longer than a stream's change of
/// leader usually takes and shorter than anybody's patience.
const ACK_TICKS: u64 = 20;
/// A write that was left unanswered says something of the broker for this many ticks: 15 s, in which
/// whoever writes has tried again.
const UNANSWERED_TICKS: u64 = 60;
/// Nobody waits longer than 2 s for an answer; after 30 s its place is given up.
const ANSWER_TICKS: u64 = 120;
/// The broker says at once that nobody listens; what it has not said after 2 s, it does not say.
const NOBODY_TICKS: u64 = 8;

/// The middle token of a reply subject: to a write, an answer, or that nobody listens.
const ACKS: &str = "p";
const ANSWERS: &str = "a";
const NOBODY: &str = "n";

type Outcome = Result<Ack, PublishError>;

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// How often it was lost.
    pub generation: u64,
}

/// Shared between the callers and the three tasks of a connection.
pub(crate) struct Mux {
    /// `_INBOX_<service>.<unique>`; all replies come in below it.
    inbox: String,
    queue: mpsc::Sender<Order>,
    queued_bytes: AtomicUsize,
    state: Mutex<State>,
    /// Writes in a row that were left unanswered in time, and the tick of the last one.
    unanswered: Mutex<(usize, u64)>,
    /// As in `link`, for the writer to read without a lock.
    generation: AtomicU64,
    link: watch::Sender<Link>,
    pub(crate) own: Own,
    pub(crate) denials: watch::Sender<Denials>,
}

/// Who a connection is for.
pub(crate) struct Own {
    /// The name in the broker's permissions.
    pub(crate) user: String,
    /// What all its inboxes begin with.
    pub(crate) inboxes: String,
}

pub(crate) struct State {
    up: bool,
    tick: u64,
    pub(crate) acks: Waiting<Outcome>,
    answers: Waiting<AnswerMessage>,
    nobody: Waiting<()>,
}

/// What of a message's reply is waited for.
enum Reply {
    None,
    /// The acknowledgement.
    Ack(oneshot::Sender<Outcome>),
    /// Whatever comes to this subject.
    To(String),
}

enum Order {
    Send { message: OutboundMessage, generation: u64, token: Option<u64> },
    Flush(oneshot::Sender<()>),
}

/// One message to be written.
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) headers: Headers,
    pub(crate) payload: Bytes,
}

impl Mux {
    /// Takes a connection over: its one inbox, its writes, its events.
    pub(crate) async fn start(
        client: Client,
        own: Own,
        events: mpsc::UnboundedReceiver<Event>,
        stop: tokio_util::sync::CancellationToken,
    ) -> Result<Arc<Self>, async_nats::SubscribeError> {
        let inbox = client.new_inbox();
        let replies = client.subscribe(format!("{inbox}.*.*")).await?;
        let (queue, orders) = mpsc::channel(QUEUE_MAX);
        let mux = Arc::new(Self {
            inbox,
            queue,
            queued_bytes: AtomicUsize::new(0),
            state: Mutex::new(State {
                up: true,
                tick: 0,
                acks: Waiting::new(),
                answers: Waiting::new(),
                nobody: Waiting::new(),
            }),
            unanswered: Mutex::default(),
            generation: AtomicU64::new(0),
            link: watch::Sender::new(Link { up: true, generation: 0 }),
            own,
            denials: watch::Sender::default(),
        });
        let task = |work: futures_util::future::BoxFuture<'static, ()>| {
            let stop = stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(work).await })
        };
        task(Box::pin(tasks::write(mux.clone(), client.clone(), orders)));
        task(Box::pin(tasks::read(mux.clone(), replies)));
        task(Box::pin(tasks::watch_over(mux.clone(), client, events)));
        Ok(mux)
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Writes a message, in the order of the calls, and waits for the reply to it.
    ///
    /// A write that is declared `Unknown` may still be under way: the client library keeps what it
    /// took before a disconnect and sends it afterwards. Whoever writes the log again does so with
    /// the same guards, and these let in one of the two.
    pub(crate) fn publish(
        &self,
        message: Outgoing,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let (reply, outcome) = oneshot::channel();
        if let Err((error, reply)) = self.enqueue(message, Reply::Ack(reply))
            && let Reply::Ack(reply) = reply
        {
            // The receiver is ours.
            let _ = reply.send(Err(error));
        }
        async move {
            outcome.await.unwrap_or_else(|_| Err(PublishError::Unknown("connection closed".into())))
        }
    }

    /// Writes without a reply; dropped where it cannot be sent now.
    pub(crate) fn publish_unacked(&self, message: Outgoing) {
        let subject = message.subject.clone();
        if let Err((error, _)) = self.enqueue(message, Reply::None) {
            tracing::debug!(subject, %error, "Dropped an unacknowledged message");
        }
    }

    /// Writes a message to whoever listens, and tells if the broker says that nobody does; else the sender is
    /// dropped.
    pub(crate) fn send_and_hear_if_nobody(&self, message: Outgoing) -> oneshot::Receiver<()> {
        let (reply, nobody) = oneshot::channel();
        let token = {
            let mut state = self.state();
            let tick = state.tick;
            state.nobody.add(tick, reply)
        };
        let reply_to = format!("{}.{NOBODY}.{token}", self.inbox);
        if self.enqueue(message, Reply::To(reply_to)).is_err() {
            self.state().nobody.take(token);
        }
        nobody
    }

    /// Resolves when everything that was published before has left for the broker.
    pub(crate) async fn flush(&self, client: &Client) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Order::Flush(done)).await.is_ok() && written.await.is_ok() {
            let _ = client.flush().await;
        }
    }

    /// A subject for one answer, and where that answer will arrive.
    pub(crate) fn expect_answer(&self) -> (String, oneshot::Receiver<AnswerMessage>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state();
        let tick = state.tick;
        let token = state.answers.add(tick, reply);
        (format!("{}.{ANSWERS}.{token}", self.inbox), answer)
    }

    fn enqueue(&self, message: Outgoing, reply: Reply) -> Result<(), (PublishError, Reply)> {
        let mut message = match message.outbound() {
            Ok(message) => message,
            Err(error) => return Err((error, reply)),
        };
        let nobody = |text| PublishError::refused(publish::NOBODY_THERE, text);

        // The lock makes the order of tokens, of the queue and of the calls one order.
        let mut state = self.state();
        if !state.up {
            return Err((nobody("not connected"), reply));
        }
        if state.acks.count() >= IN_FLIGHT_MAX {
            return Err((nobody("too many writes await their acknowledgement"), reply));
        }
        let bytes = message.payload.len();
        let fits = self.queued_bytes.load(Ordering::Relaxed) + bytes <= QUEUE_BYTES_MAX;
        let (Ok(place), true) = (self.queue.try_reserve(), fits) else {
            return Err((nobody("too many writes await the connection"), reply));
        };
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let tick = state.tick;
        let mut token = None;
        message.reply = match reply {
            Reply::None => None,
            Reply::To(subject) => Some(subject.into()),
            Reply::Ack(reply) => {
                let added = state.acks.add_about(tick, Some(message.subject.clone()), reply);
                token = Some(added);
                Some(format!("{}.{ACKS}.{added}", self.inbox).into())
            }
        };
        let generation = self.generation.load(Ordering::Relaxed);
        place.send(Order::Send { message, generation, token });
        Ok(())
    }

    fn answer(&self, token: u64, payload: &[u8]) {
        let Some(reply) = self.state().answers.take(token) else { return };
        // That there is an answer proves that what it answers was decided, whatever it says.
        let message = serde_json::from_slice(payload).unwrap_or_else(|error| {
            tracing::warn!(%error, "Unreadable answer");
            AnswerMessage { answers: Vec::new() }
        });
        // Whoever asked may have gone.
        let _ = reply.send(message);
    }

    fn hear_nobody(&self, token: u64) {
        if let Some(reply) = self.state().nobody.take(token) {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    /// How many writes in a row the broker has lately left unanswered, while the connection was up.
    pub(crate) fn unanswered(&self) -> usize {
        let now = self.state().tick;
        let (count, last) = *self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(last) > UNANSWERED_TICKS { 0 } else { count }
    }

    /// Writes that were answered, or that nobody can have answered, do not count.
    fn count_unanswered(&self, lost: usize, tick: u64) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        *unanswered = match lost {
            0 => (0, 0),
            lost => (unanswered.0 + lost, tick),
        };
    }

    fn resolve(&self, token: u64, outcome: Outcome) {
        self.count_unanswered(0, 0);
        if let Some(reply) = self.state().acks.take(token) {
            let _ = reply.send(outcome);
        }
    }

    fn up(&self) {
        let mut state = self.state();
        if !state.up {
            state.up = true;
            self.link.send_modify(|link| link.up = true);
        }
    }

    /// Everything in flight is `Unknown` from now on; what has not left yet, never will.
    fn down(&self) {
        let lost = {
            let mut state = self.state();
            if !state.up {
                return;
            }
            state.up = false;
            self.link
                .send_modify(|link| *link = Link { up: false, generation: link.generation + 1 });
            self.generation.fetch_add(1, Ordering::Relaxed);
            drop(state.nobody.drain());
            state.acks.drain()
        };
        self.count_unanswered(0, 0);
        give_up(lost, "disconnected");
    }

    fn tick(&self) {
        let (lost, tick) = {
            let mut state = self.state();
            state.tick += 1;
            let (ack, answer) =
                (state.tick - state.tick.min(ACK_TICKS), state.tick - state.tick.min(ANSWER_TICKS));
            state.answers.expire(answer);
            let nobody = state.tick - state.tick.min(NOBODY_TICKS);
            state.nobody.expire(nobody);
            (state.acks.expire(ack), state.tick)
        };
        if !lost.is_empty() {
            self.count_unanswered(lost.len(), tick);
        }
        give_up(lost, "no acknowledgement in time");
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and nothing is half done between two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_up(lost: Vec<oneshot::Sender<Outcome>>, why: &str) {
    for reply in lost {
        let _ = reply.send(Err(PublishError::Unknown(why.to_owned())));
    }
}

impl Outgoing {
    fn outbound(self) -> Result<OutboundMessage, PublishError> {
        let malformed = |text| PublishError::refused(publish::MALFORMED, text);
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let value: HeaderValue =
                value.parse().map_err(|_| malformed(format!("header {name} has a line break")))?;
            headers.insert(name, value);
        }
        Ok(OutboundMessage {
            subject: self.subject.into(),
            reply: None,
            payload: self.payload,
            headers: (!headers.is_empty()).then_some(headers),
        })
    }
}
