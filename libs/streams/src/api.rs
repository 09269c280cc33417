//! Questions to the JetStream API: asked while the connection lasts, answered by a stream's leader.

use std::{future::Future, time::Duration};

use async_nats::{
    HeaderMap, Request,
    jetstream::stream::{LastRawMessageErrorKind, RawMessageBuilder},
};
use nox_contract::Incarnation;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Broker, Error, Message, difference, listener::StreamCluster};

/// How long a question to the broker may take. A stream without a leader answers nobody for up to
/// 9 s; whoever asks, asks again.
pub(crate) const API_WAIT: Duration = Duration::from_secs(5);

impl Broker {
    /// What a stream's leader says of it. A stream of ours that is not configured as ours is refused
    /// by every question about it.
    pub(crate) async fn info(&self, stream: &str) -> Result<StreamInfo, Error> {
        let info = self.info_unchecked(stream).await?;
        match self
            .layout()
            .stream(stream)
            .and_then(|wanted| difference::foreign(wanted, &info.config))
        {
            Some(difference) => Err(Error::Drift(difference.of(stream))),
            None => Ok(info),
        }
    }

    pub(crate) async fn info_unchecked(&self, stream: &str) -> Result<StreamInfo, Error> {
        let info = self.api(&format!("STREAM.INFO.{stream}"), &serde_json::json!({})).await;
        info.map_err(|error| error.about(stream))
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
        let asked = format!("$JS.API.{subject}");
        let ask = self.inner.client.send_request(asked.clone(), request);
        let reply = self.answered(&asked, ask).await?;
        let reply = reply.map_err(|e| Error::Unavailable(format!("{subject}: {e}")))?;
        let failure: Failure = serde_json::from_slice(&reply.payload).map_err(unreadable)?;
        match failure.error {
            None => serde_json::from_slice(&reply.payload).map_err(unreadable),
            Some(e) => Err(Error::of_api(e.code, e.err_code, e.description)),
        }
    }

    /// One message of a stream and its headers, from the stream's leader; `None` if there is none.
    pub(crate) async fn read(
        &self,
        stream: &str,
        which: impl FnOnce(RawMessageBuilder) -> RawMessageBuilder,
    ) -> Result<Option<(Message, HeaderMap)>, Error> {
        let handle = self.inner.jetstream.get_stream_no_info(stream).await;
        let handle = handle.map_err(|e| Error::Unavailable(e.to_string()))?;
        let asked = format!("$JS.API.STREAM.MSG.GET.{stream}");
        let question = which(handle.raw_message_builder()).send();
        let error = match self.answered(&asked, question).await? {
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
                let error = Error::of_api(e.code() as u64, e.error_code().0, e.to_string());
                Err(error.about(stream))
            }
            _ => Err(Error::Unavailable(error.to_string())),
        }
    }

    /// Gives a question on the subject `asked` up where no answer can come any more, and only the
    /// time-out would be waited for: with the connection, or where the user may not ask.
    pub(crate) async fn answered<T>(
        &self,
        asked: &str,
        question: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let denied = self.inner.mux.denied_question(asked);
        let mut link = self.link();
        let begun = *link.borrow_and_update();
        if !begun.up {
            return Err(Error::Unavailable("not connected".into()));
        }
        tokio::select! {
            answer = question => Ok(answer),
            _ = link.wait_for(|link| link.generation != begun.generation) => {
                Err(Error::Unavailable("connection lost".into()))
            }
            denied = denied => Err(denied.into()),
        }
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
    /// Where several servers keep it.
    #[serde(default)]
    pub(crate) cluster: Option<StreamCluster>,
}

#[derive(Deserialize)]
pub(crate) struct StreamState {
    #[serde(default)]
    pub(crate) messages: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) first_seq: u64,
    #[serde(default)]
    pub(crate) last_seq: u64,
    /// Messages by subject, where they were asked for.
    #[serde(default)]
    pub(crate) subjects: std::collections::BTreeMap<String, u64>,
}

/// The key in a stream's metadata of the id that we gave it.
pub(crate) const ID_KEY: &str = "nox_id";
/// The key of the incarnation whose content a repaired stream has, and which it goes on as.
pub(crate) const INCARNATION_KEY: &str = "nox_incarnation";

impl StreamInfo {
    pub(crate) fn incarnation(&self) -> Incarnation {
        let metadata = |key: &str| self.config.get("metadata")?.get(key)?.as_str();
        match metadata(INCARNATION_KEY) {
            Some(incarnation) => Incarnation(incarnation.to_owned()),
            None => {
                let id = metadata(ID_KEY).unwrap_or_default();
                Incarnation(format!("{}/{id}", self.created))
            }
        }
    }
}
