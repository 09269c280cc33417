//! Folds the log for a new leader.
//!
//! The order is the safety argument: first the epoch record, which fences every older leader out,
//! then the fold up to it. Nothing can be written between the two but by a still newer leader. A frame
//! is whole or not there, so nothing is ever half done: whoever leads next goes on at its `pos`.

use nox_contract::{
    Chain, CommandMessage, Epoch, EpochRecord, FrameNumber, INPUT_MESSAGE_BYTES_MAX, Incarnation,
    Place, Positions, ReportMessage, Source, TenantId, Timestamp, WorkerId, subject,
};
use nox_core::{ApplyError, Internal, State};

use crate::{
    faults::Faults,
    future,
    reader::{ReadError, Reader, Record, check_position},
    sequencer::Input,
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
    /// The fold is complete.
    Lead(Box<Ready>),
}

/// All that a term begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    pub state: State,
    pub chain: Chain,
    /// Where to go on in the inputs.
    pub pos: Positions,
    pub epoch_seq: u64,
    /// Input streams that an operator gave up, to be recorded first.
    pub resets: Vec<Internal>,
}

impl Ready {
    /// How far the log says that the inputs are consumed; nothing where the stream is another one now,
    /// of which an old position says nothing.
    pub(crate) fn acked_pos(&self) -> Positions {
        let mut pos = self.pos;
        for reset in &self.resets {
            match reset {
                Internal::ResetInputs { src: Source::Commands, .. } => {
                    pos.commands = Place::default();
                }
                Internal::ResetInputs { .. } => pos.reports = Place::default(),
                _ => {}
            }
        }
        pos
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
}

#[derive(Debug)]
enum Step {
    ReadingEpoch,
    AppendingEpoch,
    Folding { epoch_seq: u64 },
    Attaching { epoch_seq: u64 },
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
    state: State,
    /// Where the last frame with entries stood, for a negative control.
    pos_of_entries: Positions,
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
            pos_of_entries: state.pos,
            state,
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
                return Err(ReadError::Gap { expected, found: FrameNumber(*seq) }.into());
            }
            match self.reader.read(subject, payload)? {
                Record::Frame(mut frame) => {
                    if self.faults.future {
                        future::know(&mut frame);
                    }
                    self.state.apply(&frame)?;
                    if !frame.entries.is_empty() {
                        self.pos_of_entries = frame.pos;
                    }
                }
                Record::Epoch(record) => self.state.apply_epoch(self.reader.n(), &record)?,
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
        self.check_inputs()?;
        self.step = Step::Done;
        Ok(Some(TakeoverEffect::Lead(Box::new(Ready {
            pos: self.go_on_at(),
            state: std::mem::take(&mut self.state),
            chain: self.reader.chain(),
            epoch_seq,
            resets: std::mem::take(&mut self.resets),
        }))))
    }

    fn check_inputs(&mut self) -> Result<(), TakeoverError> {
        if self.faults.incarnation_ignored {
            return Ok(());
        }
        let mut resets = Vec::new();
        let found = &self.attachment;
        for (src, expected, consumed, found, last) in [
            (
                Source::Commands,
                &self.state.commands,
                self.state.pos.commands,
                &found.commands,
                found.commands_last,
            ),
            (
                Source::Reports,
                &self.state.reports,
                self.state.pos.reports,
                &found.reports,
                found.reports_last,
            ),
        ] {
            let position = reached(consumed);
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

    /// Where whoever leads now goes on in the input streams.
    fn go_on_at(&self) -> Positions {
        let mut pos = self.state.pos;
        if self.faults.empty_frames_ignored {
            pos = self.pos_of_entries;
        }
        if self.faults.half_input_dropped {
            for place in [&mut pos.commands, &mut pos.reports] {
                if place.part > 0 {
                    *place = Place::after(place.seq);
                }
            }
        }
        if self.faults.consumed_input_repeated {
            for place in [&mut pos.commands, &mut pos.reports] {
                *place = Place { seq: place.whole(), part: 0 };
            }
        }
        pos
    }

    /// How far the log was folded.
    pub fn folded_up_to(&self) -> FrameNumber {
        self.reader.n()
    }
}

/// The last message of which something is consumed.
fn reached(place: Place) -> u64 {
    if place.part > 0 { place.seq } else { place.whole() }
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
