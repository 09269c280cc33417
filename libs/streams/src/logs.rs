//! What running jobs print: chunks, each with its attempt and which of the two streams it is from.

use std::{fmt, future::Future, str::FromStr};

use async_nats::Message as Reply;
use bytes::Bytes;
use nox_contract::{Attempt, JobId, TenantId, Timestamp, subject};

use crate::{Broker, Error, direct::Stored, publish::PublishError};

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
    /// Its number among the chunks of the attempt.
    pub number: u64,
    pub stream: LogStream,
    /// How many bytes the attempt had printed to the stream before these.
    pub offset: u64,
    /// How many of the bytes it printed: all, or none of a word of the executor's own.
    pub length: u64,
    /// How many right before these the executor knows to be missing.
    pub missing: u64,
    /// Nothing follows on this stream of the attempt.
    pub end: bool,
    /// As they were printed, which need not be text.
    pub bytes: Bytes,
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
    /// Fewer than `max` do not mean the end, for a page is bounded by about `bytes_max` as well; none
    /// do. What an attempt's worker has kept until a later attempt printed is not there: the worker was given up,
    /// and what it says changes nothing.
    pub async fn read_logs(
        &self,
        tenant: &TenantId,
        job: JobId,
        after_seq: u64,
        max: usize,
        bytes_max: usize,
    ) -> Result<Vec<LogChunk>, Error> {
        let subject = subject::log(tenant, job);
        let mut newest = Attempt(0);
        let mut from = after_seq;
        loop {
            // The chunk at `from` is read again, for its attempt.
            let before = from.saturating_sub(1);
            let bytes_max = bytes_max + LOG_CHUNK_BYTES_MAX;
            let replies =
                self.read_subject(subject::LOGS, &subject, before, max + 1, bytes_max).await?;
            let chunks: Vec<_> = replies.into_iter().filter_map(log_chunk).collect();
            let last = chunks.last().map(|chunk| chunk.seq);
            let mut page = in_order(chunks, &mut newest);
            page.retain(|chunk| chunk.seq > from);
            page.truncate(max);
            match last.filter(|last| *last > from) {
                // All of them came too late.
                Some(last) if page.is_empty() => from = last,
                _ => return Ok(page),
            }
        }
    }
}

/// The chunks of no earlier attempt than those before them, which are of up to `newest`.
fn in_order(mut chunks: Vec<LogChunk>, newest: &mut Attempt) -> Vec<LogChunk> {
    chunks.retain(|chunk| {
        let is_in_order = chunk.attempt >= *newest;
        *newest = chunk.attempt.max(*newest);
        is_in_order
    });
    chunks
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
    let (_, number) = headers.get(ID_HEADER)?.as_str().rsplit_once('.')?;
    Some(LogChunk {
        number: number.parse().ok()?,
        offset: count(OFFSET_HEADER)?,
        length: count(LENGTH_HEADER)?,
        missing: count(MISSING_HEADER).unwrap_or_default(),
        end: headers.get(END_HEADER).is_some(),
        seq: message.seq,
        at,
        attempt: Attempt(u32::from_str(headers.get(ATTEMPT_HEADER)?.as_str()).ok()?),
        stream,
        bytes: message.payload,
    })
}
