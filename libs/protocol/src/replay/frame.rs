//! How the entries of one frame follow from its inputs.
//!
//! Entries stand in the order in which they became true, and each names the part of an input that caused it.
//! Parts that led to nothing have no entry, so that between two parts of one stream the others' entries may stand:
//! such a part has to lead to nothing at one place of several.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nox_contract::{
    Cause, Entry, Fact, FactOrUnknown, Frame, Incarnation, Outcome, Place, Positions, RawJson,
    Source,
};
use nox_core::{Decision, Internal, Rules, State};
use serde::Serialize;

use super::{Divergence, Found, Inputs, Observer, Open, Replay, ReplayError, Tail, rules::Decider};
use crate::{sequencer::Input, takeover::decode_input};

const STREAMS: [Source; 2] = [Source::Commands, Source::Reports];

/// A frame while its entries are decided again.
pub(super) struct Deciding<'f> {
    replay: &'f mut Replay,
    frame: &'f Frame,
    inputs: &'f dyn Inputs,
    observer: &'f mut dyn Observer,
    decider: &'static Decider,
    /// So many entries are decided again.
    done: usize,
    /// The parts that have entries here.
    told: BTreeSet<(Source, u64, u32)>,
    /// The next part of each stream that nothing is known of.
    next: BTreeMap<Source, Place>,
    /// Streams that are other ones from here on, as the frame has yet to say.
    to_be_reset: BTreeSet<Source>,
    tail: Option<Tail>,
}

impl<'f> Deciding<'f> {
    pub fn new(
        replay: &'f mut Replay,
        frame: &'f Frame,
        inputs: &'f dyn Inputs,
        observer: &'f mut dyn Observer,
        decider: &'static Decider,
    ) -> Self {
        let told = frame.entries.iter().map(|entry| (entry.by.src, entry.by.seq, entry.by.part));
        let facts = frame.entries.iter().flat_map(Entry::known_facts);
        let to_be_reset = facts.filter_map(|fact| match fact {
            Fact::InputsReset { src, .. } => Some(*src),
            _ => None,
        });
        let before = replay.state.pos;
        let next = STREAMS.map(|src| (src, first(place_in(&before, src))));
        Self {
            frame,
            inputs,
            observer,
            decider,
            done: 0,
            told: told.collect(),
            next: next.into(),
            to_be_reset: to_be_reset.collect(),
            tail: None,
            replay,
        }
    }

    pub fn run(mut self) -> Result<(), ReplayError> {
        let frame = self.frame;
        self.replay.state.begin_frame(frame.n, frame.at)?;
        self.check_embedded()?;
        self.go_on_with_tail()?;
        self.consume_silent(None)?;
        while let Some(entry) = frame.entries.get(self.done) {
            let (by, done) = (entry.by, self.done);
            if STREAMS.contains(&by.src) {
                self.consume_silent(Some(by))?;
                self.decide_part(by)?;
            } else {
                self.decide_internal(by.seq, 0)?;
            }
            if self.done == done {
                return Err(self.diverges(Some(by), "nothing".to_owned(), json(entry)));
            }
            self.consume_silent(None)?;
        }
        for src in STREAMS {
            let (next, pos) = (self.next[&src], first(place_in(&frame.pos, src)));
            if next != pos {
                let expected = format!("{src:?} to be consumed up to {next:?}");
                return Err(self.diverges(None, expected, format!("{pos:?}")));
            }
        }
        self.replay.tail = self.tail.take();
        self.replay.state.end_frame(frame.pos)?;
        self.check_tail()
    }

    fn state(&self) -> &State {
        &self.replay.state
    }

    fn rest(&self) -> &'f [Entry] {
        &self.frame.entries[self.done..]
    }

    /// An input is embedded with what it led to.
    fn check_embedded(&self) -> Result<(), ReplayError> {
        let of_entries = self.frame.entries.iter().map(|entry| entry.by);
        let of_entries = of_entries.filter(|by| !STREAMS.contains(&by.src)).map(|by| by.seq);
        let told: BTreeSet<u64> = of_entries.collect();
        let silent = (0..).zip(&self.frame.inputs).find(|(place, _)| !told.contains(place));
        let Some((_, body)) = silent else { return Ok(()) };
        let expected = format!("what follows from {}", body.get());
        Err(self.diverges(None, expected, "nothing of it".to_owned()))
    }

    // --- inputs in no stream ---

    /// The frame before may have ended within an input that is in no stream: then this one begins with
    /// the rest of it.
    fn go_on_with_tail(&mut self) -> Result<(), ReplayError> {
        let Some(tail) = self.replay.tail.take() else { return Ok(()) };
        let begins = self.rest().first().map(|entry| entry.by);
        let same = begins.filter(|by| {
            !STREAMS.contains(&by.src)
                && by.part >= tail.next_part
                && by.seq == 0
                && self.frame.inputs.first() == Some(&tail.body)
        });
        match same {
            // The same may have been noticed again; then it begins from the beginning.
            Some(by) if tail.goes_on || !self.leads_to(&tail.body, 0, by.part)? => {
                self.decide_internal(0, tail.next_part)
            }
            _ if tail.goes_on => {
                let expected = format!("the rest of {}", tail.body.get());
                Err(self.diverges(begins, expected, json(&self.rest().first())))
            }
            _ => Ok(()),
        }
    }

    /// Whether part `part` is the first of an input, from part `from` on, that leads to anything.
    fn leads_to(&self, body: &RawJson, from: u32, part: u32) -> Result<bool, ReplayError> {
        let internal = self.internal(body, 0)?;
        let mut at = from;
        while let Some(decision) = self.decide_of(&internal, at) {
            if !decision.drafts.is_empty() || at >= part {
                break;
            }
            at += 1;
        }
        Ok(at == part)
    }

    /// Decides an input in no stream again, from one part on and as far as this frame goes.
    fn decide_internal(&mut self, place: u64, from: u32) -> Result<(), ReplayError> {
        let frame = self.frame;
        let body = usize::try_from(place).ok().and_then(|place| frame.inputs.get(place));
        let body = body.ok_or_else(|| ReplayError::Unreadable {
            n: frame.n,
            place,
            reason: "is not embedded".to_owned(),
        })?;
        let internal = self.internal(body, place)?;
        if let Internal::ResetInputs { src, position, .. } = &internal {
            self.to_be_reset.remove(src);
            self.next.insert(*src, Place::after(*position));
        }
        let mut part = from;
        let (mut next_part, mut goes_on) = (from, false);
        'parts: loop {
            loop {
                let Some(decision) = self.decide_of(&internal, part) else { break 'parts };
                let by = Cause { src: internal.source(), seq: place, part };
                if !decision.drafts.is_empty() && self.rest().is_empty() {
                    goes_on = true;
                    break 'parts;
                }
                let more = decision.more;
                if !decision.drafts.is_empty() {
                    next_part = if more { part } else { part + 1 };
                }
                self.compare(by, decision)?;
                if !more {
                    break;
                }
            }
            part += 1;
        }
        if self.rest().is_empty() {
            self.tail = Some(Tail { body: body.clone(), next_part, goes_on });
        }
        Ok(())
    }

    /// What was to be told may be told by now in another way: dependents are with the end of a frame.
    fn check_tail(&mut self) -> Result<(), ReplayError> {
        let Some(tail) = self.replay.tail.take_if(|tail| tail.goes_on) else { return Ok(()) };
        let internal = self.internal(&tail.body, 0)?;
        let mut part = tail.next_part;
        let goes_on = loop {
            match self.decide_of(&internal, part) {
                None => break false,
                Some(decision) if !decision.drafts.is_empty() => break true,
                Some(_) => part += 1,
            }
        };
        self.replay.tail = Some(Tail { goes_on, ..tail });
        Ok(())
    }

    fn internal(&self, body: &RawJson, place: u64) -> Result<Internal, ReplayError> {
        serde_json::from_str(body.get()).map_err(|e| ReplayError::Unreadable {
            n: self.frame.n,
            place,
            reason: format!("cannot be read: {e}"),
        })
    }

    fn decide_of(&self, internal: &Internal, part: u32) -> Option<Decision> {
        let Replay { state, rules, .. } = &*self.replay;
        (self.decider.internal)(state, rules, internal, part, state.at)
    }

    // --- inputs of the streams ---

    /// Consumes what leads to nothing: as far as that can be seen now or, where an entry is the next,
    /// all before it.
    fn consume_silent(&mut self, before: Option<Cause>) -> Result<(), ReplayError> {
        for src in STREAMS {
            if self.to_be_reset.contains(&src) {
                continue;
            }
            let up_to = first(place_in(&self.frame.pos, src));
            loop {
                let next = self.next[&src];
                if next >= up_to {
                    break;
                }
                let behind = match self.input(src, next.seq) {
                    Found::Unreadable => Place::after(next.seq),
                    Found::Gone => {
                        self.replay.counts.gone_up_to = self.frame.n;
                        let parts = (src, next.seq, next.part)..=(src, next.seq, u32::MAX);
                        if self.told.range(parts).next().is_some() {
                            break;
                        }
                        up_to.min(Place::after(next.seq))
                    }
                    Found::Is(_) if self.told.contains(&(src, next.seq, next.part)) => break,
                    Found::Is(input) => {
                        let decision = self.decide(&input, next.part).unwrap_or_default();
                        if !decision.drafts.is_empty() {
                            break;
                        }
                        self.replay.counts.silent += 1;
                        self.note_refusal(&input, next.part, &decision);
                        behind(&input, next)
                    }
                };
                self.next.insert(src, behind);
            }
        }
        let Some(by) = before else { return Ok(()) };
        let (mut next, place) = (self.next[&by.src], Place { seq: by.seq, part: by.part });
        if next.seq == by.seq && next < place && matches!(self.input(by.src, by.seq), Found::Gone) {
            // What the parts between would have led to cannot be known.
            self.next.insert(by.src, place);
            next = place;
        }
        match next.cmp(&place) {
            Ordering::Equal => Ok(()),
            Ordering::Less => {
                let expected = self.expected_of(by.src, next);
                Err(self.diverges(Some(by), expected, json(&self.rest().first())))
            }
            Ordering::Greater => {
                let expected = format!("nothing of a part before {next:?} any more");
                Err(self.diverges(Some(by), expected, json(&self.rest().first())))
            }
        }
    }

    /// What the part that was passed over leads to.
    fn expected_of(&mut self, src: Source, place: Place) -> String {
        let decision = match self.input(src, place.seq) {
            Found::Is(input) => self.decide(&input, place.part),
            _ => None,
        };
        let drafts = decision.map(|decision| decision.drafts).unwrap_or_default();
        format!("what follows from {src:?} {}/{} first: {drafts:?}", place.seq, place.part)
    }

    /// Decides a part of a stream again that has entries here.
    fn decide_part(&mut self, by: Cause) -> Result<(), ReplayError> {
        let place = Place { seq: by.seq, part: by.part };
        let covered = place_in(&self.frame.pos, by.src) > place;
        let input = match self.input(by.src, by.seq) {
            Found::Gone => return self.take_part(by, covered),
            // Nothing follows from it.
            Found::Unreadable => return Ok(()),
            Found::Is(input) => input,
        };
        loop {
            let Some(decision) = self.decide(&input, by.part) else {
                // No such part; nothing follows from it.
                return Ok(());
            };
            let cut = self.rest().is_empty() && !decision.drafts.is_empty();
            if cut && !covered {
                // Its next step stands in the next frame.
                return Ok(());
            }
            let more = decision.more;
            self.note_refusal(&input, by.part, &decision);
            self.compare(by, decision)?;
            if !more {
                self.next.insert(by.src, behind(&input, place));
                return Ok(());
            }
        }
    }

    /// Takes what a part led to as it is recorded.
    fn take_part(&mut self, by: Cause, covered: bool) -> Result<(), ReplayError> {
        while let Some(entry) = self.rest().first().filter(|entry| entry.by == by) {
            self.replay.counts.taken_entries += 1;
            self.replay.counts.taken_facts += entry.facts.len() as u64;
            self.fold(entry)?;
        }
        if covered {
            let up_to = first(place_in(&self.frame.pos, by.src));
            let next = Place { seq: by.seq, part: by.part + 1 };
            self.next.insert(by.src, next.min(up_to));
        }
        Ok(())
    }

    /// The next entries are what is decided, and are folded.
    fn compare(&mut self, by: Cause, decision: Decision) -> Result<(), ReplayError> {
        for draft in decision.drafts {
            let Some(entry) = self.rest().first() else {
                let expected = format!("{:?} of {:?}", draft.facts, draft.entity);
                return Err(self.diverges(Some(by), expected, "the end of the frame".to_owned()));
            };
            if entry.by != by || entry.entity().as_ref() != Some(&draft.entity) {
                let expected = format!("{:?} of {:?}, by {by:?}", draft.facts, draft.entity);
                return Err(self.diverges(Some(entry.by), expected, json(entry)));
            }
            // Logs from before entries named the owners of schedules and keys say nothing.
            if let Some(owner) = self.state().owner_of(&draft.entity, &draft.facts)
                && entry.user_id.as_ref().is_some_and(|named| named != owner)
            {
                let expected = format!("{:?}, which is {owner}'s", draft.entity);
                return Err(self.diverges(Some(by), expected, json(entry)));
            }
            let facts = draft.facts.len().max(entry.facts.len());
            for place in 0..facts {
                let (expected, found) = (draft.facts.get(place), entry.facts.get(place));
                let same = match (expected, found) {
                    (Some(expected), Some(FactOrUnknown::Known(found))) => expected == found,
                    _ => false,
                };
                if !same {
                    let (expected, found) = (json(&expected), json(&found));
                    return Err(self.diverges_in(Some(by), Some(place), expected, found));
                }
            }
            self.replay.counts.entries += 1;
            self.replay.counts.facts += entry.facts.len() as u64;
            self.fold(entry)?;
        }
        Ok(())
    }

    fn fold(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        let (n, at) = (self.frame.n, self.done);
        let observed = self.observer.entry(&self.replay.state, entry);
        observed.map_err(|what| ReplayError::Observed { n, entry: at, what })?;
        self.replay.state.apply_entry(entry)?;
        self.done += 1;
        Ok(())
    }

    fn incarnation(&self, src: Source) -> &Incarnation {
        match src {
            Source::Commands => &self.state().commands,
            _ => &self.state().reports,
        }
    }

    fn input(&mut self, src: Source, seq: u64) -> Found {
        let incarnation = self.incarnation(src);
        if let Some(open) = self.replay.open.get(&src)
            && open.seq == seq
            && open.incarnation == *incarnation
        {
            return open.input.clone();
        }
        let incarnation = incarnation.clone();
        let input = match self.inputs.message(src, &incarnation, seq) {
            None => Found::Gone,
            Some((subject, payload)) => match decode_input(src, seq, subject, payload) {
                Some(input) => Found::Is(Arc::new(input)),
                None => Found::Unreadable,
            },
        };
        self.replay.open.insert(src, Open { incarnation, seq, input: input.clone() });
        input
    }

    /// What follows from a part; `None` if its message has no such part.
    fn decide(&self, input: &Input, part: u32) -> Option<Decision> {
        let Replay { state, rules, .. } = &*self.replay;
        decide(self.decider, state, rules, input, part)
    }

    fn note_refusal(&mut self, input: &Input, part: u32, decision: &Decision) {
        if let (Input::Commands { seq, .. }, Some(Outcome::Refused(_))) = (input, &decision.answer)
        {
            self.observer.refused(&self.replay.state, *seq, part);
        }
    }

    fn diverges(&self, by: Option<Cause>, expected: String, found: String) -> ReplayError {
        self.diverges_in(by, None, expected, found)
    }

    /// Record and decision part here.
    fn diverges_in(
        &self,
        by: Option<Cause>,
        fact: Option<usize>,
        expected: String,
        found: String,
    ) -> ReplayError {
        let entry = Some(self.done).filter(|done| *done < self.frame.entries.len());
        let n = self.frame.n;
        ReplayError::Divergence(Box::new(Divergence { n, entry, fact, by, expected, found }))
    }
}

fn decide(
    decider: &Decider,
    state: &State,
    rules: &Rules,
    input: &Input,
    part: u32,
) -> Option<Decision> {
    match input {
        Input::Commands { tenant, message, .. } => {
            let command = message.commands.get(part as usize)?;
            Some((decider.command)(state, rules, tenant, command, state.at))
        }
        Input::Reports { worker_id, message, .. } => {
            let report = message.reports.get(part as usize)?;
            Some((decider.report)(state, rules, worker_id, message.session, report, state.at))
        }
        Input::Internal(internal) => (decider.internal)(state, rules, internal, part, state.at),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| e.to_string())
}

fn place_in(pos: &Positions, src: Source) -> Place {
    match src {
        Source::Commands => pos.commands,
        _ => pos.reports,
    }
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
