//! Reads stored messages by sequence, from any replica and without a consumer.

use std::time::Duration;

use async_nats::{HeaderMap, Message as Reply};
use futures_util::StreamExt;
use nox_contract::Timestamp;
use serde_json::json;

use crate::{Broker, Error, Message};

/// Messages asked for at a time.
const BATCH: usize = 256;
/// One answer of the broker.
const REPLY_WAIT: Duration = Duration::from_secs(5);

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
            let batch = BATCH.min(max - found.len());
            let left = bytes_max - bytes;
            let (replies, more) = self.direct_get(stream, Some(subject), seq, batch, left).await?;
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

    /// One batched request: the messages from `seq` on, on all subjects or one, and whether there are
    /// more.
    pub(crate) async fn direct_get(
        &self,
        stream: &str,
        subject: Option<&str>,
        seq: u64,
        batch: usize,
        bytes_max: usize,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        self.answered(&asked, self.direct_get_once(stream, subject, seq, batch, bytes_max)).await?
    }

    async fn direct_get_once(
        &self,
        stream: &str,
        subject: Option<&str>,
        seq: u64,
        batch: usize,
        bytes_max: usize,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let client = &self.inner.client;
        let unavailable = |e: String| Error::Unavailable(format!("reading {stream}: {e}"));
        let inbox = client.new_inbox();
        let mut replies =
            client.subscribe(inbox.clone()).await.map_err(|e| unavailable(e.to_string()))?;
        let mut request = json!({ "batch": batch, "max_bytes": bytes_max, "seq": seq });
        if let Some(subject) = subject {
            request["next_by_subj"] = json!(subject);
        }
        client
            .publish_with_reply(
                format!("$JS.API.DIRECT.GET.{stream}"),
                inbox,
                request.to_string().into(),
            )
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
