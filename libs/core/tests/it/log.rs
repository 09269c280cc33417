//! A log in memory: decides an input, gathers what follows in frames, folds it in, and has it watched.

use std::{collections::BTreeMap, ops::Deref};

use nox_contract::{
    Cause, Command, Entry, EpochRecord, Fact, Frame, FrameNumber, Outcome, Place, Positions,
    Report, SessionId, Source, TenantId, Timestamp, WorkerId,
};
use nox_core::{ApplyError, Decision, Draft, Internal, Rules, State, decide};

use crate::{oracle, watch::Watch};

/// The key that the tests' tokens are made with.
pub const TOKEN_KEY: [u8; 32] = [42; 32];

/// The property that [`State::check`] looks after.
pub const SOUND: &str = "the state is sound after every frame";

/// Most parts of one input and steps of one part; what goes on for longer never ends.
const PARTS_MAX: u32 = 10_000;

/// Something that must hold and does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The sentence that is not true.
    pub property: &'static str,
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not true: {}: {}", self.property, self.detail)
    }
}

/// Fails with the sentence that is not true, unless it is.
pub fn hold(
    holds: bool,
    property: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { property, detail: detail() }) }
}

/// An entry, and the frame that it stands in.
#[derive(Debug, Clone)]
pub struct Placed {
    pub n: FrameNumber,
    pub at: Timestamp,
    entry: Entry,
}

impl Deref for Placed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// What followed from one input.
#[derive(Debug, Clone, Default)]
pub struct Said {
    pub entries: Vec<Placed>,
    pub answer: Option<Outcome>,
}

enum Record {
    Frame(String),
    Epoch(FrameNumber, EpochRecord),
}

/// Places queued jobs of all kinds.
pub fn placing(placements_max: u32) -> Internal {
    Internal::Match { placements_max, looks_max: u32::MAX, behind: None }
}

/// Explains queued jobs of all kinds.
pub fn explaining(reasons_max: u32) -> Internal {
    Internal::Reasons { reasons_max, looks_max: u32::MAX, behind: None }
}

pub struct Log {
    pub state: State,
    pub rules: Rules,
    pub now: Timestamp,
    pub watch: Watch,
    /// How often each fact, reason, refusal and failure came.
    pub shown: BTreeMap<(&'static str, String), u32>,
    records: Vec<Record>,
    pos: Positions,
    /// The entries of the frame that is open, if one is.
    open: Option<Vec<Entry>>,
    /// How many more decisions share the open frame.
    gather: u32,
    /// A state that came out of a snapshot, and goes the same way from there on.
    twin: Option<State>,
}

impl Log {
    /// An empty log that `now` is the beginning of.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: State::default(),
            rules: Rules { token_key: TOKEN_KEY, ..Rules::default() },
            now,
            watch: Watch::default(),
            shown: BTreeMap::new(),
            records: Vec::new(),
            pos: Positions { commands: Place::after(0), reports: Place::after(0) },
            open: None,
            gather: 0,
            twin: None,
        }
    }

    pub fn command(&mut self, tenant: &TenantId, command: &Command) -> Result<Said, Violation> {
        let place = self.pos.commands;
        let by = Cause { src: Source::Commands, seq: place.seq, part: 0 };
        let mut said = Said::default();
        self.part(by, &mut said, |state, rules, at| {
            Some(decide::command(state, rules, tenant, command, at))
        })?;
        self.pos.commands = Place::after(place.seq);
        self.end_decision()?;
        Ok(said)
    }

    pub fn report(
        &mut self,
        worker: &WorkerId,
        session: SessionId,
        report: &Report,
    ) -> Result<Said, Violation> {
        let place = self.pos.reports;
        let by = Cause { src: Source::Reports, seq: place.seq, part: 0 };
        let mut said = Said::default();
        self.part(by, &mut said, |state, rules, at| {
            Some(decide::report(state, rules, worker, session, report, at))
        })?;
        self.pos.reports = Place::after(place.seq);
        self.end_decision()?;
        Ok(said)
    }

    /// Decides all parts of an input that is in no stream.
    pub fn internal(&mut self, input: &Internal) -> Result<Said, Violation> {
        if let Internal::Timer { due } = input {
            due.iter().for_each(|id| self.watch.fire(*id));
        }
        let mut said = Said::default();
        let mut part = 0;
        loop {
            let by = Cause { src: input.source(), seq: 0, part };
            if !self.part(by, &mut said, |state, rules, at| {
                decide::internal(state, rules, input, part, at)
            })? {
                break;
            }
            self.end_decision()?;
            part += 1;
            hold(part < PARTS_MAX, "an input has an end", || format!("{input:?}"))?;
        }
        let assigned =
            |entry: &Placed| entry.known_facts().all(|fact| matches!(fact, Fact::Assigned { .. }));
        if let Internal::Match { placements_max, looks_max: u32::MAX, behind: None } = input
            && said.entries.len() < *placements_max as usize
            && said.entries.iter().all(assigned)
        {
            let left = oracle::next(&self.state);
            hold(left.is_none(), "a match leaves nobody who could run", || format!("{left:?}"))?;
        }
        Ok(said)
    }

    /// The last message that is in the log: what anybody can have seen of it.
    pub fn last(&self) -> FrameNumber {
        FrameNumber(self.state.n.0 - u64::from(self.open.is_some()))
    }

    /// The next so many decisions stand in one frame.
    pub fn gather(&mut self, decisions: u32) -> Result<(), Violation> {
        self.seal()?;
        self.gather = decisions;
        Ok(())
    }

    /// A frame of what is gathered; without entries if that is nothing.
    pub fn frame(&mut self) -> Result<(), Violation> {
        self.begin()?;
        self.seal()
    }

    /// A new leader begins its term.
    pub fn epoch(&mut self) -> Result<(), Violation> {
        self.seal()?;
        let n = self.state.n.next();
        let record = EpochRecord {
            epoch: self.state.epoch.next(),
            leader: "test".to_owned(),
            // Written before the log was read, so its clock may be behind.
            at: Timestamp::from_micros(self.now.as_micros() - 5_000_000),
            commands: Default::default(),
            reports: Default::default(),
        };
        self.fold(|state| state.apply_epoch(n, &record))?;
        let checked = self.state.check();
        hold(checked.is_ok(), SOUND, || format!("{checked:?}"))?;
        self.records.push(Record::Epoch(n, record));
        Ok(())
    }

    /// Writes the state as a snapshot and reads it back: it is the same state, and from here on it
    /// is asked and told everything that the live one is.
    pub fn snapshot(&mut self) -> Result<(), Violation> {
        self.seal()?;
        let text = serde_json::to_string(&self.state.to_snapshot()).map_err(|e| Violation {
            property: "every state can be written as a snapshot",
            detail: e.to_string(),
        })?;
        let mut twin: State = serde_json::from_str(&text).map_err(|e| Violation {
            property: "every snapshot can be read",
            detail: e.to_string(),
        })?;
        twin.reindex();
        hold(twin == self.state, "a snapshot is the state that it was taken of", || {
            format!("{:?}\n{twin:?}", self.state)
        })?;
        self.twin = Some(twin);
        Ok(())
    }

    /// Whether folding the log from its beginning, and from the last snapshot, leads here.
    pub fn verify(&mut self) -> Result<(), Violation> {
        self.seal()?;
        let mut folded = State::default();
        for record in &self.records {
            let applied = match record {
                Record::Frame(text) => {
                    let frame: Frame = serde_json::from_str(text).map_err(|e| Violation {
                        property: "every frame can be read",
                        detail: e.to_string(),
                    })?;
                    folded.apply(&frame)
                }
                Record::Epoch(n, record) => folded.apply_epoch(*n, record),
            };
            applied.map_err(illegal)?;
        }
        hold(folded == self.state, "the fold of the log is the live state", || {
            format!("{:?}\n{folded:?}", self.state)
        })?;
        let same = self.twin.as_ref().is_none_or(|twin| *twin == self.state);
        hold(same, "who goes on from a snapshot gets to where the others are", || {
            format!("{:?}\n{:?}", self.state, self.twin)
        })
    }

    /// All that stands in a frame becomes true at one instant.
    fn at(&self) -> Timestamp {
        if self.open.is_some() { self.state.at } else { self.now.max(self.state.at) }
    }

    /// Decides one part, in as many steps as it takes; whether there was something to decide.
    fn part(
        &mut self,
        by: Cause,
        said: &mut Said,
        question: impl Fn(&State, &Rules, Timestamp) -> Option<Decision>,
    ) -> Result<bool, Violation> {
        for _ in 0..PARTS_MAX {
            let at = self.at();
            let Some(decision) = self.decide(|state, rules| question(state, rules, at))? else {
                return Ok(false);
            };
            let (more, drafts) = (decision.more, decision.drafts.len());
            hold(!more || drafts > 0, "a step leads to something", || format!("{by:?}"))?;
            self.take(by, decision, said)?;
            if !more {
                return Ok(true);
            }
            self.end_decision()?;
        }
        hold(false, "a part has an end", || format!("{by:?}"))?;
        Ok(false)
    }

    /// Decides three times: the same question to the same state has one answer.
    fn decide<D: PartialEq + std::fmt::Debug>(
        &self,
        question: impl Fn(&State, &Rules) -> D,
    ) -> Result<D, Violation> {
        let decision = question(&self.state, &self.rules);
        for state in [Some(&self.state), self.twin.as_ref()].into_iter().flatten() {
            let again = question(state, &self.rules);
            hold(again == decision, "the same state and input lead to the same decision", || {
                format!("{decision:?}\n{again:?}")
            })?;
        }
        Ok(decision)
    }

    fn take(&mut self, by: Cause, decision: Decision, said: &mut Said) -> Result<(), Violation> {
        let has_facts = !decision.drafts.is_empty();
        for Draft { entity, facts } in decision.drafts {
            hold(!facts.is_empty(), "an entry has facts", || format!("{entity:?}"))?;
            self.begin()?;
            let entry = Entry::new(by, entity.clone(), facts.into_iter().map(Into::into).collect());
            hold(entry.entity() == Some(entity), "an entry says what it is about", || {
                format!("{entry:?}")
            })?;
            let before = self.state.clone();
            self.fold(|state| state.apply_entry(&entry))?;
            self.open.get_or_insert_default().push(entry.clone());
            let placed = Placed { n: self.state.n, at: self.state.at, entry };
            self.watch.observe(&before, &placed, &self.state)?;
            placed.known_facts().for_each(|fact| self.show(fact));
            said.entries.push(placed);
        }
        if let Some(mut answer) = decision.answer {
            match &mut answer {
                Outcome::Accepted(accepted) if has_facts => accepted.n = self.state.n,
                Outcome::Refused(refusal) => {
                    let word = ("refused", refusal.code.to_string());
                    *self.shown.entry(word).or_default() += 1;
                }
                Outcome::Accepted(_) => {}
            }
            said.answer = Some(answer);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Violation> {
        if self.open.is_none() {
            let (n, at) = (self.state.n.next(), self.at());
            self.fold(|state| state.begin_frame(n, at))?;
            self.open = Some(Vec::new());
        }
        Ok(())
    }

    /// A decision is made; unless others are to share its frame, that ends here.
    fn end_decision(&mut self) -> Result<(), Violation> {
        self.gather = self.gather.saturating_sub(1);
        if self.gather == 0 { self.seal() } else { Ok(()) }
    }

    /// Ends the open frame, if one is.
    pub fn seal(&mut self) -> Result<(), Violation> {
        self.gather = 0;
        let Some(entries) = self.open.take() else { return Ok(()) };
        let pos = self.pos;
        self.fold(|state| state.end_frame(pos))?;
        let frame = Frame {
            n: self.state.n,
            epoch: self.state.epoch,
            at: self.state.at,
            rules: nox_core::RULES_VERSION,
            prev: String::new(),
            pos,
            inputs: Vec::new(),
            askers: Vec::new(),
            asked: Vec::new(),
            entries,
        };
        let text = serde_json::to_string(&frame).expect("frames are JSON");
        self.records.push(Record::Frame(text));
        let checked = self.state.check();
        hold(checked.is_ok(), SOUND, || format!("{checked:?}"))
    }

    fn show(&mut self, fact: &Fact) {
        let detail = match fact {
            Fact::Waiting { code } => Some(("waits", code.as_str().to_owned())),
            Fact::Failed { error } => Some(("failed", error.code.clone())),
            Fact::AttemptLost { reason, .. } => Some(("lost", format!("{reason:?}"))),
            _ => None,
        };
        for word in [Some(("fact", fact.name().to_owned())), detail].into_iter().flatten() {
            *self.shown.entry(word).or_default() += 1;
        }
    }

    fn fold(
        &mut self,
        apply: impl Fn(&mut State) -> Result<(), ApplyError>,
    ) -> Result<(), Violation> {
        apply(&mut self.state).map_err(illegal)?;
        match &mut self.twin {
            Some(twin) => apply(twin).map_err(illegal),
            None => Ok(()),
        }
    }
}

fn illegal(error: ApplyError) -> Violation {
    Violation { property: "every decided fact is legal", detail: error.to_string() }
}
