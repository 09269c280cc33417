//! Decides a recorded log again, and compares every fact with what is recorded.
//!
//! | file | what of it |
//! |---|---|
//! | `mod.rs` | the machine: a fold that is compared |
//! | `frame.rs` | how the entries of one frame follow from its inputs |
//! | `inputs.rs` | where the messages of the input streams come from |
//! | `rules.rs` | which version of the rules decides |
//! | `divergence.rs` | where record and decision part |
//! | `recording.rs`, `what_if.rs` | what a model takes from a record; the model |
//! | `outcome.rs` | what became of jobs, to compare |
//!
//! What decides is in the record: a frame's instant, its own inputs whole (a match says how far it looks, and
//! behind which turn), and of the streams' messages the parts between two frames' positions. What led to
//! nothing is compared as well: it must lead to nothing now, at one place among the entries where it may have
//! been decided. What is not in the log are the messages of the input streams, which are removed some
//! time after they were consumed, and the key of attempt tokens. Where a message is gone, what it led to is taken as it is
//! recorded, and counted so; everything else is decided all the same.

mod divergence;
mod frame;
mod inputs;
mod outcome;
mod recording;
pub mod rules;
mod what_if;

use std::{collections::BTreeMap, sync::Arc};

use nox_contract::{Entry, EpochRecord, Frame, FrameNumber, Incarnation, RawJson, Source};
use nox_core::{Rules, State};

pub use self::{
    divergence::{Divergence, ReplayError},
    inputs::{Inputs, Recorded},
    outcome::{JobOutcome, Measures, Outcome},
    recording::{Recording, RecordingError},
    what_if::{Modelled, Patch, PriorityRule, WhatIfError, what_if},
};
use self::{frame::Deciding, rules::Decider};
use crate::sequencer::Input;

/// Who looks on while a frame is decided again.
pub trait Observer {
    /// The entry is what follows; it is folded into `state` next.
    ///
    /// # Errors
    /// Something else is wrong with it, in words; the replay ends with that.
    fn entry(&mut self, _state: &State, _entry: &Entry) -> Result<(), String> {
        Ok(())
    }

    /// This part of a command message was refused.
    fn refused(&mut self, _state: &State, _seq: u64, _part: u32) {}
}

/// Nobody does.
impl Observer for () {}

/// How much was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    /// Decided again and found the same.
    pub entries: u64,
    pub facts: u64,
    /// Parts of messages that led to nothing, and still do.
    pub silent: u64,
    /// Taken as recorded, for the message that they follow from is gone.
    pub taken_entries: u64,
    pub taken_facts: u64,
    /// The last frame that consumed a message which is gone; 0 if none did.
    pub gone_up_to: FrameNumber,
}

/// A fold of the log whose every entry is decided again.
#[derive(Debug, Default)]
pub struct Replay {
    rules: Rules,
    state: State,
    /// The input in no stream that the last frame ended with.
    tail: Option<Tail>,
    /// The message of each stream that was looked at last: it may have thousands of parts.
    open: BTreeMap<Source, Open>,
    counts: Counts,
}

/// An input in no stream that a frame ended with, and how far it was decided.
#[derive(Debug)]
struct Tail {
    body: RawJson,
    /// Behind the last part that led to something.
    next_part: u32,
    /// More follows from it, unless its leader is gone.
    goes_on: bool,
}

#[derive(Debug)]
struct Open {
    incarnation: Incarnation,
    seq: u64,
    input: Found,
}

/// What is there of a message.
#[derive(Debug, Clone)]
enum Found {
    Gone,
    /// Consumed without a fact, whatever it says.
    Unreadable,
    Is(Arc<Input>),
}

impl Replay {
    /// From the log's beginning, by these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// From the log's beginning, as leaders decide whose attempts are proved with this key.
    pub fn by_key(token_key: [u8; 32]) -> Self {
        Self::new(Rules { token_key, ..Rules::default() })
    }

    /// The fold of what was compared.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Folds the beginning of a term in.
    ///
    /// # Errors
    /// It does not follow.
    pub fn epoch(&mut self, n: FrameNumber, record: &EpochRecord) -> Result<(), ReplayError> {
        self.tail = None;
        Ok(self.state.apply_epoch(n, record)?)
    }

    /// Decides the next frame again, by the rules that it was written under, and folds it.
    ///
    /// # Errors
    /// See [`ReplayError`]. What is folded of the frame then is worth nothing.
    pub fn frame(
        &mut self,
        frame: &Frame,
        inputs: &dyn Inputs,
        observer: &mut dyn Observer,
    ) -> Result<(), ReplayError> {
        let unknown = ReplayError::UnknownRules { n: frame.n, rules: frame.rules };
        let decider: &Decider = rules::of(frame.rules).ok_or(unknown)?;
        Deciding::new(self, frame, inputs, observer, decider).run()?;
        self.counts.frames += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
