//! One way to follow the log: archive and stream as one, verified, from any place on, for ever.
//!
//! Whatever follows it goes this way: it begins behind a place that it keeps itself (a checkpoint, the end of the
//! log when it came, what a client had last), is told every message after that once and in order, and stops
//! loudly where the log is not the one that was read. There is no consumer at the broker, and nothing to
//! register or to acknowledge. Who needs all of every frame reads with a [`Reader`], who wants few entries with a
//! [`HeadReader`], and parses those.

use futures_util::{StreamExt, stream::BoxStream};
use nox_contract::{Chain, FrameHead, FrameNumber};
use nox_protocol::{HeadReader, ReadError, Reader, Record};
use nox_streams::Message;

use crate::{Log, LogError};

/// What checks that a message follows the one before, and reads what it says.
pub trait Verifier {
    type Said;

    /// The last message that was read.
    fn n(&self) -> FrameNumber;

    /// # Errors
    /// The message does not follow.
    fn verify(&mut self, message: &Message) -> Result<Self::Said, ReadError>;
}

impl Verifier for Reader {
    /// With the chain behind it.
    type Said = (Record, Chain);

    fn n(&self) -> FrameNumber {
        Self::n(self)
    }

    fn verify(&mut self, message: &Message) -> Result<Self::Said, ReadError> {
        let record = self.read(&message.subject, &message.payload)?;
        Ok((record, self.chain()))
    }
}

impl Verifier for HeadReader {
    /// `None` of the record of a term.
    type Said = Option<FrameHead>;

    fn n(&self) -> FrameNumber {
        Self::n(self)
    }

    fn verify(&mut self, message: &Message) -> Result<Self::Said, ReadError> {
        self.read(&message.subject, &message.payload)
    }
}

/// A message that follows the ones before it.
#[derive(Debug, Clone)]
pub struct Followed<T> {
    pub n: FrameNumber,
    pub message: Message,
    pub said: T,
}

/// Why the log is followed no further.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FollowError {
    #[error("the log cannot be followed")]
    Log(#[from] LogError),
    #[error("the log is broken")]
    Broken(#[from] ReadError),
    #[error("the log ended")]
    Ended,
}

/// See the head of this file.
pub struct Follower<V> {
    chunks: BoxStream<'static, Result<Vec<Message>, LogError>>,
    verifier: V,
}

impl<V: Verifier> Follower<V> {
    /// Goes on behind what `verifier` has read.
    pub fn new(log: &Log, verifier: V) -> Self {
        Self { chunks: log.follow(verifier.n().next()), verifier }
    }

    /// The next messages, at least one: waits for them, and while the broker or the archive is away. Nothing is
    /// lost if this is dropped before it resolves.
    ///
    /// # Errors
    /// There is nothing behind an error. Messages that came before one in the same chunk are not told.
    pub async fn next(&mut self) -> Result<Vec<Followed<V::Said>>, FollowError> {
        let messages = self.chunks.next().await.ok_or(FollowError::Ended)??;
        let mut followed = Vec::with_capacity(messages.len());
        for message in messages {
            let said = self.verifier.verify(&message)?;
            followed.push(Followed { n: self.verifier.n(), message, said });
        }
        Ok(followed)
    }
}
