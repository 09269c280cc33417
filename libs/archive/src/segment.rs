//! The format of a segment.
//!
//! ```text
//! magic and version, 8 bytes
//! blocks             zstd with checksum, each of about BLOCK_BYTES of messages
//! index              JSON, see Index
//! trailer            48 bytes: offset and length of the index (little-endian), its SHA-256
//! magic and version, 8 bytes
//! ```
//!
//! One message is found by reading the trailer, the index that it locates, and the one block that the
//! index names. Each of these is checked by what was read before it, so that damage anywhere is an
//! error, and never another message.

use std::ops::Range;

use bytes::Bytes;
use nox_contract::{Chain, FrameHead, FrameNumber, subject};
use nox_protocol::ReadError;
use nox_streams::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ArchiveError, message, name};

/// Begins and ends a segment; the last byte is the version of the format.
pub(crate) const MAGIC: &[u8; 8] = b"NOX-seg\x01";

/// Raw bytes after which a block is closed: whoever reads one message unpacks them all, and below this
/// the compression suffers.
pub(crate) const BLOCK_BYTES: usize = 512 * 1024;

/// Of the trailer and the magic behind it.
pub(crate) const TRAILER_BYTES: usize = 8 + 8 + 32 + MAGIC.len();

/// Most raw bytes of a block: one message less than [`BLOCK_BYTES`], and the largest that a broker takes.
const BLOCK_RAW_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A segment, as its name and its size say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    pub n_first: FrameNumber,
    pub n_last: FrameNumber,
    /// Of the object.
    pub bytes: u64,
}

impl SegmentInfo {
    /// The last part of its name.
    pub fn name(&self) -> String {
        name::file(self.n_first, self.n_last)
    }

    pub fn holds(&self, n: FrameNumber) -> bool {
        self.n_first <= n && n <= self.n_last
    }

    pub(crate) fn damaged(&self, reason: impl ToString) -> ArchiveError {
        ArchiveError::Damaged { segment: self.name(), reason: reason.to_string() }
    }
}

/// What a segment holds, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub n_first: FrameNumber,
    pub n_last: FrameNumber,
    /// The chain before `n_first`.
    pub chain_before: Chain,
    /// The chain after `n_last`.
    pub chain_after: Chain,
    /// Of all that precedes the index, as hex digits.
    pub sha256: String,
    /// Of all messages before compression.
    pub raw_bytes: u64,
    pub blocks: Vec<BlockAt>,
}

/// Where a block is. It ends where the next one begins, the last one where the index does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockAt {
    /// The number of its first message.
    pub n: FrameNumber,
    pub offset: u64,
    pub length: u64,
    /// Before compression.
    pub raw: u64,
    /// Of the block as it lies there, as hex digits.
    pub sha256: String,
}

impl BlockAt {
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.length
    }
}

impl Index {
    /// The index and the trailer, as they follow the last block, which ends at `offset`.
    pub(crate) fn encode(&self, offset: u64) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("names and numbers are always JSON");
        let (length, sha256) = (bytes.len() as u64, Sha256::digest(&bytes));
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&sha256);
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    /// Where the index of a segment of `size` bytes lies, as its trailer says.
    pub(crate) fn locate(trailer: &[u8], size: u64) -> Result<Range<u64>, String> {
        let whole = trailer.len() == TRAILER_BYTES && trailer.ends_with(MAGIC);
        if !whole {
            return Err("it does not end as a segment does: cut off, or of another version".into());
        }
        let number = |at: usize| {
            let bytes = trailer[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let (offset, length) = (number(0), number(8));
        let end = offset.checked_add(length).filter(|_| offset >= MAGIC.len() as u64);
        match end {
            Some(end) if end.checked_add(TRAILER_BYTES as u64) == Some(size) => Ok(offset..end),
            _ => Err("its trailer names no index".into()),
        }
    }

    /// Reads the index that `trailer` locates at `offset`, of the segment that is called `segment`.
    pub(crate) fn decode(
        index: &[u8],
        offset: u64,
        trailer: &[u8],
        segment: &SegmentInfo,
    ) -> Result<Self, String> {
        if Sha256::digest(index).as_slice() != &trailer[16..48] {
            return Err("the SHA-256 of its index is another one".into());
        }
        let index: Self = serde_json::from_slice(index).map_err(|e| format!("its index: {e}"))?;
        if (index.n_first, index.n_last) != (segment.n_first, segment.n_last) {
            return Err(format!("it holds {} to {}", index.n_first, index.n_last));
        }
        index.check(offset)?;
        Ok(index)
    }

    fn check(&self, end: u64) -> Result<(), String> {
        let mut next = MAGIC.len() as u64;
        let mut before = None;
        for block in &self.blocks {
            let follows = match before {
                None => block.n == self.n_first,
                Some(before) => block.n > before && block.n <= self.n_last,
            };
            if block.offset != next || !follows || block.raw > BLOCK_RAW_BYTES_MAX {
                return Err(format!("its index names no block that could be {}", block.n));
            }
            next = next.checked_add(block.length).ok_or("a block has no end")?;
            before = Some(block.n);
        }
        if before.is_none() || next != end {
            return Err("the blocks that its index names do not fill it".into());
        }
        Ok(())
    }

    /// Which block has message `n`.
    pub(crate) fn block_of(&self, n: FrameNumber) -> Option<usize> {
        let within = self.n_first <= n && n <= self.n_last;
        within.then(|| self.blocks.partition_point(|block| block.n <= n) - 1)
    }

    /// The messages of block `place`, which lies there as `content`.
    pub(crate) fn block(&self, place: usize, content: &[u8]) -> Result<Vec<Message>, String> {
        let block = &self.blocks[place];
        let wrong = |reason: String| format!("block {}: {reason}", block.n);
        if sha256(content) != block.sha256 {
            return Err(wrong("its SHA-256 is another one".into()));
        }
        let messages = message::decode(block.n.0, block.raw as usize, content).map_err(wrong)?;
        let next = self.blocks.get(place + 1).map_or(self.n_last.0 + 1, |next| next.n.0);
        if block.n.0 + messages.len() as u64 != next {
            return Err(wrong(format!("{} messages", messages.len())));
        }
        Ok(messages)
    }
}

/// The messages of a whole segment, of which everything is checked that can be.
///
/// # Errors
/// What is wrong with it.
pub fn read(segment: &SegmentInfo, object: &Bytes) -> Result<Vec<Message>, String> {
    let index = verify(segment, object)?;
    let mut messages = Vec::new();
    for (place, block) in index.blocks.iter().enumerate() {
        let range = block.range();
        messages.extend(index.block(place, &object[range.start as usize..range.end as usize])?);
    }
    Ok(messages)
}

/// Reads a whole segment, and checks everything that can be checked of it: each hash, the numbers, and
/// the chain from message to message.
pub(crate) fn verify(segment: &SegmentInfo, object: &Bytes) -> Result<Index, String> {
    let size = object.len();
    let trailer = &object[size.saturating_sub(TRAILER_BYTES)..];
    let at = Index::locate(trailer, size as u64)?;
    let (start, end) = (at.start as usize, at.end as usize);
    let index = Index::decode(&object[start..end], at.start, trailer, segment)?;
    if !object.starts_with(MAGIC) {
        return Err("it does not begin as a segment does".into());
    }
    if sha256(&object[..start]) != index.sha256 {
        return Err("the SHA-256 of its blocks is another one".into());
    }
    let mut walk = Walk { n: FrameNumber(index.n_first.0 - 1), chain: index.chain_before };
    let mut raw_bytes = 0;
    for (place, block) in index.blocks.iter().enumerate() {
        let range = block.range();
        let content = &object[range.start as usize..range.end as usize];
        for message in index.block(place, content)? {
            walk.step(&message).map_err(|error| error.to_string())?;
        }
        raw_bytes += block.raw;
    }
    if (walk.n, walk.chain) != (index.n_last, index.chain_after) {
        return Err(format!("its chain ends in {}, not in {}", walk.chain, index.chain_after));
    }
    if raw_bytes != index.raw_bytes {
        return Err(format!("{raw_bytes} bytes of messages instead of {}", index.raw_bytes));
    }
    Ok(index)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A place in the log that goes from message to message, and checks what
/// [`Reader`](nox_protocol::Reader) checks of numbers and chain, without decoding what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) n: FrameNumber,
    pub(crate) chain: Chain,
}

impl Walk {
    pub(crate) fn step(&mut self, message: &Message) -> Result<(), ReadError> {
        let expected = self.n.next();
        let gap = |found| ReadError::Gap { expected, found };
        if message.seq != expected.0 {
            return Err(gap(FrameNumber(message.seq)));
        }
        if message.subject != subject::EPOCH {
            let FrameHead { n, prev, .. } = FrameHead::read(&message.payload).map_err(|error| {
                ReadError::Undecodable { after: self.n, reason: error.to_string() }
            })?;
            if n != expected {
                return Err(gap(n));
            }
            if Chain::parse(&prev) != Some(self.chain) {
                return Err(ReadError::ChainBroken { n, expected: self.chain, claimed: prev });
            }
        }
        self.n = expected;
        self.chain = self.chain.extend(&message.payload);
        Ok(())
    }
}
