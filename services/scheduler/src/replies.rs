//! What the broker says to appends, in their order, and what stands at the end of the log.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use nox_contract::{FrameNumber, subject};
use nox_streams::{Broker, PublishError};

/// How long to wait before the tail is asked for again where nothing got into the log since it was
/// asked for last; doubled each time.
const TAIL_PAUSE: Duration = Duration::from_millis(100);
const TAIL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the broker said to something that was sent.
#[derive(Debug)]
pub enum Reply {
    Stored {
        n: FrameNumber,
        seq: u64,
        /// When it was sent, on the monotonic clock.
        sent: Duration,
    },
    Unknown(PublishError),
    Tail {
        last: u64,
        records: Vec<(u64, Bytes)>,
    },
    TailFailed(String),
}

/// Replies that are still to come.
#[derive(Default)]
pub struct Replies {
    /// In the order in which they were sent: what is unsure is heard before what was sent after it.
    appends: FuturesOrdered<BoxFuture<'static, Reply>>,
    tail: Option<BoxFuture<'static, Reply>>,
    backoff: TailBackoff,
}

impl Replies {
    /// Waits for the reply to frame `n`, which left at `sent`.
    pub fn expect(
        &mut self,
        n: FrameNumber,
        sent: Duration,
        stored: impl Future<Output = Result<u64, PublishError>> + Send + 'static,
    ) {
        let reply = stored.map(move |outcome| match outcome {
            Ok(seq) => Reply::Stored { n, seq, sent },
            Err(error) => Reply::Unknown(error),
        });
        self.appends.push_back(reply.boxed());
    }

    /// Reads the log from `from`, which is behind everything that is known to be stored.
    ///
    /// Replies to what was in flight are not waited for any more: the tail says as much, and taken
    /// afterwards they would make what is sent by then look unsure again.
    pub fn read_tail(&mut self, broker: &Broker, from: u64) {
        self.appends = FuturesOrdered::new();
        self.tail = Some(read_tail(broker.clone(), from, self.backoff.before(from)).boxed());
    }

    /// The next reply; `None` if none is to come. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Reply> {
        if let Some(tail) = &mut self.tail {
            let reply = tail.await;
            self.tail = None;
            return Some(reply);
        }
        self.appends.next().await
    }
}

/// How long to wait before the tail is read: a broker that refuses everything, because it is full
/// for example, is not to be asked as fast as it can say no.
#[derive(Debug, Default)]
struct TailBackoff {
    from: u64,
    pause: Duration,
}

impl TailBackoff {
    fn before(&mut self, from: u64) -> Duration {
        self.pause = if from == self.from {
            (self.pause * 2).clamp(TAIL_PAUSE, TAIL_PAUSE_MAX)
        } else {
            Duration::ZERO
        };
        self.from = from;
        self.pause
    }
}

/// The end of the log, from its leader.
async fn read_tail(broker: Broker, from: u64, pause: Duration) -> Reply {
    tokio::time::sleep(pause).await;
    let tail = async {
        let last = broker.last_sequence(subject::EVENTS).await?;
        let records = if last < from { Vec::new() } else { broker.read_log(from).await? };
        Ok::<_, nox_streams::Error>((last, records))
    };
    match tail.await {
        Ok((last, records)) => {
            // What was written between the two questions counts as well.
            let last = records.last().map_or(last, |record| record.seq.max(last));
            let records = records.into_iter().map(|r| (r.seq, r.payload)).collect();
            Reply::Tail { last, records }
        }
        Err(error) => Reply::TailFailed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_log_that_takes_nothing_is_asked_ever_more_slowly_until_it_does() {
        let mut backoff = TailBackoff::default();
        let pauses: Vec<_> = (0..6).map(|_| backoff.before(7).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_000]);
        assert_eq!(backoff.before(8), Duration::ZERO);
        assert_eq!(backoff.before(8), TAIL_PAUSE);
    }

    #[tokio::test]
    async fn acknowledgements_are_taken_in_the_order_of_their_frames_whichever_came_first() {
        let mut replies = Replies::default();
        let mut acks = Vec::new();
        for n in 1..=3 {
            let (ack, acked) = oneshot::channel();
            replies.expect(FrameNumber(n), Duration::ZERO, acked.map(|seq| Ok(seq.unwrap())));
            acks.push(ack);
        }
        for (ack, seq) in acks.into_iter().rev().zip([3, 2, 1]) {
            ack.send(seq).unwrap();
        }
        let mut taken = Vec::new();
        while let Some(Reply::Stored { n, seq, .. }) = replies.next().await {
            taken.push((n.0, seq));
        }
        assert_eq!(taken, [(1, 1), (2, 2), (3, 3)]);
        assert!(replies.next().await.is_none());
    }
}
