//! Inputs in, stamped messages of the log out.
//!
//! The state here is ahead of the log by what is not yet acknowledged. It is never rolled back: a
//! leader that cannot get a message in drops it whole and folds the log again.

use std::collections::VecDeque;

use bytes::Bytes;
use nox_contract::{
    Answer, CommandMessage, EVENT_BYTES_MAX, Entity, EpochRecord, Event, EventNumber, Fact,
    FactOrUnknown, InputRef, Outcome, Positions, RawJson, ReportMessage, Source, TenantId,
    Timestamp, WorkerId, event::Chain, subject,
};
use nox_core::{ApplyError, Decision, Draft, Internal, RULES_VERSION, Rules, State, decide};

/// Something to decide.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Commands { seq: u64, tenant: TenantId, message: CommandMessage },
    Reports { seq: u64, worker_id: WorkerId, message: ReportMessage },
    Internal(Internal),
}

impl Input {
    pub fn source(&self) -> Source {
        match self {
            Self::Commands { .. } => Source::Commands,
            Self::Reports { .. } => Source::Reports,
            Self::Internal(internal) => internal.source(),
        }
    }
}

/// A message of the log, ready to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct LogMessage {
    pub subject: String,
    /// The names of its facts, for the `Nox-Facts` header.
    pub facts: String,
    pub payload: Bytes,
    /// What the payload says.
    pub event: Event,
}

/// What followed from one input.
#[derive(Debug, Default)]
pub struct Decided {
    pub messages: Vec<LogMessage>,
    /// For each part that somebody waits for.
    pub answers: Vec<Answer>,
}

/// A record of an input that the last leader did not complete.
#[derive(Debug, Clone, PartialEq)]
pub enum Unfinished {
    Event(Box<Event>),
    Epoch(EventNumber, EpochRecord),
}

/// Why an input cannot be decided. Log or code is broken: the leader stops loudly.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SequenceError {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("event {n} of an unfinished input is not what the same input leads to now")]
    Diverged { n: EventNumber },
    #[error("a message cannot be serialised: {0}")]
    Json(String),
    #[error(
        "event {n}, caused by {src:?} {seq}, has {bytes} bytes; the log takes {EVENT_BYTES_MAX}"
    )]
    TooLarge { n: EventNumber, src: Source, seq: u64, bytes: usize },
}

/// Decides inputs one after the other and numbers what follows.
#[derive(Debug, Clone)]
pub struct Sequencer {
    state: State,
    rules: Rules,
    chain: Chain,
    /// How far the inputs are consumed, those without a fact included.
    pos: Positions,
}

impl Sequencer {
    /// Goes on from a folded state, where the chain was `chain` and the inputs consumed up to `pos`:
    /// further than the state says, where the log has parts of an input that is still to be completed.
    pub fn new(state: State, pos: Positions, chain: Chain, rules: Rules) -> Self {
        Self { state, rules, chain, pos }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn chain(&self) -> Chain {
        self.chain
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How far the inputs are consumed.
    pub fn pos(&self) -> Positions {
        self.pos
    }

    /// Whether inputs were consumed that no event of the log tells of.
    pub fn needs_mark(&self) -> bool {
        self.pos != self.state.pos
    }

    /// Decides one input, all of its parts.
    pub fn run(&mut self, input: &Input, now: Timestamp) -> Result<Decided, SequenceError> {
        self.complete(input, now, VecDeque::new())
    }

    /// Decides an input of which the log already has `recorded`; what follows must begin with that.
    pub fn complete(
        &mut self,
        input: &Input,
        now: Timestamp,
        recorded: VecDeque<Unfinished>,
    ) -> Result<Decided, SequenceError> {
        let mut run = Run {
            at: now.max(self.state.at),
            src: input.source(),
            seq: 0,
            body: None,
            recorded,
            held: None,
            decided: Decided::default(),
        };
        match input {
            Input::Commands { seq, tenant, message } => {
                run.seq = *seq;
                for (part, command) in (0..).zip(&message.commands) {
                    let decision = decide::command(&self.state, tenant, command, run.at);
                    self.take(&mut run, part, decision)?;
                }
                self.pos.commands = *seq;
            }
            Input::Reports { seq, worker_id, message } => {
                run.seq = *seq;
                for (part, report) in (0..).zip(&message.reports) {
                    let decision = decide::report(
                        &self.state,
                        &self.rules,
                        worker_id,
                        message.session,
                        report,
                        run.at,
                    );
                    self.take(&mut run, part, decision)?;
                }
                self.pos.reports = *seq;
            }
            Input::Internal(internal) => {
                if let Internal::ResetInputs { src, position, .. } = internal {
                    match src {
                        Source::Commands => self.pos.commands = *position,
                        _ => self.pos.reports = *position,
                    }
                }
                run.seq = self.state.n.0 + 1;
                run.body =
                    Some(RawJson::of(internal).map_err(|e| SequenceError::Json(e.to_string()))?);
                if let Some(Unfinished::Event(first)) = run.recorded.front() {
                    run.seq = first.input.seq;
                }
                let mut part = 0;
                while let Some(decision) =
                    decide::internal(&self.state, &self.rules, internal, part)
                {
                    self.take(&mut run, part, decision)?;
                    part += 1;
                }
            }
        }
        self.finish(run)
    }

    /// Applies what follows from one part.
    fn take(&mut self, run: &mut Run, part: u32, decision: Decision) -> Result<(), SequenceError> {
        let decided_facts = !decision.drafts.is_empty();
        for draft in decision.drafts {
            if let Some(held) = run.held.take() {
                self.emit(run, held)?;
            }
            self.draft(run, part, draft)?;
        }
        if let Some(mut outcome) = decision.answer {
            if let Outcome::Accepted(accepted) = &mut outcome
                && decided_facts
            {
                accepted.n = self.state.n;
            }
            run.decided.answers.push(Answer { part, outcome });
        }
        Ok(())
    }

    /// Stamps one draft and applies it. It is held back, for the next draft decides whether it is
    /// its input's last.
    fn draft(&mut self, run: &mut Run, part: u32, draft: Draft) -> Result<(), SequenceError> {
        while let Some(Unfinished::Epoch(n, record)) = run.recorded.front() {
            self.state.apply_epoch(*n, record)?;
            run.recorded.pop_front();
        }
        if let Some(Unfinished::Event(recorded)) = run.recorded.pop_front() {
            let facts: Vec<FactOrUnknown> = draft.facts.into_iter().map(Into::into).collect();
            let same = recorded.input.part == part
                && recorded.entity().as_ref() == Some(&draft.entity)
                && same_bytes(&recorded.facts, &facts);
            if !same {
                return Err(SequenceError::Diverged { n: recorded.n });
            }
            run.body = None;
            self.state.apply(&recorded)?;
            // An epoch may follow right behind it.
            while let Some(Unfinished::Epoch(n, record)) = run.recorded.front() {
                self.state.apply_epoch(*n, record)?;
                run.recorded.pop_front();
            }
            return Ok(());
        }
        let event = self.stamp(run, part, draft);
        self.state.apply(&event)?;
        run.held = Some(event);
        Ok(())
    }

    fn stamp(&self, run: &mut Run, part: u32, draft: Draft) -> Event {
        let mut event = Event {
            n: self.state.n.next(),
            // Of the state, not of the beginning: the own record may stand within an unfinished input.
            epoch: self.state.epoch,
            at: run.at.max(self.state.at),
            rules: RULES_VERSION,
            prev: String::new(),
            input: InputRef {
                src: run.src,
                seq: run.seq,
                part,
                last: false,
                body: run.body.take(),
            },
            pos: self.pos,
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

    /// Serialises and chains an event that was applied.
    fn emit(&mut self, run: &mut Run, mut event: Event) -> Result<(), SequenceError> {
        event.prev = self.chain.to_string();
        let payload = serde_json::to_vec(&event).map_err(|e| SequenceError::Json(e.to_string()))?;
        if payload.len() > EVENT_BYTES_MAX {
            // The broker would refuse it again and again, and whoever leads next would write it
            // again: better to say so once.
            let (n, InputRef { src, seq, .. }) = (event.n, event.input);
            return Err(SequenceError::TooLarge { n, src, seq, bytes: payload.len() });
        }
        self.chain = self.chain.extend(&payload);
        let entity = event.entity().unwrap_or(Entity::Control);
        let facts = event.known_facts().map(Fact::name).collect::<Vec<_>>().join(",");
        run.decided.messages.push(LogMessage {
            subject: subject::event(&entity),
            facts,
            payload: payload.into(),
            event,
        });
        Ok(())
    }

    /// The last event of the input carries the position that includes it.
    fn finish(&mut self, mut run: Run) -> Result<Decided, SequenceError> {
        if let Some(Unfinished::Event(event)) = run.recorded.front() {
            return Err(SequenceError::Diverged { n: event.n });
        }
        if let Some(mut last) = run.held.take() {
            last.input.last = true;
            last.pos = self.pos;
            self.state.pos = self.pos;
            self.emit(&mut run, last)?;
        }
        Ok(run.decided)
    }
}

/// An input while it is being decided.
struct Run {
    at: Timestamp,
    src: Source,
    seq: u64,
    /// Until the first event has taken it.
    body: Option<RawJson>,
    recorded: VecDeque<Unfinished>,
    held: Option<Event>,
    decided: Decided,
}

/// Compares as the log has them: byte for byte.
fn same_bytes(a: &[FactOrUnknown], b: &[FactOrUnknown]) -> bool {
    match (serde_json::to_vec(a), serde_json::to_vec(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
