//! Archive and stream as one log.
//!
//! The stream is asked first. Where it was cut, the archive has what it lacks, up to the archive's end;
//! from there on the stream is asked again. Records of terms outlive the cut, so messages may stand in
//! the stream before the gap: what follows what is told by the numbers alone.

use std::time::Duration;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use nox_contract::{Chain, FrameHead, FrameNumber, Incarnation, subject};
use nox_streams::{Broker, Chunks, ConsumeError, Error, Message};

use crate::{Archive, ArchiveError, LogArchive, LogError};

/// Records of epochs that stand before a place and that are gone back over to find the chain there: as many takeovers,
/// with no frame between them.
const EPOCHS_MAX: usize = 100;

/// No message for this long: it is looked whether the stream was cut to its end.
const QUIET: Duration = Duration::from_secs(2);

/// No message for this long while there must be one: the broker is not well.
const STALLED: Duration = Duration::from_secs(30);

/// Between two tries while the archive is away; doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The whole log in one life of its stream. Clones share connection and archive.
#[derive(Debug, Clone)]
pub struct Log {
    broker: Broker,
    incarnation: Incarnation,
    archive: Option<LogArchive>,
}

impl Log {
    /// The log that the stream was in this life; without an archive, what the stream has of it.
    pub fn new(broker: Broker, incarnation: Incarnation, archive: Option<&Archive>) -> Self {
        let archive = archive.map(|archive| archive.log(&incarnation));
        Self { broker, incarnation, archive }
    }

    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    pub fn archive(&self) -> Option<&LogArchive> {
        self.archive.as_ref()
    }

    /// Message `n`; `None` if the log has not come to it.
    ///
    /// # Errors
    /// [`LogError::Missing`] if the log is longer and nobody has that message.
    pub async fn frame(&self, n: FrameNumber) -> Result<Option<Message>, LogError> {
        // Which the broker would take for a question about nothing.
        if n.0 == 0 {
            return Ok(None);
        }
        if let Some(message) = self.broker.read_direct(subject::EVENTS, n.0).await? {
            return Ok(Some(message));
        }
        if let Some(archive) = &self.archive
            && let Some(message) = archive.frame(n).await?
        {
            return Ok(Some(message));
        }
        // A replica may be behind, so that the stream's leader has the last word.
        match self.broker.read_one(subject::EVENTS, n.0).await? {
            Some(message) => Ok(Some(message)),
            None if self.broker.last_sequence(subject::EVENTS).await? < n.0 => Ok(None),
            None => Err(self.missing(n)),
        }
    }

    /// Message `n` from the archive alone: all that there is of a log whose stream was lost.
    ///
    /// # Errors
    /// [`LogError::Missing`] if it is not there.
    pub async fn archived(&self, n: FrameNumber) -> Result<Message, LogError> {
        let message = match &self.archive {
            Some(archive) => archive.frame(n).await?,
            None => None,
        };
        message.ok_or_else(|| self.missing(n))
    }

    /// The chain behind message `n`, as the log itself has it: a frame names the chain before it, and the record of an
    /// epoch follows a frame sooner or later. `None` if nobody can tell. Where the stream is gone, the archive says it.
    pub async fn chain_at(
        &self,
        n: FrameNumber,
        has_stream: bool,
    ) -> Result<Option<Chain>, LogError> {
        let mut payloads = Vec::new();
        let mut before = (n.0 <= EPOCHS_MAX as u64).then_some(Chain::START);
        for n in (1..=n.0).rev().map(FrameNumber).take(EPOCHS_MAX) {
            let message = match has_stream {
                true => self.frame(n).await?,
                false => Some(self.archived(n).await?),
            };
            let Some(message) = message else { return Ok(None) };
            payloads.push(message.payload);
            if message.subject != subject::EPOCH {
                let head = payloads.last().and_then(|payload| FrameHead::read(payload).ok());
                before = head.and_then(|head| Chain::parse(&head.prev));
                break;
            }
        }
        Ok(before.map(|chain| payloads.iter().rev().fold(chain, |chain, next| chain.extend(next))))
    }

    /// Reads from `from` up to and including `to`, which must exist, in chunks; then it ends.
    pub fn read(
        &self,
        from: FrameNumber,
        to: FrameNumber,
    ) -> BoxStream<'static, Result<Vec<Message>, LogError>> {
        if from > to {
            return stream::empty().boxed();
        }
        self.joined(from, Some(to))
    }

    /// Yields messages from `from` on, for ever, in chunks, with the checks of [`Broker::follow`]. While
    /// the broker or the archive is away it waits.
    pub fn follow(&self, from: FrameNumber) -> BoxStream<'static, Result<Vec<Message>, LogError>> {
        self.joined(from, None)
    }

    fn joined(
        &self,
        from: FrameNumber,
        to: Option<FrameNumber>,
    ) -> BoxStream<'static, Result<Vec<Message>, LogError>> {
        let next = FrameNumber(from.0.max(1));
        let joined = Joined {
            log: self.clone(),
            next,
            to,
            source: None,
            pause: RETRY_MIN,
            quiet: Duration::ZERO,
        };
        stream::unfold(Some(joined), |joined| async move {
            let mut joined = joined?;
            match joined.chunk().await {
                Ok(Some(messages)) => Some((Ok(messages), Some(joined))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    fn missing(&self, n: FrameNumber) -> LogError {
        let archive = self.archive.as_ref().map(|archive| archive.location().to_owned());
        LogError::Missing { n, archive }
    }
}

enum Source {
    Stream(Chunks<ConsumeError>),
    Archive { chunks: BoxStream<'static, Result<Vec<Message>, ArchiveError>>, began: FrameNumber },
}

struct Joined {
    log: Log,
    next: FrameNumber,
    to: Option<FrameNumber>,
    source: Option<Source>,
    /// Before the archive is asked again.
    pause: Duration,
    /// Since the stream brought something.
    quiet: Duration,
}

impl Joined {
    async fn chunk(&mut self) -> Result<Option<Vec<Message>>, LogError> {
        loop {
            if self.to.is_some_and(|to| self.next > to) {
                return Ok(None);
            }
            let messages = match &mut self.source {
                None => {
                    let (next, expected) = (self.next.0, Some(self.log.incarnation.clone()));
                    let chunks = self.log.broker.follow(subject::EVENTS, next, expected);
                    self.source = Some(Source::Stream(chunks));
                    continue;
                }
                Some(Source::Stream(chunks)) => {
                    let next = tokio::time::timeout(QUIET, chunks.next());
                    match next.await {
                        Ok(Some(Ok(messages))) => messages,
                        Ok(Some(Err(ConsumeError::Gap { .. }))) => {
                            self.turn_to_archive()?;
                            continue;
                        }
                        Ok(Some(Err(error))) => return Err(error.into()),
                        Ok(None) => return Ok(None),
                        Err(_) => {
                            if self.is_cut_to_its_end().await? {
                                self.turn_to_archive()?;
                            }
                            continue;
                        }
                    }
                }
                Some(Source::Archive { chunks, began }) => match chunks.next().await {
                    Some(Ok(messages)) => messages,
                    Some(Err(error)) => {
                        self.wait_for_archive(error).await?;
                        continue;
                    }
                    // Whatever is still missing is nowhere.
                    None if *began == self.next => return Err(self.log.missing(self.next)),
                    None => {
                        self.source = None;
                        continue;
                    }
                },
            };
            if let Some(messages) = self.take(messages) {
                return Ok(Some(messages));
            }
        }
    }

    /// Up to and including the last message that was asked for; `None` if that leaves none.
    fn take(&mut self, mut messages: Vec<Message>) -> Option<Vec<Message>> {
        let to = self.to.map_or(u64::MAX, |to| to.0);
        messages.retain(|message| (self.next.0..=to).contains(&message.seq));
        self.next = FrameNumber(messages.last()?.seq).next();
        (self.pause, self.quiet) = (RETRY_MIN, Duration::ZERO);
        Some(messages)
    }

    fn turn_to_archive(&mut self) -> Result<(), LogError> {
        let archive = self.log.archive.as_ref().ok_or_else(|| self.log.missing(self.next))?;
        tracing::debug!(frame.n = self.next.0, "Reading the log from the archive");
        let (chunks, began) = (archive.read(self.next), self.next);
        self.source = Some(Source::Archive { chunks, began });
        Ok(())
    }

    /// Where there is time, an archive that is away is waited for.
    async fn wait_for_archive(&mut self, error: ArchiveError) -> Result<(), LogError> {
        if self.to.is_some() || !matches!(error, ArchiveError::Unavailable { .. }) {
            return Err(error.into());
        }
        tracing::warn!(%error, "Cannot read the log's archive");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_MAX);
        self.turn_to_archive()
    }

    /// Whether what comes next was removed, and nothing came after it that would say so.
    async fn is_cut_to_its_end(&mut self) -> Result<bool, LogError> {
        self.quiet += QUIET;
        let broker = &self.log.broker;
        let cut = async {
            let ends = broker.last_sequence(subject::EVENTS).await? >= self.next.0;
            Ok::<_, Error>(ends && broker.read_one(subject::EVENTS, self.next.0).await?.is_none())
        };
        match cut.await {
            Ok(cut) if cut || self.to.is_none() || self.quiet < STALLED => Ok(cut),
            // For ever, the one who follows waits as long as the broker is away.
            Err(_) if self.to.is_none() || self.quiet < STALLED => Ok(false),
            Ok(_) => {
                Err(Error::Unavailable(format!("no message of the log within {STALLED:?}")).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
