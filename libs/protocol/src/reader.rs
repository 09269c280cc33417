//! Reads the log, and stops where it is not the log that was read before.

use nox_contract::{Chain, EpochRecord, Frame, FrameNumber, Positions, subject};

/// A verified message of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Frame(Box<Frame>),
    Epoch(EpochRecord),
}

/// Why the log cannot be read on. All of these stop the reader: the log or the code is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("gap in the log: expected frame {expected}, found {found}")]
    Gap { expected: FrameNumber, found: FrameNumber },
    #[error("chain broken at frame {n}: it follows {claimed}, but {expected} was read before it")]
    ChainBroken { n: FrameNumber, expected: Chain, claimed: String },
    #[error("frame {n}: positions go back from {before:?} to {found:?}")]
    PositionsGoBack { n: FrameNumber, before: Positions, found: Positions },
    #[error("undecodable message after frame {after}: {reason}")]
    Undecodable { after: FrameNumber, reason: String },
    #[error("the log was rolled back: it ends at {last}, but {position} was read before")]
    LogRegressed { position: u64, last: u64 },
    #[error("the stream was rolled back and has grown since: message {position} is another one")]
    Replaced { position: u64 },
    #[error("the stream is another one: expected incarnation {expected:?}, found {found:?}")]
    OtherIncarnation { expected: String, found: String },
}

/// How far the log was read: the number and the chain together, for neither alone is an identity; and
/// how far its newest frame says that the inputs are consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    n: FrameNumber,
    chain: Chain,
    pos: Positions,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(FrameNumber(0), Chain::START, Positions::default())
    }
}

impl Reader {
    /// Goes on after message `n`, where the chain was `chain` and the inputs consumed up to `pos`.
    pub fn new(n: FrameNumber, chain: Chain, pos: Positions) -> Self {
        Self { n, chain, pos }
    }

    /// The number of the last message read; 0 before the first. The log's stream begins with the first
    /// message and is cut from its beginning only, so this is the message's stream sequence as well.
    pub fn n(&self) -> FrameNumber {
        self.n
    }

    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// How far the inputs are consumed, as the newest frame says.
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
            let frame: Frame = serde_json::from_slice(payload).map_err(undecodable)?;
            if frame.n != n {
                return Err(ReadError::Gap { expected: n, found: frame.n });
            }
            if Chain::parse(&frame.prev) != Some(self.chain) {
                return Err(ReadError::ChainBroken {
                    n,
                    expected: self.chain,
                    claimed: frame.prev,
                });
            }
            if !frame.positions_follow(self.pos) {
                let (before, found) = (self.pos, frame.pos);
                return Err(ReadError::PositionsGoBack { n, before, found });
            }
            Record::Frame(Box::new(frame))
        };
        if let Record::Frame(frame) = &record {
            self.pos = frame.pos;
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
