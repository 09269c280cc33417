//! Messages as blocks hold them: subject and payload, byte for byte, each after its length.

use bytes::Bytes;
use nox_streams::Message;

/// Level 1 keeps nearly all of what higher levels save on JSON that repeats itself, at the lowest cost.
const ZSTD_LEVEL: i32 = 1;

/// With a checksum, so that damage is an error and never another message.
pub(crate) fn compress(raw: &[u8]) -> Vec<u8> {
    let compress = || {
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        compressor.include_checksum(true)?;
        compressor.compress(raw)
    };
    compress().expect("compressing in memory has no way to fail")
}

pub(crate) fn append(raw: &mut Vec<u8>, message: &Message) {
    for part in [message.subject.as_bytes(), &message.payload] {
        let length = u32::try_from(part.len()).expect("the broker takes no message of 4 GiB");
        raw.extend_from_slice(&length.to_le_bytes());
        raw.extend_from_slice(part);
    }
}

/// Unpacks a block of `bytes` raw bytes whose first message is number `first`; on an error says what is
/// wrong with it.
pub(crate) fn decode(first: u64, bytes: usize, content: &[u8]) -> Result<Vec<Message>, String> {
    let raw = zstd::bulk::decompress(content, bytes).map_err(|e| e.to_string())?;
    if raw.len() != bytes {
        return Err(format!("{} bytes instead of {bytes}", raw.len()));
    }
    let raw = Bytes::from(raw);
    let mut messages = Vec::new();
    let mut at = 0;
    let mut seq = first;
    while at < raw.len() {
        let mut part = || {
            let length = raw.get(at..at + 4)?.try_into().map(u32::from_le_bytes).ok()? as usize;
            let start = at + 4;
            at = start.checked_add(length).filter(|end| *end <= raw.len())?;
            Some(raw.slice(start..at))
        };
        let (Some(subject), Some(payload)) = (part(), part()) else {
            return Err("a message is cut off".to_owned());
        };
        let subject = String::from_utf8(subject.into()).map_err(|e| e.to_string())?;
        messages.push(Message { seq, subject, payload });
        seq += 1;
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD: &[u8] = b"{\"n\": 1, \"prev\": \"b3:00\", \"entries\": []}";

    fn raw(messages: &[Message]) -> Vec<u8> {
        let mut raw = Vec::new();
        messages.iter().for_each(|message| append(&mut raw, message));
        raw
    }

    fn message() -> Message {
        Message { seq: 1, subject: "nox.evt".to_owned(), payload: Bytes::from_static(PAYLOAD) }
    }

    proptest! {
        #[test]
        fn messages_are_read_back(
            parts in prop::collection::vec(("[a-z.]{0,20}", prop::collection::vec(any::<u8>(), 0..99)), 0..9)
        ) {
            let messages: Vec<_> = (7..)
                .zip(parts)
                .map(|(seq, (subject, payload))| Message { seq, subject, payload: payload.into() })
                .collect();
            let raw = raw(&messages);
            prop_assert_eq!(decode(7, raw.len(), &compress(&raw)).unwrap(), messages);
        }

        #[test]
        fn damage_is_an_error_and_no_panic(cut in 1usize..60, bytes in 0usize..99) {
            let raw = raw(&[message()]);
            let cut = &raw[..raw.len() - cut.min(raw.len() - 1)];
            prop_assert!(decode(1, cut.len(), &compress(cut)).is_err());
            if bytes != raw.len() {
                prop_assert!(decode(1, bytes, &compress(&raw)).is_err());
            }
            prop_assert!(decode(1, raw.len(), cut).is_err());
        }

        #[test]
        fn a_flipped_bit_is_never_another_message(place in any::<prop::sample::Index>(), bit in 0..8) {
            let raw = raw(&[message()]);
            let mut content = compress(&raw);
            *place.get_mut(&mut content) ^= 1u8 << bit;
            // A few bits of zstd's header say nothing about the content.
            if let Ok(read) = decode(1, raw.len(), &content) {
                prop_assert_eq!(read, vec![message()]);
            }
        }
    }
}
