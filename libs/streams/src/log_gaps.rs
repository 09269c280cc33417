//! What of a log is missing, and what is there twice, as its chunks themselves tell.

use std::collections::BTreeMap;

use crate::logs::{LogChunk, LogStream};

/// How far the streams of a job's attempts were read.
#[derive(Debug, Clone)]
pub struct LogGaps {
    read_up_to: BTreeMap<(u32, LogStream), u64>,
    /// The number of the newest word of an executor's own in each attempt's log, which no offset tells
    /// from one that is there twice.
    last_word: BTreeMap<u32, u64>,
    from_start: bool,
}

impl LogGaps {
    /// For chunks from the first one on, or from somewhere in the middle.
    pub fn new(from_start: bool) -> Self {
        Self { read_up_to: BTreeMap::new(), last_word: BTreeMap::new(), from_start }
    }

    /// How many bytes are missing right before the next chunk; `None` if it was there before.
    ///
    /// What an executor knows to be missing, its chunks say. The broker may have dropped chunks since,
    /// the oldest for want of room, and may have stored one twice that was sent again much later.
    pub fn before(&mut self, chunk: &LogChunk) -> Option<u64> {
        let key = (chunk.attempt.0, chunk.stream);
        let begins = chunk.offset.saturating_sub(chunk.missing);
        let ends = chunk.offset.saturating_add(chunk.length);
        let before = match self.read_up_to.get(&key) {
            Some(read) => *read,
            None if self.from_start => 0,
            None => begins,
        };
        let is_word = chunk.length == 0 && chunk.missing == 0;
        let again = if is_word {
            let last = self.last_word.get(&chunk.attempt.0);
            last.is_some_and(|last| chunk.number <= *last)
        } else {
            ends <= before
        };
        if again {
            return None;
        }
        if is_word {
            self.last_word.insert(chunk.attempt.0, chunk.number);
        }
        self.read_up_to.insert(key, ends.max(before));
        Some(chunk.missing + begins.saturating_sub(before))
    }
}

/// A log in one piece, byte for byte as it was printed, with a line where something is missing.
#[derive(Debug, Clone)]
pub struct LogText {
    gaps: LogGaps,
    mid_line: bool,
}

impl LogText {
    /// As [`LogGaps::new`].
    pub fn new(from_start: bool) -> Self {
        Self { gaps: LogGaps::new(from_start), mid_line: false }
    }

    /// The next chunk's part of it.
    pub fn of(&mut self, chunk: &LogChunk) -> Vec<u8> {
        let Some(missing) = self.gaps.before(chunk) else { return Vec::new() };
        self.with_gap(missing, chunk.stream.as_str(), &chunk.bytes)
    }

    /// The same for a chunk that somebody else has compared already.
    pub fn with_gap(&mut self, missing: u64, stream: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if missing > 0 {
            let newline = if self.mid_line { "\n" } else { "" };
            let gap = format!("{newline}[nox: {missing} bytes of {stream} are missing here]\n");
            out = gap.into_bytes();
        }
        out.extend_from_slice(bytes);
        self.mid_line = if out.is_empty() { self.mid_line } else { !out.ends_with(b"\n") };
        out
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{Attempt, Timestamp};

    use super::*;

    fn chunk(offset: u64, missing: u64, text: &str) -> LogChunk {
        LogChunk {
            seq: 1,
            at: Timestamp::default(),
            attempt: Attempt(1),
            number: 0,
            stream: LogStream::Stdout,
            offset,
            length: text.len() as u64,
            missing,
            end: false,
            bytes: text.to_owned().into(),
        }
    }

    #[test]
    fn what_is_missing_is_counted_whoever_knows_of_it() {
        let mut gaps = LogGaps::new(true);
        // The broker dropped the first 5, the executor the next 2.
        assert_eq!(gaps.before(&chunk(7, 2, "abc")), Some(7));
        assert_eq!(gaps.before(&chunk(10, 0, "def")), Some(0));
        assert_eq!(gaps.before(&chunk(10, 0, "def")), None);
        assert_eq!(gaps.before(&chunk(20, 7, "")), Some(7));
        let other = LogChunk { attempt: Attempt(2), ..chunk(0, 0, "a") };
        assert_eq!(gaps.before(&other), Some(0));
        // Nobody knows what was before the middle.
        let mut gaps = LogGaps::new(false);
        assert_eq!(gaps.before(&chunk(7, 2, "abc")), Some(2));
    }

    #[test]
    fn a_word_of_the_executors_own_is_shown_once_however_often_it_is_sent() {
        let word = |number, end, text: &str| {
            let stream = if number < 4 { LogStream::Stdout } else { LogStream::Stderr };
            let bytes = text.to_owned().into();
            LogChunk { number, stream, length: 0, end, bytes, ..chunk(2, 0, "") }
        };
        let printed = |number, text| LogChunk { number, ..chunk(2 * number, 0, text) };
        let sent = [printed(0, "ab"), word(1, false, "[enough]\n"), word(2, true, "")];
        let more = [word(4, false, "[here as well]\n"), word(5, true, "")];
        let mut text = LogText::new(true);
        let mut all = Vec::new();
        // The connection was lost: what was stored lately came a second time.
        for chunk in sent.iter().chain(&sent[1..]).chain(&sent).chain(&more).chain(&more) {
            all.extend(text.of(chunk));
        }
        let all = String::from_utf8(all).unwrap();
        let gap = "[nox: 2 bytes of stderr are missing here]\n";
        assert_eq!(all, format!("ab[enough]\n{gap}[here as well]\n"));
    }

    #[test]
    fn a_gap_is_a_line_of_its_own() {
        let mut text = LogText::new(true);
        let mut all = Vec::new();
        for chunk in [chunk(0, 0, "ab"), chunk(5, 3, "cd\n"), chunk(9, 1, ""), chunk(9, 0, "")] {
            all.extend(text.of(&chunk));
        }
        let all = String::from_utf8(all).unwrap();
        let line = |bytes| format!("[nox: {bytes} bytes of stdout are missing here]\n");
        assert_eq!(all, format!("ab\n{}cd\n{}", line(3), line(1)));
    }
}
