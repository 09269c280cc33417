//! Publishes events in order, many on their way at a time.
//!
//! Each is let in behind the one before alone. So where one is refused or has no answer, none behind it gets in,
//! and whoever goes on asks the feed for its end and begins there.

use std::collections::VecDeque;

use anyhow::bail;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use nox_archive::{Follower, Log};
use nox_contract::{FactPlace, FrameNumber};
use nox_protocol::HeadReader;
use nox_service::crash_point;
use nox_streams::{Ack, FeedEvent, FeedSource, PublishError};

use crate::{
    Config, Fault,
    events::{self, Events},
    metrics::Metrics,
    resume::Resumed,
};

/// Events on their way at a time. More are not stored sooner: the broker needs longer for so many than an
/// acknowledgement is on its way, and what jobs wait for, the frames of the log, waits behind them.
const IN_FLIGHT_MAX: usize = 64;
/// Events that one acknowledgement is for: what the last of them says holds for all, for each is let in behind the one
/// before alone. An acknowledgement costs the broker about as much as a message.
const GROUP_MAX: usize = 32;

/// Why the feed goes on anew.
pub(crate) struct Stopped {
    /// The last message that was acknowledged.
    pub(crate) seq: u64,
    pub(crate) published: u64,
    pub(crate) reason: PublishError,
}

/// Publishes what comes behind `resumed`, until an event is not acknowledged.
///
/// # Errors
/// The log cannot be followed, or an event can never be stored.
pub(crate) async fn from(
    log: &Log,
    source: &FeedSource,
    resumed: Resumed,
    config: &Config,
    metrics: &Metrics,
) -> anyhow::Result<Stopped> {
    let mut publisher = Publisher::new(log, source, resumed, metrics);
    let mut follower = Follower::new(log, HeadReader::after(publisher.read));
    let mut skips = config.fault == Some(Fault::Skip) && resumed.seq > 0;
    if config.fault == Some(Fault::Repeat) {
        publisher.after = FactPlace::default();
    }
    loop {
        publisher.send();
        tokio::select! {
            biased;
            Some((place, count, outcome)) = publisher.in_flight.next() => {
                match outcome {
                    Ok(ack) if ack.seq == publisher.acked + count => publisher.take(count),
                    Ok(ack) => {
                        let text = format!("{place} was stored as message {}", ack.seq);
                        return Ok(publisher.stopped(PublishError::Unknown(text)));
                    }
                    Err(error) if error.is_hopeless() => bail!("{place} is never stored: {error}"),
                    Err(error) => return Ok(publisher.stopped(error)),
                }
            }
            followed = follower.next(), if publisher.waiting.is_empty() => {
                for message in followed? {
                    let Events { events, unknown } = events::behind(publisher.after, &message)?;
                    publisher.waiting.extend(events);
                    metrics.unknown.inc_by(unknown);
                    publisher.read = message.n;
                }
                if skips && publisher.waiting.pop_front().is_some() {
                    skips = false;
                }
                publisher.tell();
            }
        }
    }
}

/// The last event of a group, how many it has, and what the broker said of it.
type Answered = (FactPlace, u64, Result<Ack, PublishError>);

struct Publisher<'a> {
    log: &'a Log,
    source: &'a FeedSource,
    metrics: &'a Metrics,
    /// Up to here everything was in the feed at the start.
    after: FactPlace,
    /// The last message of the log that was read.
    read: FrameNumber,
    /// Read, and not sent yet.
    waiting: VecDeque<FeedEvent>,
    in_flight: FuturesOrdered<BoxFuture<'static, Answered>>,
    /// Most events of the next group. The first one is alone: one that can never be stored is always the first behind
    /// the feed's end, and has to be told from one that follows it.
    group: usize,
    /// Of the feed: the last message that is sent, and the last one that is acknowledged.
    sent: u64,
    acked: u64,
    published: u64,
}

impl<'a> Publisher<'a> {
    fn new(log: &'a Log, source: &'a FeedSource, resumed: Resumed, metrics: &'a Metrics) -> Self {
        let Resumed { seq, after } = resumed;
        // The frame of the last event is read again, for it may have more.
        let is_whole = after == events::end_of(after.n);
        let read = if is_whole { after.n } else { FrameNumber(after.n.0.saturating_sub(1)) };
        Self {
            log,
            source,
            metrics,
            after,
            read,
            waiting: VecDeque::new(),
            in_flight: FuturesOrdered::new(),
            group: 1,
            sent: seq,
            acked: seq,
            published: 0,
        }
    }

    fn send(&mut self) {
        let in_flight_max = self.acked + IN_FLIGHT_MAX as u64;
        while self.sent < in_flight_max && !self.waiting.is_empty() {
            let count = self.waiting.len().min(self.group);
            self.group = GROUP_MAX;
            let (broker, source) = (self.log.broker(), self.source);
            crash_point("notifier.before_publish");
            for event in self.waiting.drain(..count - 1) {
                broker.append_event_unacked(event, source, self.sent);
                self.sent += 1;
            }
            let Some(event) = self.waiting.pop_front() else { return };
            let place = event.place;
            crash_point("notifier.within_group");
            let ack = broker.append_event(event, source, self.sent);
            self.sent += 1;
            let count = count as u64;
            self.in_flight.push_back(Box::pin(async move { (place, count, ack.await) }));
            crash_point("notifier.after_publish");
        }
    }

    fn take(&mut self, count: u64) {
        crash_point("notifier.after_ack");
        self.acked += count;
        self.published += count;
        self.metrics.published.inc_by(count);
        self.tell();
    }

    /// Everything that was read is in the feed when nothing is left to send or to be acknowledged.
    fn tell(&self) {
        if self.waiting.is_empty() && self.in_flight.is_empty() {
            self.metrics.place(self.read);
        }
    }

    fn stopped(&self, reason: PublishError) -> Stopped {
        Stopped { seq: self.acked, published: self.published, reason }
    }
}
