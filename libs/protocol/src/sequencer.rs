//! Inputs in, frames out.
//!
//! What follows from each part of an input is applied at once and gathers in the open frame, until
//! somebody seals it: the leader when the appender can take it, or the sequencer itself when it is
//! large enough. The state here is ahead of the log by what is not yet acknowledged. It is never
//! rolled back: a leader that cannot get a frame in drops it whole and folds the log again.

mod asked;

use std::sync::Arc;

use bytes::Bytes;
use nox_contract::{
    Answer, Asked, Asker, Cause, Chain, Command, CommandMessage, Entry, Epoch, FRAME_BYTES_MAX,
    FrameNumber, Outcome, Place, Positions, RawJson, ReportMessage, Source, TenantId, Timestamp,
    WorkerId,
};
use nox_core::{
    ApplyError, Decision, Draft, Internal, RULES_VERSION, Rules, State, decide, turn::Turn,
};
use serde::Serialize;

use self::asked::{AskedInFrame, Requests};
use crate::future;

/// From this size on a frame is sealed, in bytes: large enough that what a message costs is shared by
/// hundreds of jobs, small enough that a write stays short.
pub const FRAME_BYTES_FULL: usize = 256 * 1024;

/// For what stands around the entries, in bytes; `inputs` come on top.
const ENVELOPE_BYTES: usize = 1024;

/// Something to decide.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Commands { seq: u64, tenant: TenantId, message: CommandMessage },
    Reports { seq: u64, worker_id: WorkerId, message: ReportMessage },
    Internal(Internal),
}

/// A frame, ready to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedFrame {
    pub n: FrameNumber,
    /// How far it says that the inputs are consumed.
    pub pos: Positions,
    /// How many entries it has.
    pub entries: usize,
    pub payload: Bytes,
}

/// What followed from one input.
#[derive(Debug, Default)]
pub struct Decided {
    /// In the order in which they became true, with the frames that they stand in.
    pub entries: Vec<(FrameNumber, Entry)>,
    /// For each part that somebody waits for.
    pub answers: Vec<Answer>,
    /// Where a look at the queue is to go on that did not come to its end.
    pub behind: Option<Turn>,
    /// When to look at the queue again, for a job that starts too soon after others may start then.
    pub look_at: Option<Timestamp>,
}

/// Why an input cannot be decided. Log or code is broken: the leader stops loudly.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SequenceError {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("a message cannot be serialised: {0}")]
    Json(String),
    #[error(
        "what part {part} of {src:?} {seq} leads to has {bytes} bytes; a frame holds {FRAME_BYTES_MAX}"
    )]
    TooLarge { src: Source, seq: u64, part: u32, bytes: usize },
}

/// Decides inputs one after the other, and gathers what follows in frames.
#[derive(Debug, Clone)]
pub struct Sequencer {
    state: State,
    rules: Rules,
    /// After the last sealed frame.
    chain: Chain,
    /// How far the inputs are consumed, what no frame tells of yet included.
    pos: Positions,
    open: Option<OpenFrame>,
    /// The open frame's entries as they will stand in its payload, each with a comma behind it. One buffer
    /// for all frames.
    entries: Vec<u8>,
    /// Who asked for what the next frame tells of, or refuses.
    asked: AskedInFrame,
    /// When the first of the inputs was decided that no sealed frame covers: a frame's entries become true
    /// then, so that whoever decides its inputs again at its instant finds the same.
    begun: Option<Timestamp>,
    sealed: Vec<SealedFrame>,
    /// From this size on a frame is sealed, in bytes.
    frame_bytes: usize,
    /// Say of every frame that ends within an input that one part more is consumed; a negative control.
    part_skipped: bool,
    /// See [`crate::future`].
    future: bool,
}

/// The frame that entries are added to.
#[derive(Debug, Clone, Default)]
struct OpenFrame {
    inputs: Vec<RawJson>,
    inputs_bytes: usize,
    entries_count: usize,
}

/// What stands before the entries of a frame.
#[derive(Serialize)]
struct Head<'f> {
    n: FrameNumber,
    epoch: Epoch,
    at: Timestamp,
    rules: u32,
    prev: String,
    pos: Positions,
    #[serde(skip_serializing_if = "<[RawJson]>::is_empty")]
    inputs: &'f [RawJson],
    #[serde(skip_serializing_if = "<[Asker]>::is_empty")]
    askers: &'f [Asker],
    #[serde(skip_serializing_if = "<[Asked]>::is_empty")]
    asked: &'f [Asked],
}

impl Sequencer {
    /// Goes on from a folded state, where the chain was `chain`, at place `pos` of the inputs.
    pub fn new(state: State, pos: Positions, chain: Chain, rules: Rules) -> Self {
        Self {
            state,
            rules,
            chain,
            pos,
            open: None,
            entries: Vec::new(),
            asked: AskedInFrame::default(),
            begun: None,
            sealed: Vec::new(),
            frame_bytes: FRAME_BYTES_FULL,
            part_skipped: false,
            future: false,
        }
    }

    /// Seals frames from this size on, in bytes.
    pub fn with_frame_bytes(mut self, frame_bytes: usize) -> Self {
        self.frame_bytes = frame_bytes;
        self
    }

    /// Breaks it, see [`crate::Faults::part_skipped`].
    pub(crate) fn with_part_skipped(mut self, part_skipped: bool) -> Self {
        self.part_skipped = part_skipped;
        self
    }

    /// Decides by a version that is still to come, see [`crate::future`].
    pub fn with_future(mut self, future: bool) -> Self {
        self.future = future;
        self
    }

    /// The fold of all entries so far, those of the open frame included.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state and the chain after the last frame; `None` while one is open.
    pub fn fold(&self) -> Option<(&State, Chain)> {
        self.open.is_none().then_some((&self.state, self.chain))
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Where to go on in the inputs.
    pub fn pos(&self) -> Positions {
        self.pos
    }

    /// Whether entries wait to be sealed.
    pub fn has_open_frame(&self) -> bool {
        self.open.is_some()
    }

    /// Whether inputs were consumed that no frame tells of, not even the open one when it is sealed now.
    pub fn needs_frame(&self) -> bool {
        self.pos != self.state.pos
    }

    /// The number of the frame that the next thing to become true would stand in.
    pub fn next_n(&self) -> FrameNumber {
        if self.open.is_some() { self.state.n } else { self.state.n.next() }
    }

    /// When something that is decided now, by a clock that says `now`, becomes true: all that a frame
    /// covers is decided at one instant.
    pub fn instant(&self, now: Timestamp) -> Timestamp {
        if self.open.is_some() {
            self.state.at
        } else {
            self.begun.unwrap_or(now.max(self.state.at))
        }
    }

    /// Takes the frames that were sealed, in order.
    pub fn take_sealed(&mut self) -> Vec<SealedFrame> {
        std::mem::take(&mut self.sealed)
    }

    /// Decides one input, all of its parts that are not consumed yet.
    pub fn run(&mut self, input: &Input, now: Timestamp) -> Result<Decided, SequenceError> {
        let (at, decided) = (self.instant(now), Decided::default());
        let mut run = Run { at, embedded: None, request: None, decided };
        match input {
            Input::Commands { seq, tenant, message } => {
                let Some(done) = self.pos.commands.parts_of(*seq) else { return Ok(run.decided) };
                let count = message.commands.len();
                let mut requests = Requests::new(tenant, message);
                for (part, command) in (0..).zip(&message.commands).skip(done as usize) {
                    let by = Cause { src: Source::Commands, seq: *seq, part };
                    let request = requests.of(*seq, part);
                    run.request = request.map(|request| (request, command));
                    self.part(&mut run, by, None, |state, rules, at| {
                        Some(decide::command(state, rules, tenant, command, at))
                    })?;
                    self.pos.commands = behind(by, count);
                    self.begun.get_or_insert(run.at);
                    self.seal_if_full(run.at)?;
                }
                self.pos.commands = Place::after(*seq);
            }
            Input::Reports { seq, worker_id, message } => {
                let Some(done) = self.pos.reports.parts_of(*seq) else { return Ok(run.decided) };
                let (session, count) = (message.session, message.reports.len());
                for (part, report) in (0..).zip(&message.reports).skip(done as usize) {
                    let by = Cause { src: Source::Reports, seq: *seq, part };
                    self.part(&mut run, by, None, |state, rules, at| {
                        Some(decide::report(state, rules, worker_id, session, report, at))
                    })?;
                    self.pos.reports = behind(by, count);
                    self.begun.get_or_insert(run.at);
                    self.seal_if_full(run.at)?;
                }
                self.pos.reports = Place::after(*seq);
            }
            Input::Internal(internal) => self.internal(&mut run, internal)?,
        }
        Ok(run.decided)
    }

    fn internal(&mut self, run: &mut Run<'_>, internal: &Internal) -> Result<(), SequenceError> {
        let body = RawJson::of(internal).map_err(|e| SequenceError::Json(e.to_string()))?;
        let src = internal.source();
        let mut part = 0;
        loop {
            let by = Cause { src, seq: 0, part };
            let more = self.part(run, by, Some(&body), |state, rules, at| {
                decide::internal(state, rules, internal, part, at)
            })?;
            if let Internal::ResetInputs { src, position, .. } = internal {
                // It stands in the same frame as the fact that says so.
                match src {
                    Source::Commands => self.pos.commands = Place::after(*position),
                    _ => self.pos.reports = Place::after(*position),
                }
            }
            if !more {
                return Ok(());
            }
            self.seal_if_full(run.at)?;
            part += 1;
        }
    }

    /// Decides one part, in as many steps as it takes; whether there was something to decide.
    fn part(
        &mut self,
        run: &mut Run<'_>,
        by: Cause,
        body: Option<&RawJson>,
        question: impl Fn(&State, &Rules, Timestamp) -> Option<Decision>,
    ) -> Result<bool, SequenceError> {
        loop {
            let Some(decision) = question(&self.state, &self.rules, run.at) else {
                return Ok(false);
            };
            let (more, has_facts) = (decision.more, !decision.drafts.is_empty());
            if let (Some(Outcome::Refused(refusal)), false, Some((request, command))) =
                (&decision.answer, has_facts, &run.request)
            {
                self.asked.note_refused(request, by.part, command, refusal.code.as_str());
            }
            run.decided.behind = decision.behind;
            run.decided.look_at = decision.look_at;
            self.take(run, by, body, decision.drafts)?;
            if let Some(mut outcome) = decision.answer {
                if let Outcome::Accepted(accepted) = &mut outcome
                    && has_facts
                {
                    accepted.n = self.state.n;
                }
                run.decided.answers.push(Answer { part: by.part, outcome });
            }
            if !more {
                return Ok(true);
            }
        }
    }

    /// Applies what follows from one step of a part, and adds it to the open frame.
    fn take(
        &mut self,
        run: &mut Run<'_>,
        mut by: Cause,
        body: Option<&RawJson>,
        drafts: Vec<Draft>,
    ) -> Result<(), SequenceError> {
        if drafts.is_empty() {
            return Ok(());
        }
        let body_size = body.map_or(0, |body| body.get().len() + 1);
        if body.is_some() {
            by.seq = self.place_of_input(run);
        }
        let mut entries = entries_of(&self.state, by, drafts);
        if self.future {
            entries.iter_mut().for_each(|entry| future::mark(&self.state, entry));
        }
        let behind = self.entries.len();
        write(&entries, &mut self.entries)?;
        let size = self.entries.len() - behind + body_size + ENVELOPE_BYTES;
        if size > FRAME_BYTES_MAX {
            // The broker would refuse it again and again, and whoever leads next would write it
            // again: better to say so once.
            self.entries.truncate(behind);
            let Cause { src, seq, part } = by;
            return Err(SequenceError::TooLarge { src, seq, part, bytes: size });
        }
        // The row of one request fits beside the largest frame; those of requests that were refused may not.
        let bytes = self.open_bytes().map(|bytes| bytes + body_size);
        let asked = Some(self.asked.bytes()).filter(|asked| *asked > 0);
        if bytes.or(asked.map(|asked| asked + size)).is_some_and(|all| all > FRAME_BYTES_MAX) {
            self.entries.truncate(behind);
            self.seal(run.at)?;
            if body.is_some() {
                by.seq = self.place_of_input(run);
                entries.iter_mut().for_each(|entry| entry.by = by);
            }
            write(&entries, &mut self.entries)?;
        }
        if self.open.is_none() {
            self.state.begin_frame(self.state.n.next(), run.at)?;
        }
        let n = self.state.n;
        if let Some((request, _)) = &run.request {
            self.asked.note(request);
        }
        let open = self.open.get_or_insert_default();
        if let Some(body) = body
            && run.embedded.is_none_or(|(in_frame, _)| in_frame != n)
        {
            run.embedded = Some((n, by.seq));
            open.inputs.push(body.clone());
            open.inputs_bytes += body_size;
        }
        open.entries_count += entries.len();
        for mut entry in entries {
            if self.future {
                future::forget(&mut entry);
            }
            self.state.apply_entry(&entry)?;
            run.decided.entries.push((n, entry));
        }
        Ok(())
    }

    /// The place that the input of `run` has, or will have, among the inputs of the open frame.
    fn place_of_input(&self, run: &Run<'_>) -> u64 {
        let Some(open) = &self.open else { return 0 };
        match run.embedded {
            Some((n, place)) if n == self.state.n => place,
            _ => open.inputs.len() as u64,
        }
    }

    fn seal_if_full(&mut self, at: Timestamp) -> Result<(), SequenceError> {
        match self.open_bytes() {
            Some(bytes) if bytes >= self.frame_bytes => self.seal(at),
            _ => Ok(()),
        }
    }

    /// About as many bytes as the open frame's payload will have.
    fn open_bytes(&self) -> Option<usize> {
        let open = self.open.as_ref()?;
        Some(self.entries.len() + open.inputs_bytes + self.asked.bytes() + ENVELOPE_BYTES)
    }

    /// Ends the open frame. Without one, makes a frame without entries of the instant `now`: it says
    /// how far the inputs are consumed, and that its leader still leads.
    pub fn seal(&mut self, now: Timestamp) -> Result<(), SequenceError> {
        if self.open.is_none() {
            self.state.begin_frame(self.state.n.next(), self.instant(now))?;
        }
        let open = self.open.take().unwrap_or_default();
        let asked = std::mem::take(&mut self.asked);
        let mut pos = self.pos;
        if self.part_skipped && pos.commands.part > 0 {
            pos.commands.part += 1;
        }
        self.state.end_frame(pos)?;
        self.begun = None;
        let head = Head {
            n: self.state.n,
            epoch: self.state.epoch,
            at: self.state.at,
            rules: RULES_VERSION + u32::from(self.future),
            prev: self.chain.to_string(),
            pos,
            inputs: &open.inputs,
            askers: &asked.askers,
            asked: &asked.asked,
        };
        let bytes = ENVELOPE_BYTES + open.inputs_bytes + asked.bytes() + self.entries.len();
        let mut payload = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut payload, &head)
            .map_err(|e| SequenceError::Json(e.to_string()))?;
        payload.pop(); // the brace that ends it
        payload.extend_from_slice(b",\"entries\":[");
        payload.extend_from_slice(self.entries.strip_suffix(b",").unwrap_or(&self.entries));
        self.entries.clear();
        payload.extend_from_slice(b"]}");
        self.chain = self.chain.extend(&payload);
        self.sealed.push(SealedFrame {
            n: self.state.n,
            pos,
            entries: open.entries_count,
            payload: payload.into(),
        });
        Ok(())
    }
}

/// An input while it is being decided.
struct Run<'i> {
    at: Timestamp,
    /// Who asked for the present part, and what it says.
    request: Option<(Arc<(Asker, Asked)>, &'i Command)>,
    /// The frame that an input which is in no stream was embedded in last, and its place there.
    embedded: Option<(FrameNumber, u64)>,
    decided: Decided,
}

/// Behind the part `by` of a message that has `count`.
fn behind(by: Cause, count: usize) -> Place {
    let next = by.part + 1;
    if next as usize == count { Place::after(by.seq) } else { Place { seq: by.seq, part: next } }
}

/// The entries of what was decided upon `state`. Those of a traced job bear its trace; the one that makes the job
/// has it in its fact. Those of a schedule or key name its owner.
fn entries_of(state: &State, by: Cause, drafts: Vec<Draft>) -> Vec<Entry> {
    drafts
        .into_iter()
        .map(|Draft { entity, facts }| {
            let owner = state.owner_of(&entity, &facts).cloned();
            let mut entry = Entry::new(by, entity, facts.into_iter().map(Into::into).collect());
            let trace = entry.job_id.and_then(|job| state.traceparent(job));
            entry.traceparent = trace.map(Into::into);
            entry.user_id = entry.user_id.or(owner);
            entry
        })
        .collect()
}

/// Writes the entries as they stand in a frame, each with a comma behind it.
fn write(entries: &[Entry], to: &mut Vec<u8>) -> Result<(), SequenceError> {
    for entry in entries {
        serde_json::to_writer(&mut *to, entry).map_err(|e| SequenceError::Json(e.to_string()))?;
        to.push(b',');
    }
    Ok(())
}

#[cfg(test)]
mod tests;
