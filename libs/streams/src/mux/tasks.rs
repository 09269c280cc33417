//! The three tasks of a connection: what is written to it, what is read from it, what happens to it.

use std::sync::{Arc, atomic::Ordering};

use async_nats::{
    Client, Event, StatusCode, Subscriber, client::traits::Publisher as _,
    connection::State as ClientState,
};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{ACKS, ANSWERS, Mux, NOBODY, Order, TICK};
use crate::{
    denied::Denied,
    publish::{self, PublishError},
};

/// How many the writer takes from the queue at a time.
const WRITE_CHUNK: usize = 64;
/// How many replies are matched under one lock.
const REPLY_CHUNK: usize = 256;

pub(super) async fn write(mux: Arc<Mux>, client: Client, mut orders: mpsc::Receiver<Order>) {
    let mut chunk = Vec::with_capacity(WRITE_CHUNK);
    while orders.recv_many(&mut chunk, WRITE_CHUNK).await > 0 {
        for order in chunk.drain(..) {
            match order {
                Order::Send { message, generation, token } => {
                    mux.queued_bytes.fetch_sub(message.payload.len(), Ordering::Relaxed);
                    // Declared lost with its connection: not sent after all.
                    if generation != mux.generation.load(Ordering::Relaxed) {
                        continue;
                    }
                    if let (Err(error), Some(token)) =
                        (client.publish_message(message).await, token)
                    {
                        mux.resolve(token, Err(not_sent(&error)));
                    }
                }
                // Whoever waited may have gone.
                Order::Flush(done) => drop(done.send(())),
            }
        }
    }
}

/// The client library refuses before it sends anything.
fn not_sent(error: &async_nats::PublishError) -> PublishError {
    use async_nats::PublishErrorKind as Kind;

    let code = match error.kind() {
        Kind::MaxPayloadExceeded => publish::TOO_LARGE,
        Kind::InvalidSubject => publish::MALFORMED,
        Kind::Send => publish::NOBODY_THERE,
    };
    PublishError::refused(code, error.to_string())
}

pub(super) async fn read(mux: Arc<Mux>, replies: Subscriber) {
    let mut chunks = replies.ready_chunks(REPLY_CHUNK);
    while let Some(chunk) = chunks.next().await {
        for message in chunk {
            let mut tokens = message.subject.as_str().rsplit('.');
            let (Some(token), Some(kind)) = (tokens.next(), tokens.next()) else { continue };
            let Ok(token) = token.parse() else { continue };
            match kind {
                ACKS => {
                    let status = message.status.map(|status| status.as_u16());
                    mux.resolve(token, publish::outcome(status, &message.payload));
                }
                ANSWERS => mux.answer(token, &message.payload),
                // Who listens might answer as well.
                NOBODY if message.status == Some(StatusCode::NO_RESPONDERS) => {
                    mux.hear_nobody(token);
                }
                _ => {}
            }
        }
    }
}

pub(super) async fn watch_over(
    mux: Arc<Mux>,
    client: Client,
    mut events: mpsc::UnboundedReceiver<Event>,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Connected) => mux.up(),
                Some(Event::Disconnected | Event::Closed) => mux.down(),
                Some(Event::ServerError(error)) => {
                    match Denied::read(&mux.own.user, &error.to_string()) {
                        Some(denied) => mux.complain(denied),
                        None => tracing::error!(%error, "The broker complains"),
                    }
                }
                Some(event @ Event::SlowConsumer(_)) => tracing::warn!(%event, "Messages dropped"),
                Some(event) => tracing::debug!(%event, "Connection event"),
                None => return,
            },
            _ = ticks.tick() => {
                mux.tick();
                // The library drops events when too many come at once.
                match client.connection_state() {
                    ClientState::Connected => mux.up(),
                    ClientState::Disconnected => mux.down(),
                    ClientState::Pending => {}
                }
            }
        }
    }
}
