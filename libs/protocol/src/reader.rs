//! Reads the log, and stops where it is not the log that was read before.

use nox_contract::{EpochRecord, Event, EventNumber, Positions, event::Chain, subject};

/// A verified message of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Event(Box<Event>),
    Epoch(EpochRecord),
}

/// Why the log cannot be read on. All of these stop the reader: the log or the code is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("gap in the log: expected event {expected}, found {found}")]
    Gap { expected: EventNumber, found: EventNumber },
    #[error("chain broken at event {n}: it follows {claimed}, but {expected} was read before it")]
    ChainBroken { n: EventNumber, expected: Chain, claimed: String },
    #[error("event {n}: positions go back from {before:?} to {found:?}")]
    PositionsGoBack { n: EventNumber, before: Positions, found: Positions },
    #[error("undecodable message after event {after}: {reason}")]
    Undecodable { after: EventNumber, reason: String },
    #[error("the log was rolled back: it ends at {last}, but {position} was read before")]
    LogRegressed { position: u64, last: u64 },
    #[error("the stream was rolled back and has grown since: message {position} is another one")]
    Replaced { position: u64 },
    #[error("the stream is another one: expected incarnation {expected:?}, found {found:?}")]
    OtherIncarnation { expected: String, found: String },
}

/// How far the log was read: the number and the chain together, for neither alone is an identity; and
/// how far its newest event says that the inputs are consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    n: EventNumber,
    chain: Chain,
    pos: Positions,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(EventNumber(0), Chain::START, Positions::default())
    }
}

impl Reader {
    /// Goes on after message `n`, where the chain was `chain` and the inputs consumed up to `pos`.
    pub fn new(n: EventNumber, chain: Chain, pos: Positions) -> Self {
        Self { n, chain, pos }
    }

    /// The number of the last message read; 0 before the first. The log's stream is never purged,
    /// so this is the message's stream sequence as well.
    pub fn n(&self) -> EventNumber {
        self.n
    }

    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// How far the inputs are consumed, as the newest event says, be it an input's last or not.
    pub fn pos(&self) -> Positions {
        self.pos
    }

    /// Checks and decodes the next message. On an error the reader has not moved.
    pub fn read(&mut self, subject: &str, payload: &[u8]) -> Result<Record, ReadError> {
        let n = self.n.next();
        let undecodable =
            |e: serde_json::Error| ReadError::Undecodable { after: self.n, reason: e.to_string() };
        let record = if subject == subject::EPOCH {
            Record::Epoch(serde_json::from_slice(payload).map_err(undecodable)?)
        } else {
            let event: Event = serde_json::from_slice(payload).map_err(undecodable)?;
            if event.n != n {
                return Err(ReadError::Gap { expected: n, found: event.n });
            }
            if Chain::parse(&event.prev) != Some(self.chain) {
                return Err(ReadError::ChainBroken {
                    n,
                    expected: self.chain,
                    claimed: event.prev,
                });
            }
            if !event.positions_follow(self.pos) {
                let (before, found) = (self.pos, event.pos);
                return Err(ReadError::PositionsGoBack { n, before, found });
            }
            Record::Event(Box::new(event))
        };
        if let Record::Event(event) = &record {
            self.pos = event.pos;
        }
        self.n = n;
        self.chain = self.chain.extend(payload);
        Ok(record)
    }
}

/// Checks, at attach and after every reconnect, that a stream is still the one that was read.
///
/// `position` is the stream sequence read last, `last` the one that the stream's leader names.
pub fn check_position(
    expected: &str,
    found: &str,
    position: u64,
    last: u64,
) -> Result<(), ReadError> {
    if expected != found {
        return Err(ReadError::OtherIncarnation {
            expected: expected.to_owned(),
            found: found.to_owned(),
        });
    }
    if last < position {
        return Err(ReadError::LogRegressed { position, last });
    }
    Ok(())
}
