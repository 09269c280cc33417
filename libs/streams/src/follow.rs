//! Follows the log without a consumer: by sequence, and woken by what is republished.
//!
//! Only the scheduler may make consumers, for whoever makes one also says where its messages go. A
//! reader needs none: it asks for what comes after its position, and the headers of each new message, which
//! the broker repeats on `live.>`, tell it when to ask again.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use nox_contract::Incarnation;
use nox_protocol::reader::{ReadError, check_position};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Broker, Chunks, ConsumeError, Error, Message,
    direct::{DirectGet, Stored},
};

/// Messages asked for at a time.
const CHUNK: usize = 1000;
/// Bytes asked for at a time, so that a chunk fits into memory whatever was written.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// How long to wait for a wake-up before looking all the same: one may get lost.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the stream itself is looked at while nothing comes: it may have been made anew while the
/// connection lasted.
const CHECK_EVERY: u32 = 8;
/// Between two tries while the broker is away or has no leader; doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// From this pause on, failing to read is worth a warning.
const RETRY_LOUD: Duration = Duration::from_millis(500);
/// Where the broker repeats the headers of what is stored in the log.
const LIVE: &str = "live.>";

impl Broker {
    /// Yields the messages of `stream` from `from_seq` on, for ever: chunks of up to 1000 messages, in
    /// order.
    ///
    /// As [`consume`](Self::consume), and with the same checks at every reconnect, for those who may
    /// make no consumer: it reads from any replica, and looks again when something is republished. No
    /// sequence jumps: where messages were removed it ends with [`ConsumeError::Gap`].
    pub fn follow(
        &self,
        stream: &str,
        from_seq: u64,
        expected: Option<Incarnation>,
    ) -> Chunks<ConsumeError> {
        let following = Following {
            broker: self.clone(),
            stream: stream.to_owned(),
            next: from_seq.max(1),
            expected,
            last: None,
            checked: None,
            quiet: 0,
            wake: None,
            pause: RETRY_MIN,
        };
        stream::unfold(Some(following), |following| async move {
            let mut following = following?;
            match following.chunk().await {
                Ok(messages) => Some((Ok(messages), Some(following))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

struct Following {
    broker: Broker,
    stream: String,
    next: u64,
    expected: Option<Incarnation>,
    /// The last message that was yielded.
    last: Option<Message>,
    /// The connection in which the stream was found to be the one that was read before.
    checked: Option<u64>,
    /// Looks that brought nothing since the stream itself was looked at.
    quiet: u32,
    wake: Option<Wake>,
    /// Before the next try, where the last one failed.
    pause: Duration,
}

/// Counts what is republished, and keeps nothing of it.
struct Wake {
    count: watch::Receiver<u64>,
    _task: AbortOnDropHandle<()>,
}

enum Failed {
    Stop(ConsumeError),
    Again(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::Drift(drift) => Self::Stop(drift.into()),
            error => Self::Again(error.to_string()),
        }
    }
}

impl Following {
    async fn chunk(&mut self) -> Result<Vec<Message>, ConsumeError> {
        let mut link = self.broker.link();
        loop {
            // The sender lives as long as the broker that we hold.
            let generation = link.wait_for(|link| link.up).await.map_or(0, |link| link.generation);
            match self.look(generation).await {
                Ok(messages) if !messages.is_empty() => {
                    self.pause = RETRY_MIN;
                    self.quiet = 0;
                    if let Some(last) = messages.last() {
                        self.next = last.seq + 1;
                        self.last = Some(last.clone());
                    }
                    return Ok(messages);
                }
                Ok(_) => {
                    self.pause = RETRY_MIN;
                    self.rest().await;
                }
                Err(Failed::Stop(error)) => return Err(error),
                Err(Failed::Again(reason)) => {
                    if self.pause >= RETRY_LOUD {
                        tracing::warn!(stream = self.stream, reason, "Cannot follow a stream");
                    }
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// What is there after the position.
    async fn look(&mut self, generation: u64) -> Result<Vec<Message>, Failed> {
        if self.checked != Some(generation) || self.quiet >= CHECK_EVERY {
            self.check().await?;
            self.checked = Some(generation);
            self.quiet = 0;
        }
        // Heard from before the first look, so that nothing is stored between the two unheard.
        if self.wake.is_none() {
            self.wake = Some(Wake::begin(&self.broker).await?);
        }
        if let Some(wake) = &mut self.wake {
            wake.count.mark_unchanged();
        }
        let asked = DirectGet {
            stream: &self.stream,
            subject: None,
            seq: self.next,
            messages_max: CHUNK,
            bytes_max: CHUNK_BYTES,
        };
        let (replies, _) = self.broker.direct_get(asked).await?;
        let mut messages: Vec<_> =
            replies.iter().filter_map(Stored::of).map(|stored| stored.message).collect();
        let follow = messages.iter().zip(self.next..).take_while(|(m, seq)| m.seq == *seq).count();
        if follow == 0
            && let Some(first) = messages.first()
        {
            let (stream, from, next) = (self.stream.clone(), self.next, first.seq);
            return Err(Failed::Stop(ConsumeError::Gap { stream, from, next }));
        }
        messages.truncate(follow);
        Ok(messages)
    }

    /// Whether the stream is the one that was read before, as far as it was read.
    async fn check(&mut self) -> Result<(), Failed> {
        let info = self.broker.info(&self.stream).await?;
        let found = info.incarnation();
        let expected = self.expected.get_or_insert_with(|| found.clone());
        let position = |reason| {
            let stream = self.stream.clone();
            Failed::Stop(ConsumeError::Position { stream, reason })
        };
        check_position(&expected.0, &found.0, self.next - 1, info.state.last_seq)
            .map_err(position)?;
        // A stream that lost its end may have grown as long again before anybody looked.
        let Some(last) = &self.last else { return Ok(()) };
        match self.broker.read_one(&self.stream, last.seq).await? {
            Some(found) if found.payload != last.payload || found.subject != last.subject => {
                Err(position(ReadError::Replaced { position: last.seq }))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until there may be something new.
    async fn rest(&mut self) {
        self.quiet += 1;
        let Some(wake) = &mut self.wake else { return };
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, wake.count.changed()).await {
            self.wake = None;
        }
    }
}

impl Wake {
    async fn begin(broker: &Broker) -> Result<Self, Error> {
        // The server knows of it before the first look is made.
        let mut heard = broker.subscribe(LIVE.to_owned()).await?;
        let (counter, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            while heard.next().await.is_some() {
                counter.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, _task: AbortOnDropHandle::new(task) })
    }
}
