//! What would have been with another configuration: a model, and what it rests on.
//!
//! The decisions are the real ones: the core decides, the sequencer folds, from the log's beginning. Kept as they were
//! are commands and when they came, workers (when they joined, what they said of themselves, when they fell silent), when
//! schedules were due, and how each attempt went and how long it took, from its assignment to its end. What the leader
//! concluded is concluded anew: whom the match places, whose instant has come, what is lost with a worker.
//!
//! What is not in the record is guessed, and counted: an attempt that never ran lasts as long as the last one of
//! its job, else as the median of its module's that succeeded, and succeeds; one that is to stop does so at once. Of a job
//! that was stopped while it ran nobody knows when it would have ended: it runs until it is stopped.
//! A worker's speed does not depend on what else it runs, users do not react to what they see, turns take no time, tasks that
//! workers claim are left out, and a submit is never taken for a late copy. So the model without a change differs a little from the record as
//! well: by how much is shown beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{
    Attempt, AttemptEnd, Capacity, Chain, Command, CommandMessage, Entry, EpochRecord, Fact,
    FrameNumber, JobId, Limits, ModuleName, Positions, RawJson, Report, ReportMessage,
    SchedulerConfig, SessionId, SetLimits, Submit, TenantId, Timestamp, Token, Usage, UserId,
    WorkerId,
    report::{Ended, Stopped},
    subject,
};
use nox_core::{Internal, Rules, State};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Outcome, Recording,
    recording::{Span, Told},
};
use crate::sequencer::{Decided, Input, SequenceError, Sequencer};

/// As a leader's match does it.
const PLACEMENTS_MAX: u32 = 256;
const LOOKS_MAX: u32 = 20_000;
/// As a leader does it.
const LOSSES_MAX: u32 = 1_000;
/// Most turns without that anything happens from outside: a model that goes on for longer is no model.
const TURNS_MAX: u64 = 10_000_000;
/// Of an attempt of a module of which none ever succeeded.
const UNKNOWN_SPAN: Duration = Duration::from_secs(1);
/// Most workers that are named where another one was meant.
const WORKERS_NAMED_MAX: usize = 20;
/// The model's own key: its attempts are others.
const TOKEN_KEY: [u8; 32] = [1; 32];

/// What is to be different.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    /// Members of the scheduler's configuration, in place of those that were in force.
    pub config: Value,
    /// Slots of a worker by its name; of all others by `*`.
    pub slots: BTreeMap<String, u32>,
    /// The first that a submit is like says its priority.
    pub priorities: Vec<PriorityRule>,
    /// Limits of an account, `TENANT/tenant` or `TENANT/user/ID`, from the beginning on: members in place of those of the role
    /// `user`.
    pub limits: BTreeMap<String, Value>,
}

/// Which submits have another priority. What is not named may be anything.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorityRule {
    pub tenant: Option<TenantId>,
    pub user: Option<UserId>,
    pub module: Option<ModuleName>,
    pub priority: u8,
}

/// What a model came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Modelled {
    pub outcome: Outcome,
    /// Attempts whose span or end is guessed.
    pub guessed: u64,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WhatIfError {
    #[error("the log has no beginning")]
    Empty,
    #[error("{what} cannot be changed so: {reason}")]
    Patch { what: String, reason: String },
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    #[error("the model does not come to an end")]
    Endless,
}

/// Models a record with a change; with none, to see how far the model is from the record.
///
/// # Errors
/// See [`WhatIfError`].
pub fn what_if(recording: &Recording, patch: &Patch) -> Result<Modelled, WhatIfError> {
    let epoch = recording.epoch.as_ref().ok_or(WhatIfError::Empty)?;
    patch.check_workers(recording)?;
    Model::new(recording, patch, epoch).run()
}

struct Model<'r> {
    recording: &'r Recording,
    patch: &'r Patch,
    medians: BTreeMap<String, Duration>,
    sequencer: Sequencer,
    /// What attempts will say, by when, and in the order in which it was known.
    due: BTreeMap<(Timestamp, u64), Due>,
    number: u64,
    commands: u64,
    reports: u64,
    /// When a job that starts too soon after others may start.
    look_at: Option<Timestamp>,
    /// Accounts whose limits are changed and set.
    limited: BTreeSet<TenantId>,
    outcome: Outcome,
    guessed: u64,
}

/// What an attempt will say.
struct Due {
    worker_id: WorkerId,
    session: SessionId,
    report: Report,
}

impl<'r> Model<'r> {
    fn new(recording: &'r Recording, patch: &'r Patch, epoch: &EpochRecord) -> Self {
        let mut state = State::default();
        // An empty state takes the first term.
        let _ = state.apply_epoch(FrameNumber(1), epoch);
        let rules = Rules { token_key: TOKEN_KEY, ..Rules::default() };
        Self {
            recording,
            patch,
            medians: recording.medians(),
            sequencer: Sequencer::new(state, Positions::default(), Chain::START, rules),
            due: BTreeMap::new(),
            number: 0,
            commands: 0,
            reports: 0,
            look_at: None,
            limited: BTreeSet::new(),
            outcome: Outcome::default(),
            guessed: 0,
        }
    }

    fn run(mut self) -> Result<Modelled, WhatIfError> {
        let recording = self.recording;
        let mut told = recording.told.iter().peekable();
        for _ in 0..TURNS_MAX {
            let state = self.sequencer.state();
            let timer = state.timers().next().map(|(at, _)| at);
            let next = told.peek().map(|(at, _)| *at);
            let said = self.due.first_key_value().map(|((at, _), _)| *at);
            let ends = state.ends_due_at();
            let Some(at) = [next, said, timer, ends, self.look_at].into_iter().flatten().min()
            else {
                let Self { outcome, guessed, .. } = self;
                return Ok(Modelled { outcome, guessed });
            };
            let at = at.max(state.at);
            while let Some((_, told)) = told.next_if(|(when, _)| *when <= at) {
                self.tell(told, at)?;
            }
            while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= at) {
                let Due { worker_id, session, report } = first.remove();
                self.report(worker_id, session, vec![report], at)?;
            }
            self.turn(at)?;
        }
        Err(WhatIfError::Endless)
    }

    /// What a leader does by itself, until nothing more follows.
    fn turn(&mut self, at: Timestamp) -> Result<(), WhatIfError> {
        loop {
            let state = self.sequencer.state();
            let due: Vec<_> =
                state.timers().take_while(|(due, _)| *due <= at).map(|(_, id)| id).collect();
            let schedules: Vec<_> = state
                .schedules
                .queued()
                .filter(|(_, schedule)| !state.has_open_job(schedule))
                .map(|(id, _)| id)
                .collect();
            if !due.is_empty() {
                self.internal(Internal::Timer { due }, at)?;
            }
            if !schedules.is_empty() {
                self.internal(Internal::Unqueue { wall: at, at, schedules }, at)?;
            }
            while self.sequencer.state().has_losses() {
                let losses = Internal::Losses { losses_max: LOSSES_MAX };
                if self.internal(losses, at)?.entries.is_empty() {
                    break;
                }
            }
            self.look_at = self.look_at.filter(|look_at| *look_at > at);
            self.place(at)?;
            let are_ends_due = |state: &State| state.ends_due_at().is_some_and(|due| due <= at);
            if self.sequencer.has_open_frame() || are_ends_due(self.sequencer.state()) {
                self.sequencer.seal(at)?;
                self.sequencer.take_sealed();
            }
            let state = self.sequencer.state();
            if !state.has_unblocked() && !are_ends_due(state) {
                return Ok(());
            }
        }
    }

    fn place(&mut self, at: Timestamp) -> Result<(), WhatIfError> {
        let mut behind = None;
        while self.sequencer.state().has_waiting() {
            let look =
                Internal::Match { placements_max: PLACEMENTS_MAX, looks_max: LOOKS_MAX, behind };
            let decided = self.internal(look, at)?;
            self.look_at = [self.look_at, decided.look_at].into_iter().flatten().min();
            behind = decided.behind;
            if decided.entries.len() >= PLACEMENTS_MAX as usize {
                behind = None;
            } else if behind.is_none() {
                break;
            }
        }
        Ok(())
    }

    // --- what is told ---

    fn tell(&mut self, told: &Told, at: Timestamp) -> Result<(), WhatIfError> {
        match told {
            Told::Internal(Internal::Configure { config }) => {
                let config = merged("config", config, &self.patch.config)?;
                self.internal(Internal::Configure { config }, at)?;
                Ok(())
            }
            Told::Internal(internal) => {
                self.internal(internal.clone(), at)?;
                Ok(())
            }
            Told::Reports { worker_id, session, reports } => {
                let mut reports = reports.clone();
                reports.iter_mut().for_each(|report| self.patch.resize(worker_id, report));
                self.report(worker_id.clone(), *session, reports, at)
            }
            Told::Commands { tenant, commands } => {
                self.limit(tenant, at)?;
                let mut commands = commands.clone();
                let n = self.sequencer.state().n;
                for command in &mut commands {
                    match command {
                        Command::Submit(submit) => self.patch.submit(tenant, submit, n),
                        Command::SubmitBatch(batch) => {
                            let jobs = batch.jobs.iter_mut();
                            jobs.for_each(|submit| self.patch.submit(tenant, submit, n));
                        }
                        _ => {}
                    }
                }
                self.command(tenant, commands, at)
            }
        }
    }

    /// Sets the limits of accounts that are to have others, before the tenant asks for anything.
    fn limit(&mut self, tenant: &TenantId, at: Timestamp) -> Result<(), WhatIfError> {
        if self.patch.limits.is_empty() || !self.limited.insert(tenant.clone()) {
            return Ok(());
        }
        let config = self.sequencer.state().config.clone().unwrap_or_default();
        let of_user = config.roles.get("user").copied().unwrap_or(config.tenant);
        let mut commands = Vec::new();
        for (name, change) in &self.patch.limits {
            let Some((of, account)) = name.split_once('/') else { continue };
            if of != tenant.to_string() {
                continue;
            }
            let is_tenant = account == subject::TENANT_ACCOUNT;
            let base = if is_tenant { config.tenant } else { of_user };
            let limits: Limits = merged(name, &base, change)?;
            let by = UserId::new("what-if").map_err(|e| patch_error(name, e))?;
            commands.push(Command::SetLimits(Box::new(SetLimits {
                account: account.to_owned(),
                limits: Some(limits),
                by,
                reason: String::new(),
            })));
        }
        self.command(tenant, commands, at)
    }

    fn command(
        &mut self,
        tenant: &TenantId,
        commands: Vec<Command>,
        at: Timestamp,
    ) -> Result<(), WhatIfError> {
        self.commands += 1;
        let message = CommandMessage::new(None, commands);
        let input = Input::Commands { seq: self.commands, tenant: tenant.clone(), message };
        self.run_input(&input, at)?;
        Ok(())
    }

    fn report(
        &mut self,
        worker_id: WorkerId,
        session: SessionId,
        reports: Vec<Report>,
        at: Timestamp,
    ) -> Result<(), WhatIfError> {
        self.reports += 1;
        let message = ReportMessage { session, reports };
        let input = Input::Reports { seq: self.reports, worker_id, message };
        self.run_input(&input, at)?;
        Ok(())
    }

    fn internal(&mut self, internal: Internal, at: Timestamp) -> Result<Decided, WhatIfError> {
        self.run_input(&Input::Internal(internal), at)
    }

    fn run_input(&mut self, input: &Input, at: Timestamp) -> Result<Decided, WhatIfError> {
        let decided = self.sequencer.run(input, at)?;
        self.sequencer.take_sealed();
        for (n, entry) in &decided.entries {
            self.outcome.note(at, entry);
            self.note(*n, entry, at);
        }
        Ok(decided)
    }

    // --- attempts ---

    /// What attempts will say of what becomes true now.
    fn note(&mut self, n: FrameNumber, entry: &Entry, at: Timestamp) {
        let Some(job_id) = entry.job_id else { return };
        for fact in entry.known_facts() {
            match fact {
                Fact::Assigned { worker_id, session, attempt, request: None, .. } => {
                    let Some(Span { lasted, mut ended }) = self.span(job_id, *attempt, entry)
                    else {
                        continue;
                    };
                    ended.token = Token::compute(&TOKEN_KEY, job_id, *attempt, n);
                    let report = Report::Ended(Box::new(ended));
                    self.will_say(at + lasted, worker_id, *session, report);
                }
                Fact::StopRequested { worker_id, attempt, .. } => {
                    let worker = self.sequencer.state().workers.get(worker_id);
                    let slot = worker.and_then(|worker| {
                        Some((worker.session, worker.assignments.get(&job_id)?.assigned_n))
                    });
                    let Some((session, assigned_n)) = slot else { continue };
                    let token = Token::compute(&TOKEN_KEY, job_id, *attempt, assigned_n);
                    let usage = Usage::default();
                    let stopped = Stopped { job_id, attempt: *attempt, token, usage };
                    self.will_say(at, worker_id, session, Report::Stopped(stopped));
                }
                _ => {}
            }
        }
    }

    fn will_say(
        &mut self,
        at: Timestamp,
        worker_id: &WorkerId,
        session: SessionId,
        report: Report,
    ) {
        self.number += 1;
        let due = Due { worker_id: worker_id.clone(), session, report };
        self.due.insert((at, self.number), due);
    }

    /// How an attempt goes: as it went, or a guess; `None` of one that goes on until it is stopped.
    fn span(&mut self, job_id: JobId, attempt: Attempt, entry: &Entry) -> Option<Span> {
        let spans = &self.recording.spans;
        if let Some(span) = spans.get(&(job_id, attempt)) {
            return Some(span.clone());
        }
        if self.recording.stopped.contains(&job_id) {
            return None;
        }
        self.guessed += 1;
        let mut of_job = spans.range((job_id, Attempt(0))..=(job_id, Attempt(u32::MAX)));
        let of_job = of_job.next_back().map(|(_, span)| span.lasted);
        let of_module =
            || entry.module.as_ref().and_then(|of| self.medians.get(&of.to_string())).copied();
        let lasted = of_job.or_else(of_module).unwrap_or(UNKNOWN_SPAN);
        let wall_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let ended = Ended {
            job_id,
            attempt,
            token: Token::compute(&TOKEN_KEY, job_id, attempt, FrameNumber(0)),
            started: true,
            usage: Usage { wall_ms, ..Usage::default() },
            end: AttemptEnd::Succeeded { outputs: RawJson::default() },
        };
        Some(Span { lasted, ended })
    }
}

impl Patch {
    /// A worker offers as many slots as it is to have.
    fn resize(&self, worker_id: &WorkerId, report: &mut Report) {
        let name = worker_id.to_string();
        let Some(slots) = self.slots.get(&name).or_else(|| self.slots.get("*")) else { return };
        let capacity: &mut Capacity = match report {
            Report::Hello(hello) => &mut hello.capacity,
            Report::Offer(offer) => &mut offer.capacity,
            _ => return,
        };
        capacity.slots = *slots;
    }

    /// A submit as it is to be; `n` is the newest frame.
    fn submit(&self, tenant: &TenantId, submit: &mut Submit, n: FrameNumber) {
        // Its own stamp names a frame of another log.
        submit.seen = n;
        let is_like = |rule: &&PriorityRule| {
            rule.tenant.as_ref().is_none_or(|of| of == tenant)
                && rule.user.as_ref().is_none_or(|of| *of == submit.user_id)
                && rule.module.as_ref().is_none_or(|of| *of == submit.module)
        };
        if let Some(rule) = self.priorities.iter().find(is_like) {
            submit.priority = rule.priority;
        }
    }

    /// Whether the record has all workers that are named.
    fn check_workers(&self, recording: &Recording) -> Result<(), WhatIfError> {
        let known: BTreeSet<_> = recording.workers.iter().map(ToString::to_string).collect();
        match self.slots.keys().find(|name| *name != "*" && !known.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let mut names: Vec<_> = known.into_iter().take(WORKERS_NAMED_MAX + 1).collect();
                if names.len() > WORKERS_NAMED_MAX {
                    names[WORKERS_NAMED_MAX] = "…".to_owned();
                }
                let reason = format!("the record has no such worker; it has {}", names.join(", "));
                Err(patch_error(&format!("slots of {name}"), reason))
            }
        }
    }

    /// Whether the change can be read as what it is to change.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn check(&self) -> Result<(), WhatIfError> {
        merged("config", &SchedulerConfig::default(), &self.config)?;
        for (name, change) in &self.limits {
            let account = name.split_once('/').map(|(_, account)| account);
            let is_account =
                account.is_some_and(|of| of == subject::TENANT_ACCOUNT || of.starts_with("user/"));
            if !is_account {
                return Err(patch_error(name, "it is neither TENANT/tenant nor TENANT/user/ID"));
            }
            merged(name, &SchedulerConfig::default().tenant, change)?;
        }
        match self.priorities.iter().find(|rule| rule.priority > 9) {
            Some(rule) => Err(patch_error("priorities", format!("{} is above 9", rule.priority))),
            None => Ok(()),
        }
    }
}

/// `base` with the members of `change` in place of its own, as deep as they go.
fn merged<T>(what: &str, base: &T, change: &Value) -> Result<T, WhatIfError>
where
    T: serde::Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(base).map_err(|e| patch_error(what, e))?;
    merge(&mut value, change);
    let merged: T = serde_json::from_value(value).map_err(|e| patch_error(what, e))?;
    // What nobody knows is not there any more.
    let kept = serde_json::to_value(&merged).map_err(|e| patch_error(what, e))?;
    match unknown(&kept, change) {
        None => Ok(merged),
        Some(name) => Err(patch_error(what, format!("there is no {name}"))),
    }
}

fn merge(value: &mut Value, change: &Value) {
    match (value, change) {
        (_, Value::Null) => {}
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(members.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}

/// A member of `change` that `value` does not have.
fn unknown(value: &Value, change: &Value) -> Option<String> {
    let Value::Object(changes) = change else { return None };
    changes.iter().find_map(|(name, change)| match value.get(name) {
        Some(member) => unknown(member, change),
        // A flag that is off may be left out.
        None => (*change != Value::Bool(false)).then(|| name.clone()),
    })
}

fn patch_error(what: &str, reason: impl ToString) -> WhatIfError {
    WhatIfError::Patch { what: what.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
