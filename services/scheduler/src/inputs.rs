//! What is read of an input stream and not decided yet, handed out in shares: however much one of them
//! brings, the other has its part of every turn.

use std::collections::VecDeque;

use futures_util::{FutureExt, StreamExt};
use nox_contract::Source;
use nox_streams::{Chunks, ConsumeError, Message};

/// What one stream has of a turn, in bytes: about what fills a frame. One message may be larger.
const SHARE_BYTES: usize = 256 * 1024;
/// The same in messages, so that answers to many small ones do not wait for long.
const SHARE_MESSAGES: usize = 256;

/// An input stream.
pub struct Inputs {
    pub src: Source,
    stream: Chunks<ConsumeError>,
    waiting: VecDeque<Message>,
    /// Why it cannot be read on, found behind messages that still count.
    failed: Option<ConsumeError>,
}

impl Inputs {
    pub fn new(src: Source, stream: Chunks<ConsumeError>) -> Self {
        Self { src, stream, waiting: VecDeque::new(), failed: None }
    }

    /// Resolves when there is something to decide. Cancelling loses nothing.
    ///
    /// # Errors
    /// There is nothing more, and never will be.
    pub async fn ready(&mut self) -> Result<(), ConsumeError> {
        while self.waiting.is_empty() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            match self.stream.next().await {
                Some(chunk) => self.waiting.extend(chunk?),
                None => std::future::pending().await,
            }
        }
        Ok(())
    }

    /// This stream's share of a turn: of what was read, and of whatever else has arrived already.
    pub fn share(&mut self) -> Vec<Message> {
        let mut share = Vec::new();
        let mut bytes = 0;
        while share.len() < SHARE_MESSAGES && bytes < SHARE_BYTES {
            if self.waiting.is_empty() {
                self.read_arrived();
            }
            let Some(message) = self.waiting.pop_front() else { break };
            bytes += message.payload.len();
            share.push(message);
        }
        share
    }

    fn read_arrived(&mut self) {
        if self.failed.is_some() {
            return;
        }
        match self.stream.next().now_or_never() {
            Some(Some(Ok(chunk))) => self.waiting.extend(chunk),
            Some(Some(Err(error))) => self.failed = Some(error),
            Some(None) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use nox_streams::Drift;

    use super::*;

    fn message(seq: u64, bytes: usize) -> Message {
        Message { seq, subject: "nox.cmd.t".to_owned(), payload: vec![b'x'; bytes].into() }
    }

    fn inputs(chunks: Vec<Result<Vec<Message>, ConsumeError>>) -> Inputs {
        Inputs::new(Source::Commands, stream::iter(chunks).chain(stream::pending()).boxed())
    }

    fn seqs(share: &[Message]) -> Vec<u64> {
        share.iter().map(|message| message.seq).collect()
    }

    #[tokio::test]
    async fn a_share_is_bounded_and_nothing_is_lost_between_two() {
        let large = |seq| message(seq, SHARE_BYTES);
        let many = (4..4 + SHARE_MESSAGES as u64).map(|seq| message(seq, 10)).collect();
        let mut inputs = inputs(vec![Ok(vec![message(1, 10), large(2), large(3)]), Ok(many)]);
        inputs.ready().await.unwrap();
        assert_eq!(seqs(&inputs.share()), [1, 2]);
        inputs.ready().await.unwrap();
        assert_eq!(seqs(&inputs.share()), [3]);
        inputs.ready().await.unwrap();
        let share = inputs.share();
        assert_eq!((share.len(), share[0].seq), (SHARE_MESSAGES, 4));
        assert_eq!(inputs.share(), []);
        assert!(inputs.ready().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_was_read_before_an_error_still_counts() {
        let drift = Drift {
            stream: "S".to_owned(),
            setting: "x".to_owned(),
            wanted: "1".to_owned(),
            found: "2".to_owned(),
        };
        let mut inputs = inputs(vec![Ok(vec![message(1, 10)]), Err(drift.clone().into())]);
        inputs.ready().await.unwrap();
        assert_eq!(seqs(&inputs.share()), [1]);
        assert_eq!(inputs.ready().await, Err(ConsumeError::Drift(drift)));
    }
}
