//! What an attempt prints: kept in chunks, bounded, and never in the attempt's way.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use nox_contract::{Attempt, JobId, StartWork, TenantId};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    time::sleep,
};

use crate::manifest::Stream;

/// A chunk is sent when it has this many bytes…
const CHUNK_BYTES: usize = 32 * 1024;

/// …or when its first byte is this old.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Largest chunk: what one read may add to one that is nearly full.
const CHUNK_BYTES_MAX: usize = 2 * CHUNK_BYTES;

/// Bytes of one attempt's stream that are kept; the rest is read and dropped: 16 MiB.
const STREAM_BYTES_MAX: usize = 16 << 20;

/// Chunks that wait for the broker, over all attempts: at most 32 MiB. Beyond that they are dropped,
/// for a job must not stand still because its log cannot be written.
pub const CHUNKS_WAITING_MAX: usize = 512;

/// Bytes of the end of a stream that are kept for the result rules: 4 MiB.
const TAIL_FOR_RULES: usize = 4 << 20;

/// Bytes of the end of a stream that are kept for an error's message.
const TAIL_FOR_ERRORS: usize = 2 * 1024;

/// A piece of what an attempt printed; it does not cut a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub tenant: TenantId,
    pub job_id: JobId,
    pub attempt: Attempt,
    pub stream: Stream,
    pub bytes: Bytes,
}

/// Reads one stream of an attempt to its end and returns the end of it. `whole` asks for as much as
/// the result rules may look through.
pub async fn capture(
    start: &StartWork,
    stream: Stream,
    source: impl AsyncRead,
    whole: bool,
    chunks: &mpsc::Sender<Chunk>,
) -> Vec<u8> {
    let mut source = pin!(source);
    let mut writer = Writer { start, stream, chunks, buffer: Vec::new(), kept: 0, lost: 0 };
    let mut tail =
        Tail { bytes: Vec::new(), max: if whole { TAIL_FOR_RULES } else { TAIL_FOR_ERRORS } };
    let mut flush = pin!(sleep(FLUSH_AFTER));
    let mut read = Vec::with_capacity(CHUNK_BYTES);
    loop {
        read.clear();
        tokio::select! {
            count = source.read_buf(&mut read) => {
                // An error is the end as well: the other side is gone.
                if count.unwrap_or(0) == 0 {
                    break;
                }
                if writer.buffer.is_empty() {
                    flush.set(sleep(FLUSH_AFTER));
                }
                tail.push(&read);
                writer.push(&read);
            }
            () = &mut flush, if !writer.buffer.is_empty() => {
                writer.flush(false);
                // Half a character may have stayed.
                flush.set(sleep(FLUSH_AFTER));
            }
        }
    }
    writer.flush(true);
    tail.bytes
}

struct Writer<'w> {
    start: &'w StartWork,
    stream: Stream,
    chunks: &'w mpsc::Sender<Chunk>,
    buffer: Vec<u8>,
    /// Bytes that were taken so far.
    kept: usize,
    /// Bytes that could not be handed on since the last word about that.
    lost: usize,
}

impl Writer<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let room = STREAM_BYTES_MAX - self.kept;
        if room == 0 {
            return;
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.kept += taken.len();
        self.buffer.extend_from_slice(taken);
        if taken.len() < bytes.len() || self.kept == STREAM_BYTES_MAX {
            let notice = format!("\n[the log ends here: {STREAM_BYTES_MAX} bytes were kept]\n");
            self.buffer.extend_from_slice(notice.as_bytes());
            self.flush(true);
        } else if self.buffer.len() >= CHUNK_BYTES {
            self.flush(false);
        }
    }

    /// Hands on what was gathered; at the end also what looks like half a character.
    fn flush(&mut self, end: bool) {
        let whole = if end { self.buffer.len() } else { whole_characters(&self.buffer) };
        if whole == 0 {
            return;
        }
        let rest = self.buffer.split_off(whole);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        if self.lost > 0 {
            let notice = format!("[{} bytes of the log were lost here]\n", self.lost);
            bytes.splice(0..0, notice.into_bytes());
        }
        debug_assert!(bytes.len() <= CHUNK_BYTES_MAX + 256);
        let length = whole;
        let StartWork { tenant, job_id, attempt, .. } = self.start;
        let chunk = Chunk {
            tenant: tenant.clone(),
            job_id: *job_id,
            attempt: *attempt,
            stream: self.stream,
            bytes: bytes.into(),
        };
        match self.chunks.try_send(chunk) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += length,
        }
    }
}

/// The length of `bytes` without a character at its end that is cut. What is no UTF-8 at all counts
/// as whole.
fn whole_characters(bytes: &[u8]) -> usize {
    // A character has at most 4 bytes, so a cut one shows its first byte among the last 3.
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let needed = match bytes[at] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return bytes.len(),
        };
        return if needed > back { at } else { bytes.len() };
    }
    bytes.len()
}

/// The last bytes of a stream.
struct Tail {
    bytes: Vec<u8>,
    max: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cut seldom, so that a flood does not move the tail at every read.
        if self.bytes.len() > 2 * self.max {
            self.bytes.drain(..self.bytes.len() - self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{EventNumber, RawJson, Resources, Token, WorkNumber};
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn start() -> StartWork {
        let job_id = "0193a000-0000-7000-8000-000000000001".parse().unwrap();
        StartWork {
            number: WorkNumber(1),
            job_id,
            attempt: Attempt(1),
            token: Token::compute(&[0; 32], job_id, Attempt(1), EventNumber(1)),
            tenant: "acme".parse().unwrap(),
            user_id: "ada".parse().unwrap(),
            module: "m".parse().unwrap(),
            inputs: RawJson::default(),
            resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
            traceparent: None,
        }
    }

    fn drain(chunks: &mut mpsc::Receiver<Chunk>) -> Vec<Bytes> {
        std::iter::from_fn(|| chunks.try_recv().ok()).map(|chunk| chunk.bytes).collect()
    }

    #[tokio::test]
    async fn a_line_is_handed_on_soon_though_the_attempt_goes_on() {
        let (sender, mut receiver) = mpsc::channel(9);
        let (mut program, stream) = tokio::io::duplex(64);
        let task =
            tokio::spawn(
                async move { capture(&start(), Stream::Stdout, stream, false, &sender).await },
            );
        program.write_all(b"hello\n").await.unwrap();
        let chunk = tokio::time::timeout(10 * FLUSH_AFTER, receiver.recv()).await.unwrap().unwrap();
        assert_eq!((&chunk.bytes[..], chunk.stream), (&b"hello\n"[..], Stream::Stdout));
        drop(program);
        assert_eq!(task.await.unwrap(), b"hello\n");
    }

    #[tokio::test]
    async fn a_flood_is_cut_off_with_a_notice_and_read_to_its_end() {
        let (sender, mut receiver) = mpsc::channel(CHUNKS_WAITING_MAX + 1);
        let flood = vec![b'x'; STREAM_BYTES_MAX + 1_000_000];
        let tail = capture(&start(), Stream::Stderr, &flood[..], false, &sender).await;
        assert!(tail.len() <= 2 * TAIL_FOR_ERRORS);
        let chunks = drain(&mut receiver);
        let total: usize = chunks.iter().map(Bytes::len).sum();
        assert!((STREAM_BYTES_MAX..STREAM_BYTES_MAX + 100).contains(&total), "{total}");
        assert!(chunks.last().unwrap().ends_with(b"bytes were kept]\n"));
        assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK_BYTES_MAX + 256));
    }

    #[tokio::test]
    async fn what_nobody_takes_is_dropped_and_said_to_be() {
        let (sender, mut receiver) = mpsc::channel(1);
        let (mut program, stream) = tokio::io::duplex(64);
        let task =
            tokio::spawn(
                async move { capture(&start(), Stream::Stdout, stream, false, &sender).await },
            );
        for line in [&b"first\n"[..], b"second\n"] {
            program.write_all(line).await.unwrap();
            sleep(2 * FLUSH_AFTER).await;
        }
        assert_eq!(drain(&mut receiver), ["first\n"]);
        program.write_all(b"third\n").await.unwrap();
        drop(program);
        task.await.unwrap();
        assert_eq!(drain(&mut receiver), ["[7 bytes of the log were lost here]\nthird\n"]);
    }

    #[test]
    fn characters_are_not_cut() {
        for (bytes, whole) in [
            (&b"abc"[..], 3),
            ("aä".as_bytes(), 3),
            (&"aä".as_bytes()[..2], 1),
            (&"€".as_bytes()[..2], 0),
            ("€".as_bytes(), 3),
            (&"😀".as_bytes()[..3], 0),
            (b"a\xff", 2),
            (b"\x80\x80\x80\x80", 4),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:x?}");
        }
    }
}
