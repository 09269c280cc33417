//! The feed: events that are made from the log, for whoever may read its tenant.
//!
//! The feed itself says how far it is: each message bears the place of its fact in the log, and which log that is.
//! Each is let in behind one message alone, so that whatever happens to a write, none is stored twice, and none
//! behind one that is missing.

use std::future::Future;

use async_nats::HeaderMap;
use bytes::Bytes;
use nox_contract::{FactPlace, Incarnation, event, subject};

use crate::{
    Broker, Error,
    mux::Outgoing,
    publish::{Ack, Headers, MESSAGE_ID, PublishError},
};

/// Which life of the log a place counts in.
const LOG: &str = "Nox-Log";
/// Which process of a notifier has written the message.
const WRITER: &str = "Nox-Notifier";
/// The broker stores a message only in the stream that this names, if it is there.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// There is none of that name: events that are not to be kept are heard, and stored by nobody.
const NO_STREAM: &str = "NOX_LIVE";

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEvent {
    pub subject: String,
    pub place: FactPlace,
    /// The CloudEvent as structured JSON.
    pub payload: Bytes,
}

/// Who writes the feed, from which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedSource {
    pub log: Incarnation,
    /// Another one for each process.
    pub writer: String,
}

/// What a message of the feed says of itself: whose it is, and of which fact. Of the last one, where the feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLast {
    pub source: FeedSource,
    pub place: FactPlace,
}

/// Where the feed ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEnd {
    /// The sequence of its last message; 0 before the first.
    pub seq: u64,
    /// `None` if it is not there any more.
    pub last: Option<FeedLast>,
}

impl Broker {
    /// Where the feed ends, as its leader says.
    ///
    /// # Errors
    /// Its last message is none of a notifier's, or the broker does not answer.
    pub async fn feed_end(&self) -> Result<FeedEnd, Error> {
        let seq = self.last_sequence(subject::FEED).await?;
        if seq == 0 {
            return Ok(FeedEnd { seq, last: None });
        }
        Ok(FeedEnd { seq, last: self.feed_at(seq).await? })
    }

    /// What a message of the feed says of itself; `None` if it is not there.
    ///
    /// # Errors
    /// It is none of a notifier's, or the broker does not answer.
    pub async fn feed_at(&self, seq: u64) -> Result<Option<FeedLast>, Error> {
        let found = self.read(subject::FEED, |stream| stream.sequence(seq)).await?;
        let said = found.map(|(_, headers)| last(&headers).ok_or(seq)).transpose();
        said.map_err(|seq| Error::Unreadable {
            what: "feed",
            reason: format!("message {seq} does not say its place in the log"),
        })
    }

    /// Publishes an event to the feed, if the feed ends with the message `last_seq`.
    ///
    /// The order of calls, and of those of [`Self::append_event_unacked`], is the order on the wire, and they pipeline.
    pub fn append_event(
        &self,
        event: FeedEvent,
        source: &FeedSource,
        last_seq: u64,
    ) -> impl Future<Output = Result<Ack, PublishError>> + Send + use<> {
        let Outgoing { subject, headers, payload } = guarded(event, source, last_seq);
        self.publish(subject, Some(headers), payload)
    }

    /// The same without an acknowledgement. The event that follows it is let in behind it alone, so that one's
    /// acknowledgement is this one's as well.
    pub fn append_event_unacked(&self, event: FeedEvent, source: &FeedSource, last_seq: u64) {
        self.inner.mux.publish_unacked(guarded(event, source, last_seq));
    }

    /// Tells an event to whoever listens now. Nobody stores it: the feed refuses it by a header.
    pub fn tell_event(&self, event: FeedEvent, source: &FeedSource) {
        let FeedEvent { subject, place, payload } = event;
        let mut headers = headers(place, source);
        headers.push((EXPECTED_STREAM, NO_STREAM.to_owned()));
        self.inner.mux.publish_unacked(Outgoing { subject, headers, payload });
    }
}

fn guarded(event: FeedEvent, source: &FeedSource, last_seq: u64) -> Outgoing {
    let FeedEvent { subject, place, payload } = event;
    let mut headers = headers(place, source);
    headers.push(("Nats-Expected-Last-Sequence", last_seq.to_string()));
    Outgoing { subject, headers, payload }
}

fn headers(place: FactPlace, source: &FeedSource) -> Headers {
    vec![
        (MESSAGE_ID, place.to_string()),
        ("Content-Type", event::MEDIA_TYPE.to_owned()),
        (LOG, source.log.0.clone()),
        (WRITER, source.writer.clone()),
    ]
}

fn last(headers: &HeaderMap) -> Option<FeedLast> {
    let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    Some(FeedLast {
        source: FeedSource { log: Incarnation(text(LOG)?), writer: text(WRITER)? },
        place: text(MESSAGE_ID)?.parse().ok()?,
    })
}
