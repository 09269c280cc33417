//! Messages of the log, verified and in order: what one transaction takes in.

use bytes::Bytes;
use nox_contract::{EventNumber, event::Chain};
use nox_protocol::{ReadError, Reader, Record};

use crate::segment::{self, Segment};

/// A message as the log's stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    pub subject: String,
    pub payload: Bytes,
}

/// A message that follows the ones before it, with what it says.
#[derive(Debug, Clone)]
pub struct Entry {
    pub n: EventNumber,
    /// The chain after this message.
    pub chain: Chain,
    pub message: LogMessage,
    pub record: Record,
}

/// A run of the log without a gap.
#[derive(Debug, Clone)]
pub struct Batch {
    start: (EventNumber, Chain),
    entries: Vec<Entry>,
    segments: Vec<Segment>,
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
        let entries = messages
            .into_iter()
            .map(|message| {
                let record = reader.read(&message.subject, &message.payload)?;
                Ok(Entry { n: reader.n(), chain: reader.chain(), message, record })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let segments = segment::encode(&entries);
        Ok(Self { start, entries, segments })
    }

    /// The place in the log that it follows.
    pub fn start(&self) -> (EventNumber, Chain) {
        self.start
    }

    /// The place in the log after it.
    pub fn end(&self) -> (EventNumber, Chain) {
        self.entries.last().map_or(self.start, |entry| (entry.n, entry.chain))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}
