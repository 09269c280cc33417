//! What must hold of the log: its chain and numbers, every part of every input decided exactly once
//! and in order, and that every entry is what the decider says of the part that it names.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Cause, Entry, Fact, FactOrUnknown, Frame, Incarnation, Outcome, Place, Positions, RawJson,
    Source, Timestamp,
};
use nox_core::{Decision, Internal, decide};
use nox_protocol::{Record, sequencer::Input, takeover::decode_input};

use super::{CHECK_EVERY, Oracle};
use crate::sim::broker::Broker;

pub(super) const STREAMS: [Source; 2] = [Source::Commands, Source::Reports];

/// An input in no stream that a frame ended with, and how far it was decided.
#[derive(Debug)]
pub(super) struct Tail {
    body: RawJson,
    /// Behind the last part that led to something.
    next_part: u32,
    /// More follows from it, unless its leader is gone.
    goes_on: bool,
}

/// A frame while its entries are decided again.
struct Reading<'f> {
    broker: &'f Broker,
    frame: &'f Frame,
    /// The entries that are not decided again yet.
    rest: &'f [Entry],
    /// The parts that have entries here.
    told: BTreeSet<(Source, u64, u32)>,
    /// The next part of each stream that nothing is known of.
    next: BTreeMap<Source, Place>,
    /// Streams that are other ones from here on, as the frame has yet to say.
    to_be_reset: BTreeSet<Source>,
    tail: Option<Tail>,
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
        self.state = nox_core::State::default();
        self.tail = None;
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
                self.tail = None;
                self.state.apply_epoch(n, &record).map_err(|e| e.to_string())
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
        let before = self.state.pos;
        if within(before) && !self.pos_of_epoch.contains_key(&frame.epoch) {
            self.stats.completed_by_another += 1;
        }
        self.state.begin_frame(frame.n, frame.at).map_err(|e| e.to_string())?;
        let mut reading = Reading::new(broker, frame, before);
        self.go_on_with_tail(&mut reading)?;
        self.consume_silent(&mut reading, None)?;
        while let Some(entry) = reading.rest.first() {
            let by = entry.by;
            if STREAMS.contains(&by.src) {
                self.consume_silent(&mut reading, Some(by))?;
                self.decide_part(&mut reading, by)?;
            } else {
                self.decide_internal(&mut reading, by.seq, 0)?;
            }
            self.consume_silent(&mut reading, None)?;
        }
        for src in STREAMS {
            let (next, pos) = (reading.next[&src], place_in(&frame.pos, src));
            if next != first(pos) {
                return Err(format!("{src:?} are consumed up to {next:?}, not {pos:?}"));
            }
        }
        self.tail = reading.tail.take();
        self.state.end_frame(frame.pos).map_err(|e| e.to_string())?;
        self.check_tail()?;
        let proved = self.pos_of_epoch.entry(frame.epoch).or_default();
        *proved = frame.pos;
        if self.state.n.0 >= self.checked_at + CHECK_EVERY {
            self.checked_at = self.state.n.0;
            self.state.check()?;
        }
        Ok(())
    }

    // --- inputs in no stream ---

    /// The frame before may have ended within an input that is in no stream: then this one begins with
    /// the rest of it.
    fn go_on_with_tail(&mut self, reading: &mut Reading<'_>) -> Result<(), String> {
        let Some(tail) = self.tail.take() else { return Ok(()) };
        let begins = reading.rest.first().map(|entry| entry.by);
        let same = begins.filter(|by| {
            !STREAMS.contains(&by.src)
                && by.part >= tail.next_part
                && by.seq == 0
                && reading.frame.inputs.first() == Some(&tail.body)
        });
        match same {
            // The same may have been noticed again; then it begins from the beginning.
            Some(by) if tail.goes_on || !self.leads_to(&tail.body, 0, by.part)? => {
                self.decide_internal(reading, 0, tail.next_part)
            }
            _ if tail.goes_on => Err(format!("{} is not decided to its end", tail.body.get())),
            _ => Ok(()),
        }
    }

    /// Whether part `part` is the first of an input, from part `from` on, that leads to anything.
    fn leads_to(&self, body: &RawJson, from: u32, part: u32) -> Result<bool, String> {
        let internal = internal(body)?;
        let mut at = from;
        let now = self.state.at;
        while let Some(decision) = decide::internal(&self.state, &self.rules, &internal, at, now) {
            if !decision.drafts.is_empty() || at >= part {
                break;
            }
            at += 1;
        }
        Ok(at == part)
    }

    /// Decides an input in no stream again, from one part on and as far as this frame goes.
    fn decide_internal(
        &mut self,
        reading: &mut Reading<'_>,
        place: u64,
        from: u32,
    ) -> Result<(), String> {
        let body = usize::try_from(place).ok().and_then(|place| reading.frame.inputs.get(place));
        let body = body.ok_or_else(|| format!("input {place} is not embedded"))?;
        let internal = internal(body)?;
        if let Internal::ResetInputs { src, position, .. } = &internal {
            reading.to_be_reset.remove(src);
            reading.next.insert(*src, Place::after(*position));
        }
        let mut part = from;
        let (mut next_part, mut goes_on) = (from, false);
        'parts: loop {
            loop {
                let decision =
                    decide::internal(&self.state, &self.rules, &internal, part, reading.frame.at);
                let Some(decision) = decision else { break 'parts };
                let by = Cause { src: internal.source(), seq: place, part };
                if !decision.drafts.is_empty() && reading.rest.is_empty() {
                    goes_on = true;
                    break 'parts;
                }
                let more = decision.more;
                if !decision.drafts.is_empty() {
                    next_part = if more { part } else { part + 1 };
                }
                self.compare_entries(reading, by, decision)?;
                if !more {
                    break;
                }
            }
            part += 1;
        }
        if reading.rest.is_empty() {
            reading.tail = Some(Tail { body: body.clone(), next_part, goes_on });
        }
        Ok(())
    }

    /// What was to be told may be told by now in another way: dependents are with the end of a frame.
    fn check_tail(&mut self) -> Result<(), String> {
        if let Some(tail) = &self.tail
            && tail.goes_on
        {
            let internal = internal(&tail.body)?;
            let mut part = tail.next_part;
            let goes_on = loop {
                match decide::internal(&self.state, &self.rules, &internal, part, self.state.at) {
                    None => break false,
                    Some(decision) if !decision.drafts.is_empty() => break true,
                    Some(_) => part += 1,
                }
            };
            if let Some(tail) = &mut self.tail {
                tail.goes_on = goes_on;
            }
        }
        Ok(())
    }

    // --- inputs of the streams ---

    /// Consumes what leads to nothing: as far as that can be seen now or, where an entry is the next,
    /// all before it. Between two parts of one stream the others' entries may stand, so such a part
    /// has to lead to nothing at one place of several.
    fn consume_silent(
        &mut self,
        reading: &mut Reading<'_>,
        before: Option<Cause>,
    ) -> Result<(), String> {
        for src in STREAMS {
            if reading.to_be_reset.contains(&src) {
                continue;
            }
            loop {
                let next = reading.next[&src];
                if next >= first(place_in(&reading.frame.pos, src)) {
                    break;
                }
                let Some(input) = self.input(reading.broker, src, next.seq)? else {
                    reading.next.insert(src, Place::after(next.seq));
                    continue;
                };
                if reading.told.contains(&(src, next.seq, next.part)) {
                    break;
                }
                let decision = self.decide(&input, next.part, self.state.at).unwrap_or_default();
                if !decision.drafts.is_empty() {
                    break;
                }
                self.note_refusal(&input, next.part, &decision);
                reading.next.insert(src, behind(&input, next));
            }
        }
        let Some(by) = before else { return Ok(()) };
        let (next, place) = (reading.next[&by.src], Place { seq: by.seq, part: by.part });
        match next.cmp(&place) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                Err(format!("{by:?} before {next:?}, which is consumed without its facts"))
            }
            std::cmp::Ordering::Greater => Err(format!("{by:?} again, after {next:?}")),
        }
    }

    /// Decides a part of a stream again that has entries here.
    fn decide_part(&mut self, reading: &mut Reading<'_>, by: Cause) -> Result<(), String> {
        let input = self.input(reading.broker, by.src, by.seq)?;
        let input = input.ok_or_else(|| format!("{by:?} cannot be read, but led to facts"))?;
        loop {
            let Some(decision) = self.decide(&input, by.part, self.state.at) else {
                return Err(format!("{by:?} is no part of its input"));
            };
            let covered =
                place_in(&reading.frame.pos, by.src) > Place { seq: by.seq, part: by.part };
            let cut = reading.rest.is_empty() && !decision.drafts.is_empty();
            if cut && !covered {
                // Its next step stands in the next frame.
                return Ok(());
            }
            let more = decision.more;
            self.note_refusal(&input, by.part, &decision);
            self.compare_entries(reading, by, decision)?;
            if !more {
                let next = behind(&input, Place { seq: by.seq, part: by.part });
                reading.next.insert(by.src, next);
                return Ok(());
            }
        }
    }

    /// The next entries are what is decided, and are folded.
    fn compare_entries(
        &mut self,
        reading: &mut Reading<'_>,
        by: Cause,
        decision: Decision,
    ) -> Result<(), String> {
        for draft in decision.drafts {
            let Some((entry, rest)) = reading.rest.split_first() else {
                return Err(format!("{by:?} leads to more: {draft:?}"));
            };
            reading.rest = rest;
            let facts: Vec<FactOrUnknown> = draft.facts.into_iter().map(Into::into).collect();
            if entry.by != by || entry.entity() != Some(draft.entity) || entry.facts != facts {
                return Err(format!("{by:?} leads to {facts:?}, not {entry:?}"));
            }
            self.check_facts(reading.broker, entry)?;
            self.state.apply_entry(entry).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn incarnation(&self, src: Source) -> Incarnation {
        match src {
            Source::Commands => self.state.commands.clone(),
            _ => self.state.reports.clone(),
        }
    }

    fn input(&self, broker: &Broker, src: Source, seq: u64) -> Result<Option<Input>, String> {
        let stored = broker.input(src).get_of(&self.incarnation(src), seq);
        let stored = stored.ok_or_else(|| format!("{src:?} has no message {seq}"))?;
        Ok(decode_input(src, seq, &stored.subject, &stored.payload))
    }

    fn decide(&self, input: &Input, part: u32, at: Timestamp) -> Option<Decision> {
        let state = &self.state;
        match input {
            Input::Commands { tenant, message, .. } => {
                let command = message.commands.get(part as usize)?;
                Some(decide::command(state, &self.rules, tenant, command, at))
            }
            Input::Reports { worker_id, message, .. } => {
                let report = message.reports.get(part as usize)?;
                Some(decide::report(state, &self.rules, worker_id, message.session, report, at))
            }
            Input::Internal(internal) => decide::internal(state, &self.rules, internal, part, at),
        }
    }

    fn note_refusal(&mut self, input: &Input, part: u32, decision: &Decision) {
        if let (Input::Commands { seq, .. }, Some(Outcome::Refused(_))) = (input, &decision.answer)
        {
            self.stats.refused += 1;
            self.refused.insert((self.state.commands.clone(), *seq, part));
        }
    }
}

impl<'f> Reading<'f> {
    fn new(broker: &'f Broker, frame: &'f Frame, before: Positions) -> Self {
        let told = frame.entries.iter().map(|entry| (entry.by.src, entry.by.seq, entry.by.part));
        let facts = frame.entries.iter().flat_map(Entry::known_facts);
        let to_be_reset = facts.filter_map(|fact| match fact {
            Fact::InputsReset { src, .. } => Some(*src),
            _ => None,
        });
        let next = STREAMS.map(|src| (src, first(place_in(&before, src))));
        Self {
            broker,
            frame,
            rest: &frame.entries,
            told: told.collect(),
            next: next.into(),
            to_be_reset: to_be_reset.collect(),
            tail: None,
        }
    }
}

fn internal(body: &RawJson) -> Result<Internal, String> {
    serde_json::from_str(body.get()).map_err(|e| e.to_string())
}

fn place_in(pos: &Positions, src: Source) -> Place {
    match src {
        Source::Commands => pos.commands,
        _ => pos.reports,
    }
}

/// Whether a frame that stands there ends within an input.
fn within(pos: Positions) -> bool {
    pos.commands.part > 0 || pos.reports.part > 0
}

/// The beginning of a stream is that of its first message.
fn first(place: Place) -> Place {
    if place.seq == 0 { Place::after(0) } else { place }
}

/// Behind a part of a message.
fn behind(input: &Input, place: Place) -> Place {
    let count = match input {
        Input::Commands { message, .. } => message.commands.len(),
        Input::Reports { message, .. } => message.reports.len(),
        Input::Internal(_) => 0,
    };
    let next = place.part + 1;
    if next as usize >= count { Place::after(place.seq) } else { Place { part: next, ..place } }
}
