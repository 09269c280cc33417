//! Hands what attempts print to the broker: again and again, until it is stored or nobody waits for it
//! any more.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use nox_contract::StartWork;
use nox_service::Clock;
use nox_streams::{Broker, LogPiece, LogStream, PublishError};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    log_buffer::{Lane, LogBuffer, Sent},
    manifest::Stream,
    metrics::Metrics,
};

/// Pieces on their way to the broker.
const IN_FLIGHT_MAX: usize = 64;

/// After a piece was refused: first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Between two looks at what need not be kept any longer.
const TICK: Duration = Duration::from_secs(1);

/// How long the end of an attempt waits for its log to be stored, so that whoever sees the end sees
/// the log as well. A broker that is away takes no report of the end either.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// What attempts print, on its way to the broker. All copies are one.
#[derive(Debug, Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<LogBuffer>,
    /// There is more to send.
    more: Notify,
    /// Something was stored.
    stored: Notify,
    metrics: Metrics,
}

/// The log of one attempt; when this is dropped, it is at its end.
#[derive(Debug)]
pub struct AttemptLog {
    logs: Logs,
    lane: Lane,
}

impl Logs {
    pub fn new(metrics: Metrics) -> Self {
        let shared = Shared {
            buffer: Mutex::default(),
            more: Notify::new(),
            stored: Notify::new(),
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    pub fn open(&self, start: &StartWork) -> AttemptLog {
        AttemptLog { logs: self.clone(), lane: self.buffer().open(start) }
    }

    /// What is to be sent next; whoever takes it says what became of it.
    pub fn next_piece(&self) -> Option<Sent> {
        self.buffer().next_piece()
    }

    pub fn stored(&self, sent: &Sent, now: Duration) {
        let stored = self.buffer().stored(sent, now);
        self.shared.metrics.log_bytes.inc_by(stored);
        self.shared.stored.notify_waiters();
    }

    /// Resolves when there may be more to send.
    pub async fn more(&self) {
        self.shared.more.notified().await;
    }

    fn failed(&self, sent: &Sent, error: &PublishError) {
        let lost = self.buffer().failed(sent, error.is_hopeless());
        self.shared.metrics.log_bytes_lost.inc_by(lost);
        tracing::debug!(%error, lost, "A piece of a log is not stored");
    }

    fn buffer(&self) -> MutexGuard<'_, LogBuffer> {
        // Nothing panics while it holds the lock.
        self.shared.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptLog {
    /// Takes what was printed, if there is room for it.
    pub fn add(&self, stream: Stream, bytes: Bytes) {
        let lost = self.logs.buffer().add(self.lane, stream, bytes);
        self.logs.shared.metrics.log_bytes_lost.inc_by(lost);
        self.logs.shared.more.notify_one();
    }

    /// Takes a word of the executor's own.
    pub fn note(&self, stream: Stream, text: String) {
        self.logs.buffer().note(self.lane, stream, text);
        self.logs.shared.more.notify_one();
    }

    /// Says how much of a stream is not kept, right before what is taken next.
    pub fn skip(&self, stream: Stream, bytes: u64) {
        self.logs.buffer().skip(self.lane, stream, bytes);
    }

    /// Says that all of a stream was read.
    pub fn end(&self, stream: Stream) {
        self.logs.buffer().end(self.lane, stream);
        self.logs.shared.more.notify_one();
    }

    /// Waits until all of it is stored, but not for long; returns how many bytes are lost.
    pub async fn until_stored(&self) -> u64 {
        let stored = async {
            loop {
                let changed = self.logs.shared.stored.notified();
                if self.logs.buffer().is_stored(self.lane) {
                    return;
                }
                changed.await;
            }
        };
        // What is not stored by then still will be.
        let _ = timeout(STORED_WITHIN, stored).await;
        self.logs.buffer().lost(self.lane)
    }
}

impl Drop for AttemptLog {
    fn drop(&mut self) {
        self.logs.buffer().close(self.lane);
        self.logs.shared.more.notify_one();
    }
}

/// Writes until `end`, and then all that is still there; whoever has no time for that counts the rest
/// as lost.
pub async fn run(broker: Broker, logs: Logs, clock: Clock, end: CancellationToken) {
    let mut link = broker.link();
    let mut in_flight = FuturesUnordered::new();
    let mut backoff = Duration::ZERO;
    let mut pause = pin!(sleep(backoff));
    let mut ticks = tokio::time::interval(TICK);
    let mut generation = link.borrow_and_update().generation;
    loop {
        if generation != link.borrow().generation {
            generation = link.borrow().generation;
            logs.buffer().rewind();
        }
        let may_send = link.borrow().up && pause.is_elapsed();
        while may_send && in_flight.len() < IN_FLIGHT_MAX {
            let Some(sent) = logs.next_piece() else { break };
            let written = append(&broker, &sent);
            in_flight.push(async move { (sent, written.await) });
        }
        if end.is_cancelled() && logs.buffer().is_idle() {
            return;
        }
        tokio::select! {
            Some((sent, written)) = in_flight.next() => match written {
                Ok(_) => {
                    backoff = Duration::ZERO;
                    logs.stored(&sent, clock.monotonic());
                }
                Err(error) => {
                    backoff = (backoff * 2).clamp(RETRY_MIN, RETRY_MAX);
                    pause.set(sleep(backoff));
                    logs.failed(&sent, &error);
                }
            },
            () = &mut pause, if !pause.is_elapsed() => {}
            () = logs.more() => {}
            _ = link.changed() => {}
            _ = ticks.tick() => logs.buffer().tick(clock.monotonic()),
            () = end.cancelled(), if !end.is_cancelled() => {}
        }
    }
}

impl Logs {
    /// Gives up what is not stored.
    pub fn give_up(&self) {
        let lost = self.buffer().waiting();
        if lost > 0 {
            self.shared.metrics.log_bytes_lost.inc_by(lost);
            tracing::warn!(
                bytes = lost,
                "Ends of logs are lost: the broker did not take them in time"
            );
        }
    }
}

fn append(broker: &Broker, sent: &Sent) -> impl Future<Output = Result<u64, PublishError>> + use<> {
    let (job, attempt) = sent.lane;
    let piece = LogPiece {
        attempt,
        number: sent.number,
        stream: match sent.piece.stream {
            Stream::Stdout => LogStream::Stdout,
            Stream::Stderr => LogStream::Stderr,
        },
        offset: sent.piece.offset,
        length: sent.piece.length,
        missing: sent.piece.missing,
        end: sent.piece.end,
    };
    broker.append_log(&sent.tenant, job, piece, sent.piece.bytes.clone())
}
