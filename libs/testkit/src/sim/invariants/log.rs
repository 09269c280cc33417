//! What must hold of the log: its chain and numbers, every part of every input decided exactly once
//! and in order, that every entry is what the decider says of the part that it names, and that entries explain
//! every balance.

use nox_contract::{Entry, Frame, Incarnation, Positions, Source};
use nox_core::State;
use nox_protocol::{LedgerProof, Record, replay};

use super::{CHECK_EVERY, Oracle};
use crate::sim::broker::Broker;

/// The oracle, as it looks on while a frame is decided again.
struct LookingOn<'o> {
    oracle: &'o mut Oracle,
    broker: &'o Broker,
}

impl replay::Observer for LookingOn<'_> {
    fn entry(&mut self, state: &State, entry: &Entry) -> Result<(), String> {
        self.oracle.check_facts(self.broker, state, entry)
    }

    fn refused(&mut self, state: &State, seq: u64, part: u32) {
        self.oracle.stats.refused += 1;
        self.oracle.refused.insert((state.commands.clone(), seq, part));
    }
}

impl replay::Inputs for Broker {
    fn message(&self, src: Source, incarnation: &Incarnation, seq: u64) -> Option<(&str, &[u8])> {
        let stored = self.input(src).get_of(incarnation, seq)?;
        Some((&stored.subject, &stored.payload))
    }
}

impl Oracle {
    /// A message has reached the log.
    pub fn on_log(&mut self, broker: &Broker, seq: u64, subject: &str, payload: &[u8]) {
        if let Err(why) = self.take(broker, seq, subject, payload) {
            self.fail(format!("log at {seq}: {why}"));
        }
    }

    /// Folds a log that has lost its end, from its beginning.
    pub fn fold_again(&mut self, broker: &Broker) {
        self.log_lost = true;
        self.reader = nox_protocol::Reader::default();
        self.epoch = nox_contract::Epoch(0);
        self.replay = super::replay(self.bug);
        self.ledger = LedgerProof::default();
        self.trails.clear();
        self.book = super::schedules::Book::default();
        self.assigned.clear();
        self.sessions.clear();
        self.left_last.clear();
        for (seq, subject, payload) in broker.read_log(1, usize::MAX) {
            self.on_log(broker, seq, &subject, &payload);
        }
    }

    fn take(
        &mut self,
        broker: &Broker,
        seq: u64,
        subject: &str,
        payload: &[u8],
    ) -> Result<(), String> {
        let record = self.reader.read(subject, payload).map_err(|e| e.to_string())?;
        let n = self.reader.n();
        if n.0 != seq {
            return Err(format!("its number is {n}"));
        }
        match record {
            Record::Epoch(record) => {
                self.stats.epochs += 1;
                if record.epoch <= self.epoch {
                    return Err(format!("epoch {} after epoch {}", record.epoch, self.epoch));
                }
                self.epoch = record.epoch;
                self.ledger.epoch(n, &record).map_err(|e| e.to_string())?;
                self.replay.epoch(n, &record).map_err(|e| e.to_string())
            }
            Record::Frame(frame) => self.take_frame(broker, &frame),
        }
    }

    fn take_frame(&mut self, broker: &Broker, frame: &Frame) -> Result<(), String> {
        self.stats.frames += 1;
        self.stats.entries += frame.entries.len() as u64;
        self.stats.empty += u64::from(frame.entries.is_empty());
        self.stats.cut += u64::from(within(frame.pos));
        if frame.epoch != self.epoch {
            return Err(format!("written in epoch {} after {} began", frame.epoch, self.epoch));
        }
        let before = self.state().pos;
        if within(before) && !self.pos_of_epoch.contains_key(&frame.epoch) {
            self.stats.completed_by_another += 1;
        }
        let mut replay = std::mem::take(&mut self.replay);
        let decided = replay.frame(frame, broker, &mut LookingOn { oracle: self, broker });
        self.replay = replay;
        decided.map_err(|e| e.to_string())?;
        let counts = self.replay.counts();
        if counts.gone_up_to == frame.n {
            return Err("a message that it consumes is gone".to_owned());
        }
        self.ledger.frame(frame).map_err(|e| e.to_string())?;
        let proved = self.pos_of_epoch.entry(frame.epoch).or_default();
        *proved = frame.pos;
        let n = self.state().n.0;
        if n >= self.checked_at + CHECK_EVERY {
            self.checked_at = n;
            self.state().check()?;
        }
        Ok(())
    }
}

/// Whether a frame that stands there ends within an input.
fn within(pos: Positions) -> bool {
    pos.commands.part > 0 || pos.reports.part > 0
}
