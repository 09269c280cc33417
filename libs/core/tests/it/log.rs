//! A log in memory: decides an input, stamps what follows, folds it in, and has it watched.

use std::collections::BTreeMap;

use nox_contract::{
    Command, EpochRecord, Event, EventNumber, Fact, InputRef, Outcome, Positions, Report,
    SessionId, Source, TenantId, Timestamp, WorkerId,
};
use nox_core::{Decision, Draft, Internal, Rules, State, decide};

use crate::{oracle, watch::Watch};

/// The key that the tests' tokens are made with.
pub const TOKEN_KEY: [u8; 32] = [42; 32];

/// The property that [`State::check`] looks after.
pub const SOUND: &str = "the state is sound after every event";

/// Most parts of one input; an input that goes on for longer never ends.
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

/// What followed from one input.
#[derive(Debug, Clone, Default)]
pub struct Said {
    pub events: Vec<Event>,
    pub answer: Option<Outcome>,
}

enum Record {
    Event(String),
    Epoch(EventNumber, EpochRecord),
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
            pos: Positions::default(),
            twin: None,
        }
    }

    pub fn command(&mut self, tenant: &TenantId, command: &Command) -> Result<Said, Violation> {
        let at = self.at();
        let decision = self.decide(|state, _| decide::command(state, tenant, command, at))?;
        self.pos.commands += 1;
        self.take(Source::Commands, 0, decision)
    }

    pub fn report(
        &mut self,
        worker: &WorkerId,
        session: SessionId,
        report: &Report,
    ) -> Result<Said, Violation> {
        let at = self.at();
        let decision =
            self.decide(|state, rules| decide::report(state, rules, worker, session, report, at))?;
        self.pos.reports += 1;
        self.take(Source::Reports, 0, decision)
    }

    /// Decides all parts of an input that is in no stream.
    pub fn internal(&mut self, input: &Internal) -> Result<Said, Violation> {
        if let Internal::Timer { due } = input {
            due.iter().for_each(|id| self.watch.fire(*id));
        }
        let mut said = Said::default();
        let mut part = 0;
        while let Some(decision) =
            self.decide(|state, rules| decide::internal(state, rules, input, part))?
        {
            said.events.extend(self.take(input.source(), part, decision)?.events);
            part += 1;
            hold(part < PARTS_MAX, "an input has an end", || format!("{input:?}"))?;
        }
        if let Internal::Match { placements_max } = input
            && part < *placements_max
        {
            let left = oracle::next(&self.state);
            hold(left.is_none(), "a match leaves nobody who could run", || format!("{left:?}"))?;
        }
        Ok(said)
    }

    /// A new leader begins its term.
    pub fn epoch(&mut self) -> Result<(), Violation> {
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
        self.records.push(Record::Epoch(n, record));
        Ok(())
    }

    /// Writes the state as a snapshot and reads it back: it is the same state, and from here on it
    /// is asked and told everything that the live one is.
    pub fn snapshot(&mut self) -> Result<(), Violation> {
        let text = serde_json::to_string(&self.state).map_err(|e| Violation {
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
    pub fn verify(&self) -> Result<(), Violation> {
        let mut folded = State::default();
        for record in &self.records {
            let applied = match record {
                Record::Event(text) => {
                    let event: Event = serde_json::from_str(text).map_err(|e| Violation {
                        property: "every event can be read",
                        detail: e.to_string(),
                    })?;
                    folded.apply(&event)
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

    fn at(&self) -> Timestamp {
        self.now.max(self.state.at)
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

    fn take(&mut self, src: Source, part: u32, decision: Decision) -> Result<Said, Violation> {
        let drafts = decision.drafts.len();
        let mut said = Said { events: Vec::with_capacity(drafts), answer: decision.answer };
        for (i, draft) in (1..).zip(decision.drafts) {
            hold(!draft.facts.is_empty(), "an event has facts", || format!("{draft:?}"))?;
            let event = self.stamp(src, part, i == drafts, draft);
            let text = serde_json::to_string(&event).expect("events are JSON");
            let before = self.state.clone();
            self.fold(|state| state.apply(&event))?;
            self.records.push(Record::Event(text));
            self.watch.observe(&before, &event, &self.state)?;
            event.known_facts().for_each(|fact| self.show(fact));
            said.events.push(event);
        }
        match &mut said.answer {
            Some(Outcome::Accepted(accepted)) if drafts > 0 => accepted.n = self.state.n,
            Some(Outcome::Refused(refusal)) => {
                let word = ("refused", refusal.code.to_string());
                *self.shown.entry(word).or_default() += 1;
            }
            _ => {}
        }
        Ok(said)
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
        apply: impl Fn(&mut State) -> Result<(), nox_core::ApplyError>,
    ) -> Result<(), Violation> {
        apply(&mut self.state).map_err(illegal)?;
        if let Some(twin) = &mut self.twin {
            apply(twin).map_err(illegal)?;
        }
        let checked = self.state.check();
        hold(checked.is_ok(), SOUND, || format!("{checked:?}"))
    }

    fn stamp(&self, src: Source, part: u32, last: bool, draft: Draft) -> Event {
        let mut event = Event {
            n: self.state.n.next(),
            epoch: self.state.epoch,
            at: self.at(),
            rules: nox_core::RULES_VERSION,
            prev: String::new(),
            input: InputRef { src, seq: self.pos.commands, part, last, body: None },
            pos: if last { self.pos } else { self.state.pos },
            tenant: TenantId::system(),
            job_id: None,
            user_id: None,
            module: None,
            worker_id: None,
            account: None,
            facts: draft.facts.into_iter().map(Into::into).collect(),
        };
        event.set_entity(draft.entity);
        event
    }
}

fn illegal(error: nox_core::ApplyError) -> Violation {
    Violation { property: "every decided fact is legal", detail: error.to_string() }
}
