//! Folds the log for a new leader, and completes what the last one left half-done.
//!
//! The order is the safety argument: first the epoch record, which fences every older leader out,
//! then the fold up to it. Nothing can be written between the two but by a still newer leader.

use std::collections::VecDeque;

use nox_contract::{
    CommandMessage, Epoch, EpochRecord, Event, EventNumber, Fact, INPUT_MESSAGE_BYTES_MAX,
    Incarnation, Positions, ReportMessage, Source, TenantId, Timestamp, WorkerId, event::Chain,
    subject,
};
use nox_core::{ApplyError, Internal, Rules, State};

use crate::{
    faults::Faults,
    reader::{ReadError, Reader, Record, check_position},
    sequencer::{Decided, Input, SequenceError, Sequencer, Unfinished},
};

/// The input streams as the new leader finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub commands: Incarnation,
    pub commands_last: u64,
    pub reports: Incarnation,
    pub reports_last: u64,
}

/// What to do for the takeover.
#[derive(Debug, Clone, PartialEq)]
pub enum TakeoverEffect {
    /// Read the newest epoch record, from the stream's leader.
    ReadEpoch,
    /// Append this record if the newest one still has the sequence `expected` (0: none).
    AppendEpoch { record: EpochRecord, expected: u64 },
    /// Read the log from this sequence up to and including the own epoch record at `to`.
    ReadLog { from: u64, to: u64 },
    /// Look at the input streams again: the leader before may have read on until the epoch record
    /// fenced it out.
    Attach,
    /// Read one message of an input stream.
    ReadInput { src: Source, seq: u64 },
    /// The fold is complete.
    Lead(Box<Ready>),
}

/// All that a term begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    pub state: State,
    pub chain: Chain,
    /// How far the newest event says that the inputs are consumed. The state may be behind: what was
    /// consumed without a fact before the unfinished input shows in that input's events alone.
    pub pos: Positions,
    /// The term that begins; the state may be of an earlier one, as above.
    pub epoch: Epoch,
    pub epoch_seq: u64,
    /// The input that the last leader left unfinished, and what of it the log has.
    pub unfinished: Option<(Input, Timestamp, VecDeque<Unfinished>)>,
    /// Input streams that an operator gave up, to be recorded first.
    pub resets: Vec<Internal>,
}

impl Ready {
    /// How far the log says that the inputs are consumed; 0 where the stream is another one now, of
    /// which an old position says nothing.
    pub(crate) fn acked_pos(&self) -> Positions {
        let unfinished = self.unfinished.as_ref().and_then(|(input, ..)| match input {
            Input::Internal(internal) => Some(internal),
            _ => None,
        });
        let mut pos = self.pos;
        for reset in self.resets.iter().chain(unfinished) {
            match reset {
                Internal::ResetInputs { src: Source::Commands, .. } => pos.commands = 0,
                Internal::ResetInputs { .. } => pos.reports = 0,
                _ => {}
            }
        }
        pos
    }

    /// Begins to decide: completes the unfinished input, if there is one.
    pub fn begin(
        self,
        rules: Rules,
    ) -> Result<(Sequencer, Option<(Input, Decided)>), SequenceError> {
        let mut sequencer = Sequencer::new(self.state, self.pos, self.chain, rules);
        let Some((input, at, recorded)) = self.unfinished else { return Ok((sequencer, None)) };
        let decided = sequencer.complete(&input, at, recorded)?;
        Ok((sequencer, Some((input, decided))))
    }
}

/// Why nobody can lead on this log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TakeoverError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(
        "log_regressed: {src:?} is not the stream that the log's positions belong to: {source}"
    )]
    Inputs { src: Source, source: ReadError },
    #[error("the unfinished input {src:?} {seq} cannot be read: {reason}")]
    Input { src: Source, seq: u64, reason: String },
}

#[derive(Debug)]
enum Step {
    ReadingEpoch,
    AppendingEpoch,
    Folding { epoch_seq: u64 },
    Attaching { epoch_seq: u64 },
    ReadingInput { epoch_seq: u64, src: Source, seq: u64 },
    Done,
}

/// One try to become leader.
#[derive(Debug)]
pub struct Takeover {
    leader: String,
    at: Timestamp,
    attachment: Attachment,
    /// The operator who said to go on although an input stream is another one.
    accept_reset: Option<String>,
    resets: Vec<Internal>,
    faults: Faults,
    step: Step,
    reader: Reader,
    /// Of the newest epoch record that was read.
    epoch: Epoch,
    state: State,
    /// Records since the last complete input.
    unfinished: VecDeque<Unfinished>,
}

impl Takeover {
    /// `leader` names the process, for people and to recognise the own record; `at` is now.
    /// `attachment` goes into the epoch record; positions are checked against a later one.
    /// `snapshot` is a fold of the log up to where the chain is known to agree.
    pub fn new(
        leader: String,
        at: Timestamp,
        attachment: Attachment,
        accept_reset: Option<String>,
        snapshot: Option<(State, Chain)>,
        faults: Faults,
    ) -> Self {
        let (state, chain) = snapshot.unwrap_or((State::default(), Chain::START));
        Self {
            leader,
            at,
            attachment,
            accept_reset,
            resets: Vec::new(),
            faults,
            step: Step::ReadingEpoch,
            reader: Reader::new(state.n, chain, state.pos),
            epoch: state.epoch,
            state,
            unfinished: VecDeque::new(),
        }
    }

    pub fn start(&mut self) -> TakeoverEffect {
        self.step = Step::ReadingEpoch;
        TakeoverEffect::ReadEpoch
    }

    /// The newest epoch record, and its sequence.
    pub fn on_epoch(&mut self, newest: Option<(u64, EpochRecord)>) -> TakeoverEffect {
        let (expected, epoch) = match newest {
            // An append whose outcome was unknown had succeeded.
            Some((seq, record)) if record.leader == self.leader && record.at == self.at => {
                return self.on_epoch_appended(seq);
            }
            Some((seq, record)) => (seq, record.epoch.next()),
            None => (0, Epoch(1)),
        };
        let record = EpochRecord {
            epoch,
            leader: self.leader.clone(),
            at: self.at,
            commands: self.attachment.commands.clone(),
            reports: self.attachment.reports.clone(),
        };
        self.step = Step::AppendingEpoch;
        TakeoverEffect::AppendEpoch { record, expected }
    }

    /// The own epoch record is in the log.
    pub fn on_epoch_appended(&mut self, seq: u64) -> TakeoverEffect {
        self.step = Step::Folding { epoch_seq: seq };
        TakeoverEffect::ReadLog { from: self.reader.n().0 + 1, to: seq }
    }

    /// The epoch record was refused, or nobody knows: look again.
    pub fn on_epoch_unknown(&mut self) -> TakeoverEffect {
        self.start()
    }

    /// The next messages of the log, in order.
    pub fn on_log(
        &mut self,
        records: &[(u64, String, bytes::Bytes)],
    ) -> Result<Option<TakeoverEffect>, TakeoverError> {
        let Step::Folding { epoch_seq } = self.step else { return Ok(None) };
        for (seq, subject, payload) in records {
            if *seq > epoch_seq {
                break;
            }
            // An epoch record has no number of its own, so a message that is missing right before
            // one shows only here.
            let expected = self.reader.n().next();
            if *seq != expected.0 {
                return Err(ReadError::Gap { expected, found: EventNumber(*seq) }.into());
            }
            match self.reader.read(subject, payload)? {
                Record::Event(event) => self.fold(event)?,
                Record::Epoch(record) => {
                    let n = self.reader.n();
                    self.epoch = record.epoch;
                    if self.unfinished.is_empty() {
                        self.state.apply_epoch(n, &record)?;
                    } else {
                        self.unfinished.push_back(Unfinished::Epoch(n, record));
                    }
                }
            }
        }
        if self.reader.n().0 < epoch_seq {
            return Ok(Some(TakeoverEffect::ReadLog {
                from: self.reader.n().0 + 1,
                to: epoch_seq,
            }));
        }
        self.step = Step::Attaching { epoch_seq };
        Ok(Some(TakeoverEffect::Attach))
    }

    /// The input streams as they are, now that no older leader can read on.
    pub fn on_attachment(
        &mut self,
        attachment: Attachment,
    ) -> Result<Option<TakeoverEffect>, TakeoverError> {
        let Step::Attaching { epoch_seq } = self.step else { return Ok(None) };
        self.attachment = attachment;
        self.folded(epoch_seq).map(Some)
    }

    /// Applies an input when its last event is there, and not before.
    fn fold(&mut self, event: Box<Event>) -> Result<(), TakeoverError> {
        let complete = event.input.last;
        self.unfinished.push_back(Unfinished::Event(event));
        if complete {
            self.fold_unfinished()?;
        }
        Ok(())
    }

    fn fold_unfinished(&mut self) -> Result<(), TakeoverError> {
        for record in std::mem::take(&mut self.unfinished) {
            match record {
                Unfinished::Event(event) => self.state.apply(&event)?,
                Unfinished::Epoch(n, record) => self.state.apply_epoch(n, &record)?,
            }
        }
        Ok(())
    }

    /// The log is read. What remains is the input that was cut off.
    fn folded(&mut self, epoch_seq: u64) -> Result<TakeoverEffect, TakeoverError> {
        self.check_inputs()?;
        if self.faults.half_input_dropped
            && let Some(Unfinished::Event(event)) = self.unfinished.front()
        {
            let (src, seq) = (event.input.src, event.input.seq);
            self.fold_unfinished()?;
            match src {
                Source::Commands => self.state.pos.commands = seq,
                Source::Reports => self.state.pos.reports = seq,
                _ => {}
            }
        }
        let Some(Unfinished::Event(first)) = self.unfinished.front() else {
            return Ok(self.lead(epoch_seq, None));
        };
        let (src, seq) = (first.input.src, first.input.seq);
        let given_up =
            |reset: &Internal| matches!(reset, Internal::ResetInputs { src: of, .. } if *of == src);
        if self.resets.iter().any(given_up) {
            // It went with the stream that the operator gave up; what the log has of it stands.
            self.fold_unfinished()?;
            return Ok(self.lead(epoch_seq, None));
        }
        if matches!(src, Source::Commands | Source::Reports) {
            self.step = Step::ReadingInput { epoch_seq, src, seq };
            return Ok(TakeoverEffect::ReadInput { src, seq });
        }
        let body = first.input.body.as_ref().map_or("null", |body| body.get());
        let internal: Internal = serde_json::from_str(body).map_err(|e| TakeoverError::Input {
            src,
            seq,
            reason: e.to_string(),
        })?;
        Ok(self.lead(epoch_seq, Some(Input::Internal(internal))))
    }

    /// The input that was asked for, or `None` if its stream has it no more.
    pub fn on_input(
        &mut self,
        message: Option<(String, bytes::Bytes)>,
    ) -> Result<Option<TakeoverEffect>, TakeoverError> {
        let Step::ReadingInput { epoch_seq, src, seq } = self.step else { return Ok(None) };
        let unreadable =
            |reason: &str| TakeoverError::Input { src, seq, reason: reason.to_owned() };
        let (subject, payload) = message.ok_or_else(|| unreadable("it is gone"))?;
        let input = decode_input(src, seq, &subject, &payload)
            .ok_or_else(|| unreadable("it cannot be decoded"))?;
        Ok(Some(self.lead(epoch_seq, Some(input))))
    }

    fn check_inputs(&mut self) -> Result<(), TakeoverError> {
        if self.faults.incarnation_ignored {
            return Ok(());
        }
        let mut resets = Vec::new();
        let found = &self.attachment;
        for (src, found, last) in [
            (Source::Commands, &found.commands, found.commands_last),
            (Source::Reports, &found.reports, found.reports_last),
        ] {
            let (expected, position) = self.position(src);
            let Err(source) = check_position(&expected.0, &found.0, position, last) else {
                continue;
            };
            let Some(by) = &self.accept_reset else {
                return Err(TakeoverError::Inputs { src, source });
            };
            resets.push(Internal::ResetInputs {
                src,
                incarnation: found.clone(),
                // Of a new stream nothing was read; of a shortened one, what is left.
                position: if expected == found { last } else { 0 },
                by: by.clone(),
            });
        }
        self.resets = resets;
        Ok(())
    }

    /// How far the log says that a stream is consumed, and which stream that belongs to. An operator's
    /// word that stands in the log counts from there on, also while what follows from it is not
    /// complete.
    fn position(&self, src: Source) -> (&Incarnation, u64) {
        let accepted = self.unfinished.iter().find_map(|record| {
            let Unfinished::Event(event) = record else { return None };
            event.known_facts().find_map(|fact| match fact {
                Fact::InputsReset { src: reset, incarnation, .. } if *reset == src => {
                    Some(incarnation)
                }
                _ => None,
            })
        });
        let (incarnation, consumed) = match src {
            Source::Commands => (&self.state.commands, self.reader.pos().commands),
            _ => (&self.state.reports, self.reader.pos().reports),
        };
        (accepted.unwrap_or(incarnation), consumed)
    }

    /// Where whoever leads now goes on in the input streams.
    fn consumed(&self) -> Positions {
        let mut pos = self.reader.pos();
        if self.faults.factless_inputs_forgotten || self.faults.half_input_dropped {
            pos = self.state.pos;
        }
        if self.faults.complete_input_reapplied && self.unfinished.is_empty() {
            pos.commands = pos.commands.saturating_sub(1);
            pos.reports = pos.reports.saturating_sub(1);
        }
        pos
    }

    fn lead(&mut self, epoch_seq: u64, input: Option<Input>) -> TakeoverEffect {
        self.step = Step::Done;
        let pos = self.consumed();
        let recorded = std::mem::take(&mut self.unfinished);
        let at = match recorded.front() {
            Some(Unfinished::Event(first)) => first.at,
            _ => self.at,
        };
        TakeoverEffect::Lead(Box::new(Ready {
            state: std::mem::take(&mut self.state),
            chain: self.reader.chain(),
            pos,
            epoch: self.epoch,
            epoch_seq,
            unfinished: input.map(|input| (input, at, recorded)),
            resets: std::mem::take(&mut self.resets),
        }))
    }

    /// How far the log was folded.
    pub fn folded_up_to(&self) -> EventNumber {
        self.reader.n()
    }
}

/// Reads a message of an input stream. `None` if it is no such message, or larger than any that
/// ours write: the leader consumes it without a fact, for whoever wrote it cannot be answered.
pub fn decode_input(src: Source, seq: u64, subject: &str, payload: &[u8]) -> Option<Input> {
    if payload.len() > INPUT_MESSAGE_BYTES_MAX {
        return None;
    }
    let name = subject::last_token(subject);
    match src {
        Source::Commands => Some(Input::Commands {
            seq,
            tenant: name.parse::<TenantId>().ok()?,
            message: serde_json::from_slice::<CommandMessage>(payload).ok()?,
        }),
        Source::Reports => Some(Input::Reports {
            seq,
            worker_id: name.parse::<WorkerId>().ok()?,
            message: serde_json::from_slice::<ReportMessage>(payload).ok()?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
