//! Facts as they happen, for watchers: at most once, no position, no history.

use std::str::FromStr;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};

use crate::{Broker, Error};

/// A republished message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMessage {
    /// Its sequence in the log.
    pub seq: u64,
    /// The sequence of the message before it on its own subject; 0 for the first. One that was not
    /// seen means that something was missed: read again.
    pub previous: u64,
    /// Its subject in the log, without `live.`.
    pub subject: String,
    pub payload: Bytes,
}

impl Broker {
    /// Subscribes to republished facts; `subject` is `live.nox.evt.…`, wildcards allowed.
    ///
    /// What happens while the connection is down is not seen; watch [`link`](Self::link) and read
    /// again after each generation.
    pub async fn subscribe_live(
        &self,
        subject: String,
    ) -> Result<BoxStream<'static, LiveMessage>, Error> {
        let messages = self.inner.client.subscribe(subject).await;
        let messages = messages.map_err(|e| Error::Unavailable(e.to_string()))?;
        // The connection stays while somebody listens.
        let broker = self.clone();
        Ok(messages
            .filter_map(move |message| {
                let _connection = &broker;
                std::future::ready(live(&message))
            })
            .boxed())
    }
}

fn live(message: &async_nats::Message) -> Option<LiveMessage> {
    let headers = message.headers.as_ref()?;
    Some(LiveMessage {
        seq: number(headers, "Nats-Sequence")?,
        previous: number(headers, "Nats-Last-Sequence").unwrap_or(0),
        subject: headers.get("Nats-Subject")?.to_string(),
        payload: message.payload.clone(),
    })
}

fn number(headers: &async_nats::HeaderMap, name: &str) -> Option<u64> {
    u64::from_str(headers.get(name)?.as_str()).ok()
}
