//! Hears messages that no stream keeps: work, which is sent again when it does not arrive.

use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{Broker, Error, mux::Link};

/// Messages taken at a time.
const CHUNK: usize = 256;
/// Between two tries, while the broker is starting.
const RETRY: Duration = Duration::from_millis(100);

/// Messages as they are sent, in order. Dropping it ends the hearing.
pub type Heard = BoxStream<'static, Vec<Bytes>>;

impl Broker {
    /// Yields what is sent to `subject` from now on, for ever.
    ///
    /// An empty chunk says that it has just begun to listen: what is sent after the first of these
    /// is heard; before each later one, something may have been missed.
    pub fn hear(&self, subject: String) -> Heard {
        let hearing = Hearing { broker: self.clone(), subject, heard: None };
        stream::unfold(hearing, |mut hearing| async move {
            let chunk = hearing.chunk().await;
            Some((chunk, hearing))
        })
        .boxed()
    }

    /// A subscription that the server knows of: the client library's flush only says that it was
    /// sent, but the answer to a question that was asked after it comes after it.
    pub(crate) async fn subscribe(&self, subject: String) -> Result<Subscriber, Error> {
        let heard = self.inner.client.subscribe(subject).await;
        let heard = heard.map_err(|error| Error::Unavailable(error.to_string()))?;
        self.api::<serde_json::Value>("INFO", &serde_json::json!({})).await?;
        Ok(heard)
    }
}

struct Hearing {
    broker: Broker,
    subject: String,
    heard: Option<(Link, BoxStream<'static, Vec<async_nats::Message>>)>,
}

impl Hearing {
    async fn chunk(&mut self) -> Vec<Bytes> {
        let mut link = self.broker.link();
        loop {
            let Some((begun, heard)) = &mut self.heard else {
                // The sender lives as long as the broker that we hold.
                let now = link.wait_for(|link| link.up).await.map(|link| *link);
                match (now, self.broker.subscribe(self.subject.clone()).await) {
                    (Ok(now), Ok(heard)) => {
                        self.heard = Some((now, heard.ready_chunks(CHUNK).boxed()));
                        return Vec::new();
                    }
                    _ => tokio::time::sleep(RETRY).await,
                }
                continue;
            };
            let generation = begun.generation;
            tokio::select! {
                // What has arrived is good, whatever became of the connection since.
                biased;
                chunk = heard.next() => match chunk {
                    Some(chunk) => return chunk.into_iter().map(|message| message.payload).collect(),
                    None => self.heard = None,
                },
                _ = link.wait_for(|link| link.generation != generation) => self.heard = None,
            }
        }
    }
}
