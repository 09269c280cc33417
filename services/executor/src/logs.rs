//! What an attempt prints: kept in pieces, bounded, and never in the attempt's way.

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::sleep,
};

use crate::{log_writer::AttemptLog, manifest::Stream};

/// A piece is handed on when it has this many bytes…
const CHUNK_BYTES: usize = 32 * 1024;

/// …or when its first byte is this old.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Bytes of one attempt's stream that are kept; the rest is read and dropped: 16 MiB.
const STREAM_BYTES_MAX: usize = 16 << 20;

/// Bytes of the end of a stream that are kept for the result rules: 4 MiB.
const TAIL_FOR_RULES: usize = 4 << 20;

/// Bytes of the end of a stream that are kept for an error's message.
const TAIL_FOR_ERRORS: usize = 2 * 1024;

/// Reads one stream of an attempt to its end and returns the end of it. `whole` asks for as much as
/// the result rules may look through.
pub async fn capture(
    log: &AttemptLog,
    stream: Stream,
    source: impl AsyncRead,
    whole: bool,
) -> Vec<u8> {
    let mut source = pin!(source);
    let mut writer = Writer { log, stream, buffer: Vec::new(), kept: 0, left_out: 0 };
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
    log.end(stream, writer.left_out);
    tail.bytes
}

struct Writer<'w> {
    log: &'w AttemptLog,
    stream: Stream,
    buffer: Vec<u8>,
    /// Bytes that were taken so far.
    kept: usize,
    /// Bytes beyond those.
    left_out: u64,
}

impl Writer<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let room = STREAM_BYTES_MAX - self.kept;
        let taken = &bytes[..bytes.len().min(room)];
        self.left_out += (bytes.len() - taken.len()) as u64;
        if room == 0 {
            return;
        }
        self.kept += taken.len();
        self.buffer.extend_from_slice(taken);
        if taken.len() < bytes.len() || self.kept == STREAM_BYTES_MAX {
            self.flush(true);
            let notice = format!("\n[the log ends here: {STREAM_BYTES_MAX} bytes were kept]\n");
            self.log.note(self.stream, notice);
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
        let bytes = std::mem::replace(&mut self.buffer, rest);
        self.log.add(self.stream, bytes.into());
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
    use nox_contract::StartWork;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::{log_buffer::Piece, log_writer::Logs, metrics::Metrics, start_work::start_work};

    fn start() -> StartWork {
        start_work("0193a000-0000-7000-8000-000000000001".parse().unwrap(), "{}")
    }

    fn logs() -> Logs {
        Logs::new(Metrics::register(&prometheus::Registry::new()).unwrap())
    }

    fn store(logs: &Logs) -> Option<Piece> {
        let sent = logs.next_piece()?;
        logs.stored(&sent, Duration::ZERO);
        Some(sent.piece)
    }

    #[tokio::test]
    async fn a_line_is_handed_on_soon_though_the_attempt_goes_on() {
        let logs = logs();
        let log = logs.open(&start());
        let (mut program, stream) = tokio::io::duplex(64);
        let task = tokio::spawn(async move { capture(&log, Stream::Stdout, stream, false).await });
        program.write_all(b"hello\n").await.unwrap();
        tokio::time::timeout(10 * FLUSH_AFTER, logs.more()).await.unwrap();
        let piece = store(&logs).unwrap();
        assert_eq!((&piece.bytes[..], piece.stream), (&b"hello\n"[..], Stream::Stdout));
        drop(program);
        assert_eq!(task.await.unwrap(), b"hello\n");
        assert!(store(&logs).unwrap().end);
    }

    #[tokio::test]
    async fn a_flood_is_cut_off_with_a_notice_and_read_to_its_end() {
        let logs = logs();
        let log = logs.open(&start());
        let flood = vec![b'x'; STREAM_BYTES_MAX + 1_000_000];
        let capture = capture(&log, Stream::Stderr, &flood[..], false);
        let mut pieces = Vec::new();
        let store_all = async {
            while pieces.last().is_none_or(|piece: &Piece| !piece.end) {
                match store(&logs) {
                    Some(piece) => pieces.push(piece),
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let (tail, ()) = tokio::join!(capture, store_all);
        assert!(tail.len() <= 2 * TAIL_FOR_ERRORS);
        let printed: u64 = pieces.iter().map(|piece| piece.length).sum();
        let missing: u64 = pieces.iter().map(|piece| piece.missing).sum();
        assert_eq!((printed, missing), (STREAM_BYTES_MAX as u64, 1_000_000));
        let notice = &pieces[pieces.len() - 2];
        assert!(notice.bytes.ends_with(b"bytes were kept]\n") && notice.length == 0);
        assert!(pieces.iter().all(|piece| piece.bytes.len() <= 2 * CHUNK_BYTES));
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
