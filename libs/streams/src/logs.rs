//! What running jobs print: chunks, each with its attempt and which of the two streams it is from.

use std::{fmt, future::Future, str::FromStr, time::Duration};

use async_nats::{HeaderMap, Message as Reply};
use bytes::Bytes;
use futures_util::StreamExt;
use nox_contract::{Attempt, JobId, TenantId, Timestamp, subject};
use serde_json::json;

use crate::{Broker, Error, Message, publish::PublishError};

/// Largest chunk, in bytes: what is printed in 200 ms by a job that prints a lot.
pub const LOG_CHUNK_BYTES_MAX: usize = 128 * 1024;

const ATTEMPT_HEADER: &str = "Nox-Attempt";
const STREAM_HEADER: &str = "Nox-Stream";
const OFFSET_HEADER: &str = "Nox-Offset";
const LENGTH_HEADER: &str = "Nox-Length";
const MISSING_HEADER: &str = "Nox-Missing";
const END_HEADER: &str = "Nox-End";

/// By this the broker knows a message that comes again, for two minutes.
const ID_HEADER: &str = "Nats-Msg-Id";

/// Messages asked for at a time.
const BATCH: usize = 256;
/// Bytes read at a time, so that a page fits into memory whatever was printed.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// One answer of the broker.
const REPLY_WAIT: Duration = Duration::from_secs(5);

/// Which of its outputs a job printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    Stdout,
    Stderr,
}

impl LogStream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl fmt::Display for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be known of a chunk that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPiece {
    pub attempt: Attempt,
    /// Its number among the chunks of the attempt: a second write of the same number is no other chunk.
    pub number: u64,
    pub stream: LogStream,
    pub offset: u64,
    pub length: u64,
    pub missing: u64,
    pub end: bool,
}

/// A piece of what a job printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Its place among all chunks of all jobs: where to go on reading.
    pub seq: u64,
    /// When it was stored.
    pub at: Timestamp,
    pub attempt: Attempt,
    pub stream: LogStream,
    /// How many bytes the attempt had printed to the stream before these.
    pub offset: u64,
    /// How many of the text's it printed: all, or none of a word of the executor's own.
    pub length: u64,
    /// How many right before these the executor knows to be missing.
    pub missing: u64,
    /// Nothing follows on this stream of the attempt.
    pub end: bool,
    /// Bytes that are no UTF-8 are replaced.
    pub text: String,
}

impl Broker {
    /// Keeps a chunk, of at most [`LOG_CHUNK_BYTES_MAX`] bytes that do not cut a character.
    pub fn append_log(
        &self,
        tenant: &TenantId,
        job: JobId,
        piece: LogPiece,
        chunk: Bytes,
    ) -> impl Future<Output = Result<u64, PublishError>> + Send + use<> {
        let LogPiece { attempt, number, stream, offset, length, missing, end } = piece;
        let mut headers = vec![
            (ID_HEADER, format!("{job}.{attempt}.{number}")),
            (ATTEMPT_HEADER, attempt.to_string()),
            (STREAM_HEADER, stream.as_str().to_owned()),
            (OFFSET_HEADER, offset.to_string()),
            (LENGTH_HEADER, length.to_string()),
        ];
        if missing > 0 {
            headers.push((MISSING_HEADER, missing.to_string()));
        }
        if end {
            headers.push((END_HEADER, end.to_string()));
        }
        let ack = self.publish(subject::log(tenant, job), Some(headers), chunk);
        async move { Ok(ack.await?.seq) }
    }

    /// Up to `max` chunks of a job after `after_seq` (0: from the beginning), in order.
    ///
    /// Fewer than `max` do not mean the end, for a page is bounded by 8 MiB as well; none do.
    pub async fn read_logs(
        &self,
        tenant: &TenantId,
        job: JobId,
        after_seq: u64,
        max: usize,
    ) -> Result<Vec<LogChunk>, Error> {
        let replies =
            self.read_subject(subject::LOGS, &subject::log(tenant, job), after_seq, max).await?;
        Ok(replies.into_iter().filter_map(log_chunk).collect())
    }

    /// Up to `max` messages on `subject` of a stream after `after_seq`, in order, from any replica: a
    /// write that was just acknowledged may be missing. Paged as [`read_logs`](Self::read_logs).
    pub async fn read_history(
        &self,
        stream: &str,
        subject: &str,
        after_seq: u64,
        max: usize,
    ) -> Result<Vec<Message>, Error> {
        let replies = self.read_subject(stream, subject, after_seq, max).await?;
        Ok(replies.into_iter().filter_map(|reply| Stored::of(&reply).map(|s| s.message)).collect())
    }

    async fn read_subject(
        &self,
        stream: &str,
        subject: &str,
        after_seq: u64,
        max: usize,
    ) -> Result<Vec<Reply>, Error> {
        // Readers name any number, and after the last of all nothing can come.
        let Some(mut seq) = after_seq.checked_add(1) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.len() < max && bytes < PAGE_BYTES {
            let batch = BATCH.min(max - found.len());
            let (replies, more) = self.direct_get(stream, subject, seq, batch).await?;
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

    /// One batched request: the messages, and whether there are more.
    async fn direct_get(
        &self,
        stream: &str,
        subject: &str,
        seq: u64,
        batch: usize,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        self.answered(&asked, self.direct_get_once(stream, subject, seq, batch)).await?
    }

    async fn direct_get_once(
        &self,
        stream: &str,
        subject: &str,
        seq: u64,
        batch: usize,
    ) -> Result<(Vec<Reply>, bool), Error> {
        let client = &self.inner.client;
        let unavailable = |e: String| Error::Unavailable(format!("reading {subject}: {e}"));
        let inbox = client.new_inbox();
        let mut replies =
            client.subscribe(inbox.clone()).await.map_err(|e| unavailable(e.to_string()))?;
        let request = json!({
            "batch": batch,
            "max_bytes": PAGE_BYTES,
            "seq": seq,
            "next_by_subj": subject,
        });
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
struct Stored {
    message: Message,
    at: Timestamp,
}

impl Stored {
    fn of(reply: &Reply) -> Option<Self> {
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

/// `None` for what no executor wrote.
fn log_chunk(reply: Reply) -> Option<LogChunk> {
    let Stored { message, at } = Stored::of(&reply)?;
    let headers = reply.headers.as_ref()?;
    let stream = match headers.get(STREAM_HEADER)?.as_str() {
        "stdout" => LogStream::Stdout,
        "stderr" => LogStream::Stderr,
        _ => return None,
    };
    let count = |name| headers.get(name)?.as_str().parse::<u64>().ok();
    Some(LogChunk {
        offset: count(OFFSET_HEADER)?,
        length: count(LENGTH_HEADER)?,
        missing: count(MISSING_HEADER).unwrap_or_default(),
        end: headers.get(END_HEADER).is_some(),
        seq: message.seq,
        at,
        attempt: Attempt(u32::from_str(headers.get(ATTEMPT_HEADER)?.as_str()).ok()?),
        stream,
        text: String::from_utf8_lossy(&message.payload).into_owned(),
    })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.as_str().parse().ok()
}
