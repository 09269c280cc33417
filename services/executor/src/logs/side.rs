//! One stream of an attempt: its beginning goes to the broker as it comes, and its end when it has come.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    CHUNK_BYTES,
    mask::{Mask, Masking},
};
use crate::{log_writer::AttemptLog, manifest::Stream};

/// Bytes of the beginning of a stream that are kept: 12 MiB…
pub const HEAD_BYTES: usize = 12 << 20;

/// …and of its end: 4 MiB, which are in memory until then. What is between is read and dropped.
pub const TAIL_BYTES: usize = 4 << 20;

/// Bytes of the end of a stream that are kept for the result rules: 4 MiB.
const TAIL_FOR_RULES: usize = 4 << 20;

/// Bytes of the end of a stream that are kept for an error's message.
pub const TAIL_FOR_ERRORS: usize = 2 * 1024;

/// One stream.
pub struct Side<'s> {
    log: &'s AttemptLog,
    masking: Masking<'s>,
    stream: Stream,
    /// What waits to be a piece.
    buffer: Vec<u8>,
    /// Bytes of the beginning that were taken so far.
    head: usize,
    /// What came after the beginning, as far as it is the end.
    after: Tail,
    /// For rules or errors.
    end: Tail,
}

impl<'s> Side<'s> {
    pub fn new(log: &'s AttemptLog, mask: &'s Mask, stream: Stream, whole: bool) -> Self {
        let most = if whole { TAIL_FOR_RULES } else { TAIL_FOR_ERRORS };
        let masking = mask.begin();
        let (after, end) = (Tail::new(TAIL_BYTES), Tail::new(most));
        Self { log, masking, stream, buffer: Vec::new(), head: 0, after, end }
    }

    /// Whether something waits to be a piece.
    pub fn is_waiting(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Takes what was printed; returns what of it may be seen by now.
    pub fn push<'b>(&mut self, printed: &'b [u8]) -> Cow<'b, [u8]> {
        let seen = self.masking.push(printed);
        self.take(&seen);
        seen
    }

    fn take(&mut self, bytes: &[u8]) {
        self.end.push(bytes);
        let (head, after) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head));
        if !head.is_empty() {
            self.head += head.len();
            self.buffer.extend_from_slice(head);
            if self.head == HEAD_BYTES {
                self.flush(true);
                self.log.note(self.stream, notice());
            } else if self.buffer.len() >= CHUNK_BYTES {
                self.flush(false);
            }
        }
        self.after.push(after);
    }

    /// Hands on what has gathered; at the end also what looks like half a character.
    pub fn flush(&mut self, end: bool) {
        let whole = if end { self.buffer.len() } else { whole_characters(&self.buffer) };
        if whole == 0 {
            return;
        }
        let rest = self.buffer.split_off(whole);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        self.log.add(self.stream, bytes.into());
    }

    /// Nothing follows; returns the end of it.
    pub fn end(mut self) -> Vec<u8> {
        let held = self.masking.end();
        self.take(&held);
        self.flush(true);
        let Tail { bytes, dropped, .. } = self.after.cut();
        let mut bytes = Bytes::from(bytes);
        // Not in the middle of a character.
        let cut = if dropped > 0 { beginning(&bytes) } else { 0 };
        self.log.skip(self.stream, dropped + cut as u64);
        let _ = bytes.split_to(cut);
        while !bytes.is_empty() {
            let most = bytes.len().min(CHUNK_BYTES);
            let length = if most == bytes.len() { most } else { whole_characters(&bytes[..most]) };
            self.log.add(self.stream, bytes.split_to(length.max(1)));
        }
        self.log.end(self.stream);
        self.end.cut().bytes
    }
}

/// What whoever follows a log is told when its beginning is full.
pub fn notice() -> String {
    format!(
        "\n[nox: {HEAD_BYTES} bytes were kept; of what follows, the last {TAIL_BYTES} come at the end]\n"
    )
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

/// How many bytes at the beginning of `bytes` are the rest of a character.
fn beginning(bytes: &[u8]) -> usize {
    let rest = bytes.iter().take(4).take_while(|byte| matches!(byte, 0x80..=0xbf)).count();
    if rest < 4 { rest } else { 0 }
}

/// The last bytes of a stream.
struct Tail {
    bytes: Vec<u8>,
    max: usize,
    /// How many were before those.
    dropped: u64,
}

impl Tail {
    fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, dropped: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cut seldom, so that a flood does not move the tail at every read.
        if self.bytes.len() > 2 * self.max {
            self.drop_down();
        }
    }

    fn drop_down(&mut self) {
        let over = self.bytes.len().saturating_sub(self.max);
        self.bytes.drain(..over);
        self.dropped += over as u64;
    }

    /// Not more than there may be.
    fn cut(mut self) -> Self {
        self.drop_down();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (bytes, rest) in
            [(&b"abc"[..], 0), (&"€a".as_bytes()[1..], 2), (b"\x80\x80\x80\x80\x80", 0), (b"", 0)]
        {
            assert_eq!(beginning(bytes), rest, "{bytes:x?}");
        }
    }
}
