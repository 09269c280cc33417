//! Raw messages of the log, many to a row: a row each would cost more than all other rows together.

use nox_contract::{Chain, FrameNumber};

use crate::batch::{LogMessage, ReadMessage};

/// Raw bytes after which a segment is closed: as many as a full frame has, so those stand alone, and
/// small ones share. Whoever reads one job's history decompresses whole segments, so they must stay
/// small; below this the compression suffers.
const SEGMENT_BYTES: usize = 256 * 1024;

/// Level 1 keeps nearly all of what higher levels save on JSON that repeats itself, at the lowest cost.
const ZSTD_LEVEL: i32 = 1;

/// Messages `n_first` to `n_last`, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub n_first: FrameNumber,
    pub n_last: FrameNumber,
    /// The chain after `n_last`.
    pub chain: Chain,
    /// Length of the content before compression.
    pub bytes: usize,
    pub content: Vec<u8>,
}

/// A segment that does not hold what it should.
#[derive(Debug, thiserror::Error)]
#[error("segment {n_first} is damaged: {reason}")]
pub struct DamagedSegment {
    pub n_first: FrameNumber,
    pub reason: String,
}

/// Packs messages; each segment but the last holds [`SEGMENT_BYTES`] or one message more.
pub(crate) fn encode(messages: &[ReadMessage]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut raw = Vec::new();
    let mut n_first = None;
    for (index, read) in messages.iter().enumerate() {
        n_first.get_or_insert(read.n);
        append(&mut raw, &read.message);
        if raw.len() < SEGMENT_BYTES && index + 1 < messages.len() {
            continue;
        }
        segments.push(Segment {
            n_first: n_first.take().unwrap_or(read.n),
            n_last: read.n,
            chain: read.chain,
            bytes: raw.len(),
            content: compress(&raw),
        });
        raw.clear();
    }
    segments
}

/// With a checksum, so that damage is an error and never another message.
fn compress(raw: &[u8]) -> Vec<u8> {
    let compress = || {
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        compressor.include_checksum(true)?;
        compressor.compress(raw)
    };
    compress().expect("compressing in memory has no way to fail")
}

/// Appends one message in the form that segments hold and content hashes are taken of.
pub(crate) fn append(raw: &mut Vec<u8>, message: &LogMessage) {
    for part in [message.subject.as_bytes(), &message.payload] {
        let length = u32::try_from(part.len()).expect("the broker takes no message of 4 GiB");
        raw.extend_from_slice(&length.to_le_bytes());
        raw.extend_from_slice(part);
    }
}

/// Unpacks the content of the segment that begins at `n_first`, `bytes` long when unpacked.
pub(crate) fn decode(
    n_first: FrameNumber,
    bytes: usize,
    content: &[u8],
) -> Result<Vec<LogMessage>, DamagedSegment> {
    let damaged = |reason: String| DamagedSegment { n_first, reason };
    let raw = zstd::bulk::decompress(content, bytes).map_err(|e| damaged(e.to_string()))?;
    if raw.len() != bytes {
        return Err(damaged(format!("{} bytes instead of {bytes}", raw.len())));
    }
    let raw = bytes::Bytes::from(raw);
    let mut messages = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let mut part = || {
            let length = raw.get(at..at + 4)?.try_into().map(u32::from_le_bytes).ok()? as usize;
            let start = at + 4;
            at = start.checked_add(length).filter(|end| *end <= raw.len())?;
            Some(raw.slice(start..at))
        };
        let (Some(subject), Some(payload)) = (part(), part()) else {
            return Err(damaged("a message is cut off".to_owned()));
        };
        let subject = String::from_utf8(subject.into()).map_err(|e| damaged(e.to_string()))?;
        messages.push(LogMessage { subject, payload });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn raw(messages: &[LogMessage]) -> Vec<u8> {
        let mut raw = Vec::new();
        messages.iter().for_each(|message| append(&mut raw, message));
        raw
    }

    proptest! {
        #[test]
        fn messages_are_read_back(
            parts in prop::collection::vec(("[a-z.]{0,20}", prop::collection::vec(any::<u8>(), 0..99)), 0..9)
        ) {
            let messages: Vec<_> = parts
                .into_iter()
                .map(|(subject, payload)| LogMessage { subject, payload: Bytes::from(payload) })
                .collect();
            let raw = raw(&messages);
            let read = decode(FrameNumber(1), raw.len(), &compress(&raw)).unwrap();
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn damage_is_an_error_and_no_panic(cut in 1usize..60, bytes in 0usize..99) {
            let payload = Bytes::from_static(b"{\"n\": 1, \"prev\": \"b3:00\", \"entries\": []}");
            let raw = raw(&[LogMessage { subject: "nox.evt".to_owned(), payload }]);
            let cut = &raw[..raw.len() - cut.min(raw.len() - 1)];
            prop_assert!(decode(FrameNumber(1), cut.len(), &compress(cut)).is_err());
            if bytes != raw.len() {
                prop_assert!(decode(FrameNumber(1), bytes, &compress(&raw)).is_err());
            }
            prop_assert!(decode(FrameNumber(1), raw.len(), cut).is_err());
        }

        #[test]
        fn a_flipped_bit_is_never_another_message(place in any::<prop::sample::Index>(), bit in 0..8) {
            let payload = Bytes::from_static(b"{\"n\": 1, \"prev\": \"b3:00\", \"entries\": []}");
            let message = LogMessage { subject: "nox.evt".to_owned(), payload };
            let raw = raw(std::slice::from_ref(&message));
            let mut content = compress(&raw);
            *place.get_mut(&mut content) ^= 1u8 << bit;
            // A few bits of zstd's header say nothing about the content.
            if let Ok(read) = decode(FrameNumber(1), raw.len(), &content) {
                prop_assert_eq!(read, vec![message]);
            }
        }
    }
}
