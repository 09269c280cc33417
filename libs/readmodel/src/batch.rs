//! Messages of the log, verified and in order: what one transaction takes in.

use std::fmt;

use bytes::Bytes;
use nox_contract::{Chain, Entry, FRAME_BYTES_MAX, FrameNumber, Timestamp};
use nox_protocol::{ReadError, Reader, Record};

use crate::raw_frame;

/// A message as the log's stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    pub subject: String,
    pub payload: Bytes,
}

/// A message that follows the ones before it, with what it says.
#[derive(Debug, Clone)]
pub struct ReadMessage {
    pub n: FrameNumber,
    /// The chain after this message.
    pub chain: Chain,
    pub message: LogMessage,
    pub record: Record,
}

impl ReadMessage {
    /// The entries of a frame, in order, each with where it stands. The record of a term has none.
    pub fn entries(&self) -> impl Iterator<Item = PlacedEntry<'_>> {
        let frame = match &self.record {
            Record::Frame(frame) => Some(frame),
            Record::Epoch(_) => None,
        };
        frame.into_iter().flat_map(move |frame| {
            let mut facts = 0;
            (0..).zip(&frame.entries).map(move |(place, entry)| {
                let fact_first = facts;
                facts += entry.facts.len() as u32;
                let (n, at, payload) = (self.n, frame.at, &self.message.payload);
                PlacedEntry { n, place, at, fact_first, entry, payload }
            })
        })
    }
}

/// Where in the log an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPlace {
    /// The frame.
    pub n: FrameNumber,
    /// Among the frame's entries, counted from 0.
    pub place: u32,
}

/// Bits of a packed place that count entries. Each has more than a byte, so that no frame has as many.
const PLACE_BITS: u32 = 20;
const PLACE_MAX: u32 = (1 << PLACE_BITS) - 1;
const _: () = assert!(FRAME_BYTES_MAX <= 1 << PLACE_BITS);
/// Largest number of a frame whose place can be packed, which no log gets to.
const PACKED_N_MAX: u64 = i64::MAX.cast_unsigned() >> PLACE_BITS;

impl EntryPlace {
    /// Frame and entry in one number, in the order of the log: the `submitted` of a job's row.
    pub(crate) fn packed(self) -> i64 {
        (self.n.0.min(PACKED_N_MAX).cast_signed() << PLACE_BITS)
            | i64::from(self.place.min(PLACE_MAX))
    }

    pub(crate) fn unpacked(packed: i64) -> Self {
        let packed = packed.cast_unsigned();
        Self { n: FrameNumber(packed >> PLACE_BITS), place: packed as u32 & PLACE_MAX }
    }
}

impl fmt::Display for EntryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}, entry {}", self.n, self.place)
    }
}

/// An entry, and where in the log it stands.
#[derive(Debug, Clone, Copy)]
pub struct PlacedEntry<'a> {
    pub n: FrameNumber,
    pub place: u32,
    /// When its frame was decided.
    pub at: Timestamp,
    /// The place of its first fact among all facts of the frame, counted from 0.
    pub fact_first: u32,
    pub entry: &'a Entry,
    /// Of the frame.
    pub(crate) payload: &'a Bytes,
}

impl PlacedEntry<'_> {
    pub fn stands(&self) -> EntryPlace {
        EntryPlace { n: self.n, place: self.place }
    }

    /// The entry byte for byte.
    pub fn raw(&self) -> Bytes {
        raw_frame::entry(self.payload, self.place)
    }
}

/// A run of the log without a gap.
#[derive(Debug, Clone)]
pub struct Batch {
    start: (FrameNumber, Chain),
    messages: Vec<ReadMessage>,
}

impl Batch {
    /// Verifies and decodes `messages`, the next ones that `reader` has not read.
    ///
    /// This is most of the work that a batch is for the processor, and it touches nothing shared, so
    /// it can be done while the batch before is being committed.
    ///
    /// # Errors
    /// A message does not follow; `reader` stands at the last one that does.
    pub fn read(
        reader: &mut Reader,
        messages: impl IntoIterator<Item = LogMessage>,
    ) -> Result<Self, ReadError> {
        let start = (reader.n(), reader.chain());
        let messages = messages
            .into_iter()
            .map(|message| {
                let record = reader.read(&message.subject, &message.payload)?;
                Ok(ReadMessage { n: reader.n(), chain: reader.chain(), message, record })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { start, messages })
    }

    /// Of messages that a [`Reader`] has read one after the other, the first of them behind `start`.
    pub fn gathered(start: (FrameNumber, Chain), messages: Vec<ReadMessage>) -> Self {
        Self { start, messages }
    }

    /// The place in the log that it follows.
    pub fn start(&self) -> (FrameNumber, Chain) {
        self.start
    }

    /// The place in the log after it.
    pub fn end(&self) -> (FrameNumber, Chain) {
        self.messages.last().map_or(self.start, |message| (message.n, message.chain))
    }

    /// Messages, records of terms included.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn facts(&self) -> u64 {
        let entries = self.messages.iter().flat_map(ReadMessage::entries);
        entries.map(|entry| entry.entry.facts.len() as u64).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn messages(&self) -> &[ReadMessage] {
        &self.messages
    }
}
