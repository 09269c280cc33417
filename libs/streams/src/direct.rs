//! Reads stored messages by sequence, from any replica and without a consumer.

use std::time::Duration;

use async_nats::{HeaderMap, Message as Reply, Request};
use futures_util::StreamExt;
use nox_contract::Timestamp;
use serde_json::json;

use crate::{Broker, Error, Message};

/// Messages asked for at a time.
const BATCH: usize = 256;
/// One answer of the broker.
const REPLY_WAIT: Duration = Duration::from_secs(5);

/// A batched request of stored messages.
#[derive(Clone, Copy)]
pub(crate) struct DirectGet<'a> {
    pub(crate) stream: &'a str,
    /// All, if left out.
    pub(crate) subject: Option<&'a str>,
    /// The first that may come.
    pub(crate) seq: u64,
    pub(crate) messages_max: usize,
    /// At least one message comes, however large.
    pub(crate) bytes_max: usize,
}

impl DirectGet<'_> {
    fn body(&self) -> String {
        let Self { subject, seq, messages_max, bytes_max, .. } = self;
        let mut body = json!({ "batch": messages_max, "max_bytes": bytes_max, "seq": seq });
        if let Some(subject) = subject {
            body["next_by_subj"] = json!(subject);
        }
        body.to_string()
    }
}

impl Broker {
    /// Up to `max` messages on `subject` of a stream after `after_seq`, in order, from any replica: a
    /// write that was just acknowledged may be missing. Paged as [`read_logs`](Self::read_logs).
    pub async fn read_history(
        &self,
        stream: &str,
        subject: &str,
        after_seq: u64,
        max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Message>, Error> {
        let replies = self.read_subject(stream, subject, after_seq, max, bytes_max).await?;
        Ok(replies.into_iter().filter_map(|reply| Stored::of(&reply).map(|s| s.message)).collect())
    }

    /// The message at `seq`, from any replica; `None` if that one has none (any more, or yet).
    pub async fn read_direct(&self, stream: &str, seq: u64) -> Result<Option<Message>, Error> {
        self.read_by(stream, &json!({ "seq": seq })).await
    }

    /// The last message of the stream on a subject, or on those that it matches; `None` if it has none.
    pub async fn read_last_direct(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Message>, Error> {
        self.read_by(stream, &json!({ "last_by_subj": subject })).await
    }

    async fn read_by(
        &self,
        stream: &str,
        by: &serde_json::Value,
    ) -> Result<Option<Message>, Error> {
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        let unavailable = |e: String| Error::Unavailable(format!("reading {stream}: {e}"));
        let request = Request::new().payload(by.to_string().into()).timeout(Some(REPLY_WAIT));
        let question = self.inner.client.send_request(asked.clone(), request);
        let reply =
            self.answered(&asked, question).await?.map_err(|e| unavailable(e.to_string()))?;
        match reply.status.map(|status| status.as_u16()) {
            None => match Stored::of(&reply) {
                Some(stored) => Ok(Some(stored.message)),
                None => Err(unavailable("a message without its place".into())),
            },
            Some(404) => Ok(None),
            Some(status) => Err(Error::Refused {
                code: status.into(),
                description: reply.description.unwrap_or_default(),
            }),
        }
    }

    pub(crate) async fn read_subject(
        &self,
        stream: &str,
        subject: &str,
        after_seq: u64,
        max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Reply>, Error> {
        // Readers name any number, and after the last of all nothing can come.
        let Some(mut seq) = after_seq.checked_add(1) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.len() < max && bytes < bytes_max {
            let messages_max = BATCH.min(max - found.len());
            let left = bytes_max - bytes;
            let asked =
                DirectGet { stream, subject: Some(subject), seq, messages_max, bytes_max: left };
            let (replies, more) = self.direct_get(asked).await?;
            let last =
                replies.last().and_then(|reply| number(reply.headers.as_ref()?, "Nats-Sequence"));
            bytes += replies.iter().map(|reply| reply.payload.len()).sum::<usize>();
            found.extend(replies);
            match last.and_then(|last| last.checked_add(1)) {
                Some(next) if more => seq = next,
                _ => break,
            }
        }
        Ok(found)
    }

    /// The messages that were asked for, in one batch, and whether there are more.
    pub(crate) async fn direct_get(
        &self,
        asked: DirectGet<'_>,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let subject = format!("$JS.API.DIRECT.GET.{}", asked.stream);
        self.answered(&subject, self.direct_get_from(&subject, asked)).await?
    }

    async fn direct_get_from(
        &self,
        api: &str,
        asked: DirectGet<'_>,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let client = &self.inner.client;
        let unavailable = |e: String| Error::Unavailable(format!("reading {}: {e}", asked.stream));
        let inbox = client.new_inbox();
        let mut replies =
            client.subscribe(inbox.clone()).await.map_err(|e| unavailable(e.to_string()))?;
        client
            .publish_with_reply(api.to_owned(), inbox, asked.body().into())
            .await
            .map_err(|e| unavailable(e.to_string()))?;

        let mut messages = Vec::new();
        loop {
            let reply = match tokio::time::timeout(REPLY_WAIT, replies.next()).await {
                Ok(Some(reply)) => reply,
                Ok(None) => return Err(unavailable("connection closed".into())),
                Err(_) => return Err(unavailable(format!("no answer within {REPLY_WAIT:?}"))),
            };
            match reply.status.map(|status| status.as_u16()) {
                None => messages.push(reply),
                Some(204) => {
                    let pending =
                        reply.headers.as_ref().and_then(|h| number(h, "Nats-Num-Pending"));
                    return Ok((messages, pending.is_some_and(|pending| pending > 0)));
                }
                Some(404) => return Ok((messages, false)),
                Some(503) => return Err(unavailable("nobody answers".into())),
                Some(status) => {
                    return Err(Error::Refused {
                        code: status.into(),
                        description: reply.description.unwrap_or_default(),
                    });
                }
            }
        }
    }
}

/// A message as a direct get tells it.
pub(crate) struct Stored {
    pub(crate) message: Message,
    pub(crate) at: Timestamp,
}

impl Stored {
    pub(crate) fn of(reply: &Reply) -> Option<Self> {
        let headers = reply.headers.as_ref()?;
        Some(Self {
            message: Message {
                seq: number(headers, "Nats-Sequence")?,
                subject: headers.get("Nats-Subject")?.to_string(),
                payload: reply.payload.clone(),
            },
            at: headers.get("Nats-Time-Stamp")?.as_str().parse().ok()?,
        })
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.as_str().parse().ok()
}
