//! Gets frames into the log in order, or finds out that it may not.
//!
//! Every append names the epoch and the sequence that it must follow, so the broker refuses both a
//! deposed leader and a hole. Whatever is not a clean acknowledgement is *unknown*: the appender
//! stops, reads the tail of the stream, compares, and goes on at the first missing frame.

use std::collections::VecDeque;

use bytes::Bytes;
use nox_contract::{FrameNumber, Positions};

use crate::{faults::Faults, sequencer::SealedFrame};

/// What the broker is to check before it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The sequence of the newest epoch record. `None` only in negative controls.
    pub epoch_seq: Option<u64>,
    /// The last sequence of the stream. `None` only in negative controls.
    pub last_seq: Option<u64>,
}

/// What to do for the appender.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendEffect {
    Append {
        guard: Guard,
        frame: SealedFrame,
    },
    /// Read the stream from this sequence to its end, from its leader.
    ReadTail {
        from: u64,
    },
}

/// Why this leader is none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Deposed {
    #[error("the log continues at {seq} with what this leader did not write")]
    Foreign { seq: u64 },
    #[error("the log ends at {last}, but {acked} was acknowledged")]
    Regressed { last: u64, acked: u64 },
}

#[derive(Debug)]
enum Mode {
    Writing,
    /// An outcome is unknown, and the tail was not asked for yet.
    Unsure,
    /// The tail was asked for.
    Reading,
    Deposed,
}

/// See the head of this file. The stream's sequence of a frame is its `n`: the stream begins with the
/// first message, and is cut from its beginning only.
#[derive(Debug)]
pub struct Appender {
    epoch_seq: u64,
    window: usize,
    faults: Faults,
    mode: Mode,
    /// Everything up to here is in the log.
    acked: u64,
    /// The frame that stands there, once there is one of ours.
    last: Option<Bytes>,
    /// How far the inputs are consumed, as what is in the log says.
    acked_pos: Positions,
    /// The last sequence that was sent.
    sent: u64,
    /// Frames that are not known to be in the log, in order.
    unacked: VecDeque<SealedFrame>,
    /// How many of them are in flight: the first ones. Of the others there may be earlier copies on
    /// their way.
    in_flight: usize,
}

impl Appender {
    /// For the term whose record has the sequence `epoch_seq`, which is the end of the log. Up to
    /// there the log says that the inputs are consumed as far as `pos`. At most `window` frames are in
    /// flight: 1 where the stream has several replicas, for the broker refuses a second.
    pub fn new(epoch_seq: u64, pos: Positions, window: usize, faults: Faults) -> Self {
        Self {
            epoch_seq,
            window,
            faults,
            mode: Mode::Writing,
            acked: epoch_seq,
            last: None,
            acked_pos: pos,
            sent: epoch_seq,
            unacked: VecDeque::new(),
            in_flight: 0,
        }
    }

    /// Everything up to this frame is in the log.
    pub fn acked(&self) -> FrameNumber {
        FrameNumber(self.acked)
    }

    /// How far the log says that the inputs are consumed: what may be removed of them.
    pub fn acked_pos(&self) -> Positions {
        self.acked_pos
    }

    /// Frames that are not known to be in the log.
    pub fn backlog(&self) -> usize {
        self.unacked.len()
    }

    /// Whether a frame that is pushed now would be sent at once.
    pub fn has_room(&self) -> bool {
        matches!(self.mode, Mode::Writing) && self.unacked.len() < self.window
    }

    pub fn push(&mut self, frame: SealedFrame) {
        self.unacked.push_back(frame);
    }

    /// What to do next; ask until there is nothing.
    pub fn poll(&mut self) -> Option<AppendEffect> {
        match self.mode {
            Mode::Unsure => {
                self.mode = Mode::Reading;
                // With our own last frame: a log that lost its end, and got as long again by another's
                // frames, has nothing behind it that would tell.
                Some(AppendEffect::ReadTail { from: self.acked + u64::from(self.last.is_none()) })
            }
            Mode::Writing if self.in_flight < self.window => {
                let frame = self.unacked.get(self.in_flight)?.clone();
                let guard = Guard {
                    epoch_seq: (!self.faults.epoch_guard_off).then_some(self.epoch_seq),
                    last_seq: (!self.faults.predicted_sequence_off).then_some(self.sent),
                };
                self.in_flight += 1;
                self.sent += 1;
                Some(AppendEffect::Append { guard, frame })
            }
            Mode::Writing | Mode::Reading | Mode::Deposed => None,
        }
    }

    /// The broker stored frame `n` at `seq`. As it was to follow its predecessor, that one is stored
    /// as well, whatever became of its acknowledgement.
    pub fn on_stored(&mut self, n: FrameNumber, seq: u64) {
        if !matches!(self.mode, Mode::Writing) {
            // The tail that is being read says so too.
            return;
        }
        let Some(place) = self.unacked.iter().take(self.in_flight).position(|frame| frame.n == n)
        else {
            // What a later acknowledgement, or the tail, has said already.
            return;
        };
        if seq != n.0 && !self.faults.predicted_sequence_off && !self.faults.blind_resend {
            self.mode = Mode::Unsure;
            return;
        }
        for frame in self.unacked.drain(..=place) {
            self.acked_pos = frame.pos;
            self.last = Some(frame.payload);
        }
        self.in_flight -= place + 1;
        self.acked = seq;
    }

    /// Anything else happened: a refusal, a time-out, a lost connection.
    pub fn on_unknown(&mut self) {
        if matches!(self.mode, Mode::Writing) {
            self.mode = Mode::Unsure;
        }
    }

    /// The tail could not be read; it is asked for again.
    pub fn on_tail_failed(&mut self) {
        if matches!(self.mode, Mode::Reading) {
            self.mode = Mode::Unsure;
        }
    }

    /// The stream ends at `last` and has these payloads from what is asked for on.
    ///
    /// All that was ever sent may stand there, also what is to be sent again: earlier copies of it
    /// were still on their way when the tail was read before.
    pub fn on_tail(&mut self, last: u64, tail: &[(u64, Bytes)]) -> Result<(), Deposed> {
        if !matches!(self.mode, Mode::Reading) {
            return Ok(());
        }
        if self.faults.blind_resend {
            self.acked = last;
        } else {
            if last < self.acked {
                self.mode = Mode::Deposed;
                return Err(Deposed::Regressed { last, acked: self.acked });
            }
            let tail = match tail {
                [(seq, payload), behind @ ..] if *seq == self.acked => {
                    if self.last.as_ref().is_some_and(|last| last != payload) {
                        self.mode = Mode::Deposed;
                        return Err(Deposed::Foreign { seq: *seq });
                    }
                    behind
                }
                tail => tail,
            };
            for (seq, payload) in tail {
                let ours = self.unacked.pop_front().filter(|ours| ours.payload == *payload);
                let Some(ours) = ours.filter(|_| *seq == self.acked + 1) else {
                    self.mode = Mode::Deposed;
                    return Err(Deposed::Foreign { seq: *seq });
                };
                self.acked = *seq;
                self.acked_pos = ours.pos;
                self.last = Some(ours.payload);
            }
        }
        self.in_flight = 0;
        self.sent = self.acked;
        self.mode = Mode::Writing;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
