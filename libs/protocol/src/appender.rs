//! Gets messages into the log in order, or finds out that it may not.
//!
//! Every append names the epoch and the sequence that it must follow, so the broker refuses both a
//! deposed leader and a hole. Whatever is not a clean acknowledgement is *unknown*: the appender
//! stops, reads the tail of the stream, compares, and goes on at the first missing message.

use std::collections::VecDeque;

use bytes::Bytes;
use nox_contract::Positions;

use crate::{faults::Faults, sequencer::LogMessage};

/// What the broker is to check before it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The sequence of the newest epoch record. `None` only in negative controls.
    pub epoch_seq: Option<u64>,
    /// The last sequence of the stream. `None` only in negative controls.
    pub last_seq: Option<u64>,
}

/// How the stream stores, which decides how to write fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One replica, acknowledged before it is on disk: single messages, freely pipelined.
    Relaxed,
    /// One replica that syncs every message: pipelined while few wait, else atomic batches, which
    /// cost one sync each.
    Strict,
    /// Several replicas: one guarded message or batch in flight, since the broker refuses a second.
    Replicated,
}

/// Most messages in flight; beyond it the broker's own buffers would only grow.
const IN_FLIGHT_MAX: usize = 2_000;
/// Most messages that are worth a sync each; measured: beyond about 40 one batch is faster.
const STRICT_PIPELINE_MAX: usize = 40;
/// Most messages of a batch; the broker's default limit is 1000.
pub const BATCH_MESSAGES_MAX: usize = 900;
/// Most payload bytes of a batch, so that one slow write stays short.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What to do for the appender.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendEffect {
    /// Append these, atomically if there are several.
    Append { tag: u64, guard: Guard, messages: Vec<LogMessage> },
    /// Read the stream from this sequence to its end, from its leader.
    ReadTail { from: u64 },
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

/// A message or batch that was sent.
#[derive(Debug)]
struct Flight {
    tag: u64,
    messages: Vec<LogMessage>,
}

/// See the head of this file. The stream's sequence of a message is its `n`: the stream begins
/// with the first message, and nothing is ever removed.
#[derive(Debug)]
pub struct Appender {
    epoch_seq: u64,
    pace: Pace,
    faults: Faults,
    mode: Mode,
    /// Everything up to here is in the log.
    acked: u64,
    /// How far the inputs are consumed, as what is in the log says.
    acked_pos: Positions,
    /// The last sequence that was sent.
    sent: u64,
    next_tag: u64,
    waiting: VecDeque<LogMessage>,
    in_flight: VecDeque<Flight>,
}

impl Appender {
    /// For the term whose record has the sequence `epoch_seq`, which is the end of the log. Up to
    /// there the log says that the inputs are consumed as far as `pos`.
    pub fn new(epoch_seq: u64, pos: Positions, pace: Pace, faults: Faults) -> Self {
        Self {
            epoch_seq,
            pace,
            faults,
            mode: Mode::Writing,
            acked: epoch_seq,
            acked_pos: pos,
            sent: epoch_seq,
            next_tag: 0,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Everything up to this sequence is in the log.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// How far the log says that the inputs are consumed: what may be removed of them.
    pub fn acked_pos(&self) -> Positions {
        self.acked_pos
    }

    /// Messages that are not in the log yet.
    pub fn backlog(&self) -> usize {
        self.waiting.len() + self.in_flight.iter().map(|f| f.messages.len()).sum::<usize>()
    }

    pub fn push(&mut self, messages: Vec<LogMessage>) {
        self.waiting.extend(messages);
    }

    /// What to do next; ask until there is nothing.
    pub fn poll(&mut self) -> Option<AppendEffect> {
        match self.mode {
            Mode::Unsure => {
                self.mode = Mode::Reading;
                Some(AppendEffect::ReadTail { from: self.acked + 1 })
            }
            Mode::Writing => {
                let count = self.next_size();
                (count > 0).then(|| self.send(count))
            }
            Mode::Reading | Mode::Deposed => None,
        }
    }

    /// How many messages to send now.
    fn next_size(&self) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let batch = || {
            let mut bytes = 0;
            self.waiting
                .iter()
                .take(BATCH_MESSAGES_MAX)
                .take_while(|message| {
                    bytes += message.payload.len();
                    bytes <= BATCH_BYTES_MAX
                })
                .count()
                .max(1)
        };
        match self.pace {
            Pace::Relaxed => usize::from(self.in_flight.len() < IN_FLIGHT_MAX),
            Pace::Replicated if self.in_flight.is_empty() => batch(),
            Pace::Replicated => 0,
            // A batch in flight ends the pipelining, so that a backlog can gather behind it.
            Pace::Strict if self.in_flight.iter().any(|f| f.messages.len() > 1) => 0,
            Pace::Strict if self.in_flight.is_empty() => {
                if self.waiting.len() > STRICT_PIPELINE_MAX { batch() } else { 1 }
            }
            Pace::Strict => {
                usize::from(self.in_flight.len() + self.waiting.len() <= STRICT_PIPELINE_MAX)
            }
        }
    }

    fn send(&mut self, count: usize) -> AppendEffect {
        let messages: Vec<_> = self.waiting.drain(..count).collect();
        let tag = self.next_tag;
        self.next_tag += 1;
        let guard = Guard {
            epoch_seq: (!self.faults.epoch_guard_off).then_some(self.epoch_seq),
            last_seq: (!self.faults.predicted_sequence_off).then_some(self.sent),
        };
        self.sent += messages.len() as u64;
        self.in_flight.push_back(Flight { tag, messages: messages.clone() });
        AppendEffect::Append { tag, guard, messages }
    }

    /// The broker stored what was sent under `tag`, the last of it at `seq`.
    pub fn on_stored(&mut self, tag: u64, seq: u64) {
        if !matches!(self.mode, Mode::Writing) {
            // The tail that is being read says so too.
            return;
        }
        let Some(first) = self.in_flight.front() else { return };
        let expected = self.acked + first.messages.len() as u64;
        if first.tag != tag || (seq != expected && !self.faults.predicted_sequence_off) {
            // Acknowledgements arrive in order, and at the sequence that was asked for.
            self.mode = Mode::Unsure;
            return;
        }
        self.acked = seq;
        if let Some(last) = first.messages.last() {
            self.acked_pos = last.event.pos;
        }
        self.in_flight.pop_front();
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

    /// The stream ends at `last` and has these payloads behind what was acknowledged.
    pub fn on_tail(&mut self, last: u64, tail: &[(u64, Bytes)]) -> Result<(), Deposed> {
        if !matches!(self.mode, Mode::Reading) {
            return Ok(());
        }
        let mut missing: VecDeque<LogMessage> =
            self.in_flight.drain(..).flat_map(|flight| flight.messages).collect();
        if self.faults.blind_resend {
            self.acked = last;
        } else {
            if last < self.acked {
                self.mode = Mode::Deposed;
                return Err(Deposed::Regressed { last, acked: self.acked });
            }
            for (seq, payload) in tail {
                let ours = missing.pop_front().filter(|ours| ours.payload == *payload);
                let Some(ours) = ours.filter(|_| *seq == self.acked + 1) else {
                    self.mode = Mode::Deposed;
                    return Err(Deposed::Foreign { seq: *seq });
                };
                self.acked = *seq;
                self.acked_pos = ours.event.pos;
            }
        }
        missing.append(&mut self.waiting);
        self.waiting = missing;
        self.sent = self.acked;
        self.mode = Mode::Writing;
        Ok(())
    }
}
