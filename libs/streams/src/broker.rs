//! One connection to the broker, and what can be asked of a stream.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_nats::{Client, HeaderMap, jetstream};
use bytes::Bytes;
use nox_contract::Incarnation;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::{
    Error,
    api::StreamInfo,
    denied::Denied,
    durability::Durability,
    layout::Layout,
    mux::{Link, Mux, Outgoing},
    publish::{Ack, Headers, PublishError},
};

/// How long a flush may take; while disconnected there is nothing to wait for.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its stream sequence.
    pub seq: u64,
    pub subject: String,
    pub payload: Bytes,
}

/// How full a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub messages: u64,
    pub bytes: u64,
    /// `None`: as much as the broker has.
    pub bytes_max: Option<u64>,
    pub first_seq: u64,
    pub last_seq: u64,
}

/// One connection to the broker. Clones share it; it closes when the last one goes.
#[derive(Clone)]
pub struct Broker {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) mux: Arc<Mux>,
    pub(crate) layout: OnceLock<Layout>,
    pub(crate) durability: Option<Durability>,
    pub(crate) url: String,
    pub(crate) monitor_url: Option<String>,
    pub(crate) _stop: DropGuard,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("link", &*self.link().borrow()).finish_non_exhaustive()
    }
}

impl Broker {
    /// What the server says of its own durability; `None` where nobody was asked.
    pub fn durability(&self) -> Option<Durability> {
        self.inner.durability
    }

    /// The streams as they should be.
    pub(crate) fn layout(&self) -> &Layout {
        self.inner.layout.get_or_init(Layout::embedded)
    }

    /// Whether the connection is up, and how often it was lost.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.inner.mux.link()
    }

    /// Resolves with the first thing that the connection's user was not allowed to do.
    pub async fn denied(&self) -> Denied {
        self.inner.mux.denied().await
    }

    /// Writes one message; the future resolves within 5 s.
    ///
    /// The order of calls is the order on the wire, whether or not the futures are awaited. While
    /// the connection is down, writes are refused (`NOBODY_THERE`) rather than kept.
    pub fn publish(
        &self,
        subject: String,
        headers: Option<Headers>,
        payload: Bytes,
    ) -> impl Future<Output = Result<Ack, PublishError>> + Send + use<> {
        let headers = headers.unwrap_or_default();
        self.inner.mux.publish(Outgoing { subject, headers, payload })
    }

    /// Writes one message and forgets it: for what is repeated anyway.
    pub fn publish_unacked(&self, subject: String, payload: Bytes) {
        self.inner.mux.publish_unacked(Outgoing { subject, headers: Headers::new(), payload });
    }

    /// Resolves when everything published before has left for the broker, at the latest after 5 s.
    pub async fn flush(&self) {
        let flush = self.inner.mux.flush(&self.inner.client);
        if tokio::time::timeout(FLUSH_WAIT, flush).await.is_err() {
            tracing::warn!("Messages did not leave in time");
        }
    }

    /// Which life of the stream this is, as its leader says: creation time and our id.
    pub async fn incarnation(&self, stream: &str) -> Result<Incarnation, Error> {
        Ok(self.info(stream).await?.incarnation())
    }

    /// The sequence of the stream's last message, as its leader says; 0 before the first.
    pub async fn last_sequence(&self, stream: &str) -> Result<u64, Error> {
        Ok(self.info(stream).await?.state.last_seq)
    }

    /// Both of these, as they were at one time.
    pub async fn extent(&self, stream: &str) -> Result<(Incarnation, u64), Error> {
        let info = self.info(stream).await?;
        Ok((info.incarnation(), info.state.last_seq))
    }

    /// How many servers keep the stream.
    pub async fn replicas(&self, stream: &str) -> Result<u64, Error> {
        let config = self.info(stream).await?.config;
        Ok(config.get("num_replicas").and_then(serde_json::Value::as_u64).unwrap_or(1))
    }

    /// How full the stream is, as its leader says.
    pub async fn usage(&self, stream: &str) -> Result<Usage, Error> {
        let StreamInfo { config, state, .. } = self.info(stream).await?;
        let bytes_max = config.get("max_bytes").and_then(serde_json::Value::as_u64);
        Ok(Usage {
            messages: state.messages,
            bytes: state.bytes,
            bytes_max: bytes_max.filter(|max| *max > 0),
            first_seq: state.first_seq,
            last_seq: state.last_seq,
        })
    }

    /// The message at `seq`, from the stream's leader; `None` if there is none.
    pub async fn read_one(&self, stream: &str, seq: u64) -> Result<Option<Message>, Error> {
        let stored = self.read(stream, |stream| stream.sequence(seq)).await?;
        Ok(stored.map(|(message, _)| message))
    }

    /// The last message on `subject` and its headers, from the stream's leader; `None` if there is
    /// none.
    pub(crate) async fn read_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<(Message, HeaderMap)>, Error> {
        self.read(stream, |stream| stream.last_by_subject(subject)).await
    }
}
