//! Reads a stream from a position on: every message once, in order, through restarts of the broker.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use nox_contract::Incarnation;
use nox_protocol::reader::{ReadError, check_position};

use crate::{
    Broker, ConsumeError, Error, Message,
    pull::{Attachment, Begin, Lost},
};

/// Chunks of up to 1000 messages, in order. Dropping it ends the consumption.
pub type Chunks<E> = BoxStream<'static, Result<Vec<Message>, E>>;

/// Between two tries to attach; doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// From this pause on, failing to attach is worth a warning: the broker is up and still says no.
const RETRY_LOUD: Duration = Duration::from_millis(500);

impl Broker {
    /// Yields the messages of `stream` (on subjects that match `filter`) from `from_seq` on, for ever.
    ///
    /// It attaches when first polled, and again by itself after every disconnect; each time the
    /// stream must be the `expected` one (`None`: the one found first) and reach at least to the
    /// position before `from_seq` and all that was yielded, else the error is yielded and the end
    /// has come. While the broker is away or has no leader it waits. A sequence that jumps means
    /// that limits have removed messages, or that the filter passed over them.
    pub fn consume(
        &self,
        stream: &str,
        filter: Option<String>,
        from_seq: u64,
        expected: Option<Incarnation>,
    ) -> Chunks<ConsumeError> {
        self.chunks(stream, filter, Begin::At(from_seq.max(1)), expected)
    }

    /// Yields what is published to `stream` from now on, for streams in memory.
    ///
    /// An empty chunk says that it has just attached. What is published after the first of these is
    /// yielded; before each later one, something may have been missed. It never ends: a stream that
    /// vanished with its memory, as in every restart of a single server, is declared again.
    pub fn consume_new(&self, stream: &str, filter: Option<String>) -> Chunks<ConsumeError> {
        self.chunks(stream, filter, Begin::New, None)
    }

    fn chunks(
        &self,
        stream: &str,
        filter: Option<String>,
        begin: Begin,
        expected: Option<Incarnation>,
    ) -> Chunks<ConsumeError> {
        let consumption = Consumption {
            broker: self.clone(),
            stream: stream.to_owned(),
            filter,
            begin,
            expected,
            attachment: None,
            last: None,
            pause: RETRY_MIN,
        };
        stream::unfold(Some(consumption), |consumption| async move {
            let mut consumption = consumption?;
            match consumption.next().await {
                Ok(messages) => Some((Ok(messages), Some(consumption))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

struct Consumption {
    broker: Broker,
    stream: String,
    filter: Option<String>,
    /// Where to attach next.
    begin: Begin,
    expected: Option<Incarnation>,
    attachment: Option<Attachment>,
    /// The last message that was yielded, where it counts which one that is.
    last: Option<Message>,
    /// Before the next try, where the last one brought nothing.
    pause: Duration,
}

/// Why a try to attach failed.
enum Failed {
    Stop(ConsumeError),
    Again(String),
}

impl Consumption {
    async fn next(&mut self) -> Result<Vec<Message>, ConsumeError> {
        loop {
            let Some(attachment) = &mut self.attachment else {
                self.attachment = Some(self.attach().await?);
                if self.begin == Begin::New {
                    return Ok(Vec::new());
                }
                continue;
            };
            match attachment.chunk().await {
                Ok(messages) => {
                    self.pause = RETRY_MIN;
                    if let (Begin::At(next), Some(last)) = (&mut self.begin, messages.last()) {
                        *next = last.seq + 1;
                        self.last = Some(last.clone());
                    }
                    return Ok(messages);
                }
                Err(Lost(reason)) => {
                    tracing::debug!(stream = self.stream, reason, "Attaching to a stream again");
                    let brought_nothing = attachment.delivered() == 0;
                    self.attachment = None;
                    if brought_nothing {
                        self.rest().await;
                    }
                }
            }
        }
    }

    async fn rest(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }

    async fn attach(&mut self) -> Result<Attachment, ConsumeError> {
        let mut link = self.broker.link();
        loop {
            // The sender lives as long as the broker that we hold.
            let generation = link.wait_for(|link| link.up).await.map_or(0, |link| link.generation);
            let failed = tokio::select! {
                attached = self.try_attach() => match attached {
                    Ok(attachment) => return Ok(attachment),
                    Err(failed) => failed,
                },
                // The questions were lost with the connection; asking anew is faster than waiting.
                _ = link.wait_for(|link| link.generation != generation) => continue,
            };
            match failed {
                Failed::Stop(error) => return Err(error),
                Failed::Again(reason) if self.pause >= RETRY_LOUD => {
                    tracing::warn!(stream = self.stream, reason, "Cannot attach to a stream");
                }
                Failed::Again(reason) => {
                    tracing::debug!(stream = self.stream, reason, "Cannot attach to a stream yet");
                }
            }
            self.rest().await;
        }
    }

    async fn try_attach(&mut self) -> Result<Attachment, Failed> {
        let again = |error: Error| match error {
            Error::Drift(drift) => Failed::Stop(drift.into()),
            error => Failed::Again(error.to_string()),
        };
        match (self.broker.info(&self.stream).await, self.begin) {
            (Ok(_), Begin::New) => {}
            (Ok(info), Begin::At(next)) => {
                let found = info.incarnation();
                let expected = self.expected.get_or_insert_with(|| found.clone());
                check_position(&expected.0, &found.0, next - 1, info.state.last_seq).map_err(
                    |reason| {
                        let stream = self.stream.clone();
                        Failed::Stop(ConsumeError::Position { stream, reason })
                    },
                )?;
                self.check_last().await?;
            }
            (Err(Error::Missing(_)), Begin::New) => {
                let declared = self.broker.declare_again(&self.stream).await;
                declared.map_err(|error| Failed::Again(error.to_string()))?;
            }
            (Err(error), _) => return Err(again(error)),
        }
        let attached =
            Attachment::new(&self.broker, &self.stream, self.filter.as_deref(), self.begin);
        attached.await.map_err(again)
    }

    /// A stream that lost its end may have grown as long again before anybody looked.
    async fn check_last(&self) -> Result<(), Failed> {
        let Some(last) = &self.last else { return Ok(()) };
        let found = self.broker.read_one(&self.stream, last.seq).await;
        match found.map_err(|error| Failed::Again(error.to_string()))? {
            Some(found) if found.payload != last.payload || found.subject != last.subject => {
                let reason = ReadError::Replaced { position: last.seq };
                let stream = self.stream.clone();
                Err(Failed::Stop(ConsumeError::Position { stream, reason }))
            }
            // What was consumed may have been removed.
            Some(_) | None => Ok(()),
        }
    }
}
