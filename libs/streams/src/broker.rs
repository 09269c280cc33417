//! One connection to the broker, and what can be asked of a stream.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap, Request,
    jetstream::{self, stream::LastRawMessageErrorKind},
};
use bytes::Bytes;
use nox_contract::Incarnation;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::{
    connect::Durability,
    consume::ConsumeError,
    layout::Layout,
    mux::{Mux, Outgoing},
    publish::{Ack, Headers, PublishError},
};

/// How long a question to the broker may take. A stream without a leader answers nobody for up to
/// 9 s; whoever asks, asks again.
const API_WAIT: Duration = Duration::from_secs(5);
/// How long a flush may take; while disconnected there is nothing to wait for.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

const STREAM_NOT_FOUND: u64 = 10059;
const INSUFFICIENT_RESOURCES: u64 = 10023;
/// The stream or the cluster has no leader at the moment.
const NO_LEADER: [u64; 2] = [10009, 10118];

/// Why a question to the broker has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Not connected, no leader, or too slow: ask again.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// The stream or bucket does not exist: declare it.
    #[error("no such stream: {0}")]
    Missing(String),
    /// The broker said no, and will again.
    #[error("refused by the broker ({code}): {description}")]
    Refused { code: u64, description: String },
    /// It is not the stream that was read before: stop.
    #[error(transparent)]
    Position(#[from] ConsumeError),
    /// The bytes make no sense.
    #[error("unreadable {what}: {reason}")]
    Unreadable { what: &'static str, reason: String },
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its stream sequence.
    pub seq: u64,
    pub subject: String,
    pub payload: Bytes,
}

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// How often it was lost.
    pub generation: u64,
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

    /// Whether the connection is up, and how often it was lost.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.inner.mux.link()
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
        self.inner.mux.publish(vec![Outgoing { subject, headers, payload }])
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
        let handle = self.handle(stream).await?;
        Ok(found(stream, handle.get_raw_message(seq).await)?.map(|(message, _)| message))
    }

    /// The last message on `subject` and its headers, from the stream's leader; `None` if there is
    /// none.
    pub(crate) async fn read_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<(Message, HeaderMap)>, Error> {
        let handle = self.handle(stream).await?;
        found(stream, handle.get_last_raw_message_by_subject(subject).await)
    }

    pub(crate) async fn info(&self, stream: &str) -> Result<StreamInfo, Error> {
        let info = self.api(&format!("STREAM.INFO.{stream}"), &serde_json::json!({})).await;
        info.map_err(|error| missing(stream, error))
    }

    /// Asks the JetStream API, `subject` without its prefix.
    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let unreadable =
            |e: serde_json::Error| Error::Unreadable { what: "API message", reason: e.to_string() };
        let body = serde_json::to_vec(body).map_err(unreadable)?;
        let request = Request::new().payload(body.into()).timeout(Some(API_WAIT));
        let reply = self
            .inner
            .client
            .send_request(format!("$JS.API.{subject}"), request)
            .await
            .map_err(|e| Error::Unavailable(format!("{subject}: {e}")))?;
        let failure: Failure = serde_json::from_slice(&reply.payload).map_err(unreadable)?;
        match failure.error {
            None => serde_json::from_slice(&reply.payload).map_err(unreadable),
            Some(e) => Err(api_error(e.code, e.err_code, e.description)),
        }
    }

    async fn handle(&self, stream: &str) -> Result<jetstream::stream::Stream<()>, Error> {
        let handle = self.inner.jetstream.get_stream_no_info(stream).await;
        handle.map_err(|e| Error::Unavailable(e.to_string()))
    }
}

/// What an error of the JetStream API means: 503 is "not now", unless the limits do not fit.
fn api_error(status: u64, code: u64, description: String) -> Error {
    if (status == 503 && code != INSUFFICIENT_RESOURCES) || NO_LEADER.contains(&code) {
        return Error::Unavailable(format!("{description} ({code})"));
    }
    Error::Refused { code, description }
}

/// The error that says that a stream is not there.
pub(crate) fn missing(stream: &str, error: Error) -> Error {
    match error {
        Error::Refused { code: STREAM_NOT_FOUND, .. } => Error::Missing(stream.to_owned()),
        error => error,
    }
}

fn found(
    stream: &str,
    result: Result<jetstream::message::StreamMessage, jetstream::stream::LastRawMessageError>,
) -> Result<Option<(Message, HeaderMap)>, Error> {
    let error = match result {
        Ok(found) => {
            let message = Message {
                seq: found.sequence,
                subject: found.subject.to_string(),
                payload: found.payload,
            };
            return Ok(Some((message, found.headers)));
        }
        Err(error) => error,
    };
    match error.kind() {
        LastRawMessageErrorKind::NoMessageFound => Ok(None),
        LastRawMessageErrorKind::JetStream(e) => {
            Err(missing(stream, api_error(e.code() as u64, e.error_code().0, e.to_string())))
        }
        _ => Err(Error::Unavailable(error.to_string())),
    }
}

#[derive(Deserialize)]
struct Failure {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// What a stream's leader says of it.
#[derive(Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
    created: String,
    pub(crate) state: StreamState,
}

#[derive(Deserialize)]
pub(crate) struct StreamState {
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    first_seq: u64,
    #[serde(default)]
    pub(crate) last_seq: u64,
    /// Messages by subject, where they were asked for.
    #[serde(default)]
    pub(crate) subjects: std::collections::BTreeMap<String, u64>,
}

/// The key in a stream's metadata of the id that we gave it.
pub(crate) const ID_KEY: &str = "nox_id";

impl StreamInfo {
    pub(crate) fn incarnation(&self) -> Incarnation {
        let id = self.config.get("metadata").and_then(|metadata| metadata.get(ID_KEY));
        let id = id.and_then(serde_json::Value::as_str).unwrap_or_default();
        Incarnation(format!("{}/{id}", self.created))
    }
}
