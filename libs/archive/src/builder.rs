//! Makes a segment from messages that follow one another.

use bytes::Bytes;
use nox_contract::{Chain, FrameNumber};
use nox_protocol::ReadError;
use nox_streams::Message;

use crate::{
    message,
    segment::{BLOCK_BYTES, BlockAt, Index, MAGIC, SegmentInfo, Walk, sha256},
};

/// A segment under way, in memory: what is compressed already, and one open block.
#[derive(Debug)]
pub struct SegmentBuilder {
    after: Walk,
    walk: Walk,
    object: Vec<u8>,
    blocks: Vec<BlockAt>,
    /// Of closed blocks, before compression.
    closed: u64,
    open: Vec<u8>,
    /// The number of the first message in the open block.
    open_first: FrameNumber,
}

/// A segment as it is to lie in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSegment {
    pub n_first: FrameNumber,
    pub n_last: FrameNumber,
    pub chain_before: Chain,
    pub chain_after: Chain,
    /// Of all of `bytes`, as hex digits.
    pub sha256: String,
    /// Of its messages before compression.
    pub raw_bytes: u64,
    pub bytes: Bytes,
}

impl ClosedSegment {
    pub fn info(&self) -> SegmentInfo {
        let Self { n_first, n_last, .. } = *self;
        SegmentInfo { n_first, n_last, bytes: self.bytes.len() as u64 }
    }
}

impl SegmentBuilder {
    /// Begins with the message after `n`, where the chain is `chain`.
    pub fn new(n: FrameNumber, chain: Chain) -> Self {
        let after = Walk { n, chain };
        Self {
            after,
            walk: after,
            object: MAGIC.to_vec(),
            blocks: Vec::new(),
            closed: 0,
            open: Vec::new(),
            open_first: n.next(),
        }
    }

    /// The number of the last message, and the chain after it.
    pub fn end(&self) -> (FrameNumber, Chain) {
        (self.walk.n, self.walk.chain)
    }

    /// Of the messages so far, before compression.
    pub fn raw_bytes(&self) -> u64 {
        self.closed + self.open.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.walk.n == self.after.n
    }

    /// Takes the next message of the log.
    ///
    /// # Errors
    /// It does not follow the one before, by number or by chain; nothing has changed.
    pub fn push(&mut self, message: &Message) -> Result<(), ReadError> {
        self.walk.step(message)?;
        message::append(&mut self.open, message);
        if self.open.len() >= BLOCK_BYTES {
            self.close_block();
        }
        Ok(())
    }

    /// The segment of all messages so far; `None` without any.
    pub fn close(mut self) -> Option<ClosedSegment> {
        if self.is_empty() {
            return None;
        }
        if !self.open.is_empty() {
            self.close_block();
        }
        let Self { after, walk, mut object, blocks, closed, .. } = self;
        let index = Index {
            n_first: after.n.next(),
            n_last: walk.n,
            chain_before: after.chain,
            chain_after: walk.chain,
            sha256: sha256(&object),
            raw_bytes: closed,
            blocks,
        };
        let end = object.len() as u64;
        object.extend(index.encode(end));
        Some(ClosedSegment {
            n_first: index.n_first,
            n_last: index.n_last,
            chain_before: index.chain_before,
            chain_after: index.chain_after,
            sha256: sha256(&object),
            raw_bytes: index.raw_bytes,
            bytes: object.into(),
        })
    }

    fn close_block(&mut self) {
        let content = message::compress(&self.open);
        self.blocks.push(BlockAt {
            n: self.open_first,
            offset: self.object.len() as u64,
            length: content.len() as u64,
            raw: self.open.len() as u64,
            sha256: sha256(&content),
        });
        self.object.extend(content);
        self.closed += self.open.len() as u64;
        self.open.clear();
        self.open_first = self.walk.n.next();
    }
}
