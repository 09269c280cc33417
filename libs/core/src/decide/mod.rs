//! What follows from an input: facts and an answer. Looks at the state, never changes it.

mod batch;
mod cancel;
mod claim;
mod draft;
mod drain;
mod end;
mod internal;
mod key;
mod matching;
mod module;
mod occurrence;
mod parked;
mod place;
mod quota;
mod reason;
mod register;
mod report;
mod retry;
mod schedule;
mod submit;
mod task;
mod webhook;

use nox_contract::{
    Accepted, Command, Entity, Fact, FrameNumber, JobId, JobState, Outcome, ProblemCode, Refusal,
    Report, SessionId, TenantId, Timestamp, WorkerId,
};

pub use internal::Internal;
pub use occurrence::{Due, Plan};

use crate::{
    state::{ActiveJob, State},
    turn::Turn,
};

/// What the decider knows that is in no fact.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The cluster's key, from which attempt tokens are computed.
    pub token_key: [u8; 32],
    pub faults: Faults,
}

/// Switches that break the decider, for negative controls: a test that stays green with one of
/// these on proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Believe every report, whatever its token.
    pub token_unchecked: bool,
    /// Count a lost attempt as a crash although nobody heard of its start.
    pub unstarted_counts_as_crash: bool,
    /// Believe that an attempt whose start nobody heard of did not run.
    pub unheard_starts_excused: bool,
    /// Believe that the process of a worker that is silent has ended.
    pub silence_proves_an_end: bool,
    /// Charge every attempt of a lost worker with the loss.
    pub neighbours_blamed: bool,
    /// Charge attempts although their worker was to stop.
    pub planned_stop_counts: bool,
    /// Of jobs that are to be submitted all or none, submit those that can be.
    pub batch_taken_in_part: bool,
    /// Admit each of the jobs that are submitted together as if it were the only one.
    pub batch_admitted_one_by_one: bool,
    /// Take on whoever bears the name of a worker that lives.
    pub living_worker_replaced: bool,
    /// Keep the reservation of a job whose last attempt was lost.
    pub reservation_kept_on_loss: bool,
    /// Admit whoever is not remembered, however old the stamp.
    pub stamp_unchecked: bool,
    /// Ask the workers for every kind of job, although they have just refused one that asks for less.
    pub refused_asked_again: bool,
    /// Believe whoever says something of a task.
    pub task_updates_unchecked: bool,
    /// Give claimants the newest task, not the oldest.
    pub claims_unordered: bool,
    /// First come, first served, however many jobs of one user came first.
    pub turns_not_taken: bool,
    /// Look at the own limit of a job alone, and not at those of its key that run.
    pub key_of_others_ignored: bool,
    /// Hand out as many as there is room for, however soon after others.
    pub pace_unchecked: bool,
    /// Give an account whose limits an admin set those of its role at its next submit.
    pub fixed_limits_follow_role: bool,
    /// Give workers work that an operator took out of service.
    pub drained_workers_given_work: bool,
    /// Make a key or schedule again that was revoked or deleted.
    pub what_is_gone_comes_again: bool,
    /// Take an occurrence of a schedule for the next one, and its job for another one.
    pub occurrences_repeat: bool,
    /// Of all jobs of a schedule that have not ended, look at the newest alone.
    pub newest_job_counts_alone: bool,
    /// Let schedules go on that are bound to a key which is worth nothing any more.
    pub schedules_outlive_keys: bool,
    /// Let webhooks go on that are bound to a key which is revoked.
    pub webhooks_outlive_keys: bool,
    /// Let a registered version become another one, by whoever says so.
    pub registered_versions_change: bool,
    /// Decide of what is parked as if all facts of it were known.
    pub parked_decided_upon: bool,
    /// Place jobs as if workers had none of those that were assigned after they were parked.
    pub parked_company_ignored: bool,
}

/// What follows from one part of one input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// One for each entity that something becomes true of, in this order.
    pub drafts: Vec<Draft>,
    /// What to tell whoever asked, once this is in the log. Where facts follow, `n` is still 0 and
    /// is set to the number of their frame.
    pub answer: Option<Outcome>,
    /// More follows from the same part: ask again after applying this. What one part leads to may be
    /// more than a frame holds; a leader that dies in between leaves a state from which the same
    /// question leads to the rest.
    pub more: bool,
    /// Where a look at the queue that was to go no further is to go on.
    pub behind: Option<Turn>,
    /// When a job that starts too soon after others may start: look again then.
    pub look_at: Option<Timestamp>,
    /// What a look at the queue cost: how many jobs were looked at, and how many workers were asked for a
    /// place for them.
    pub looks: u32,
}

/// Facts about one entity, not yet numbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub entity: Entity,
    pub facts: Vec<Fact>,
}

impl Decision {
    fn nothing() -> Self {
        Self::default()
    }

    fn of(entity: Entity, facts: Vec<Fact>) -> Self {
        Self::of_draft(Draft { entity, facts })
    }

    fn of_draft(draft: Draft) -> Self {
        Self { drafts: vec![draft], ..Self::default() }
    }

    fn refused(refusal: Refusal) -> Self {
        Self { answer: Some(Outcome::Refused(refusal)), ..Self::default() }
    }

    /// Nothing follows, and that is right.
    fn unchanged(n: FrameNumber) -> Self {
        let accepted = Accepted { n, job_id: None, state: None, repeated: true };
        Self { answer: Some(Outcome::Accepted(accepted)), ..Self::default() }
    }

    fn repeated(n: FrameNumber, job: JobId, state: JobState) -> Self {
        let accepted = Accepted { n, job_id: Some(job), state: Some(state), repeated: true };
        Self { answer: Some(Outcome::Accepted(accepted)), ..Self::default() }
    }

    /// A step, and not the last one, of what follows.
    fn step(drafts: Vec<Draft>) -> Self {
        Self { drafts, more: true, ..Self::default() }
    }

    fn accepted(mut self, job: Option<JobId>, state: Option<JobState>) -> Self {
        let accepted = Accepted { n: FrameNumber(0), job_id: job, state, repeated: false };
        self.answer = Some(Outcome::Accepted(accepted));
        self
    }
}

/// Decides one command of a tenant.
pub fn command(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    command: &Command,
    now: Timestamp,
) -> Decision {
    if tenant.is_system() && !matches!(command, Command::DisableWebhook(_)) {
        let detail = "nobody may ask for this in the name of the system";
        return Decision::refused(Refusal::new(ProblemCode::Forbidden, detail));
    }
    let decision = match command {
        Command::Submit(submit) => submit::decide(state, rules, tenant, submit, now),
        Command::SubmitBatch(batch) => batch::decide(state, rules, tenant, batch, now),
        Command::SubmitDraft(submit) => draft::submit(state, rules, tenant, submit, now),
        Command::Cancel(cancel) => cancel::decide(state, tenant, cancel),
        Command::SetModule(set) => module::switch(state, set),
        Command::RegisterModule(register) => module::register(state, rules, register),
        Command::SetLimits(set) => quota::set(state, tenant, set, now),
        Command::DrainWorker(drain) => drain::decide(state, tenant, drain),
        Command::CreateKey(create) => key::create(state, rules, tenant, create),
        Command::RevokeKey(revoke) => key::revoke(state, rules, tenant, revoke),
        Command::SetSchedule(set) => schedule::set(state, rules, tenant, set),
        Command::PauseSchedule(pause) => schedule::pause(state, rules, tenant, pause, now),
        Command::DeleteSchedule(delete) => schedule::delete(state, tenant, delete),
        Command::TriggerSchedule(trigger) => schedule::trigger(state, rules, tenant, trigger, now),
        Command::SetWebhook(set) => webhook::set(state, rules, tenant, set),
        Command::RotateWebhook(rotate) => webhook::rotate(state, tenant, rotate, now),
        Command::TestWebhook(test) => webhook::test(state, tenant, test),
        Command::RedeliverWebhook(again) => webhook::redeliver(state, tenant, again),
        Command::DeleteWebhook(delete) => webhook::delete(state, tenant, delete),
        Command::DisableWebhook(disable) => webhook::disable(state, tenant, disable),
        Command::Register(register) => register::decide(state, tenant, register),
        Command::RemoveWorker(remove) => register::remove_worker(state, rules, tenant, remove),
        Command::RemoveTopic(remove) => register::remove_topic(state, tenant, remove),
        Command::Claim(claim) => claim::decide(state, rules, tenant, claim, now),
        Command::Undelivered(undelivered) => claim::undelivered(state, rules, tenant, undelivered),
        Command::UpdateTask(update) => task::update(state, rules, tenant, update, now),
        Command::Unreadable => Decision::refused(Refusal::new(
            ProblemCode::Unavailable,
            "the scheduler that leads is of an older version, and cannot read this",
        )),
    };
    parked::refuse(state, rules, decision)
}

/// Decides one report of a worker's session.
pub fn report(
    state: &State,
    rules: &Rules,
    worker: &WorkerId,
    session: SessionId,
    report: &Report,
    now: Timestamp,
) -> Decision {
    let decision = report::decide(state, rules, worker, session, report, now);
    parked::pass_over(state, rules, decision)
}

/// Decides the next part of an input that is in no stream; `None` when nothing (more) follows from
/// it. Ask again after applying what followed.
pub fn internal(
    state: &State,
    rules: &Rules,
    input: &Internal,
    part: u32,
    now: Timestamp,
) -> Option<Decision> {
    let decision = internal::decide(state, rules, input, part, now)?;
    Some(parked::leave_out(state, rules, decision))
}

fn job_entity(id: JobId, job: &ActiveJob) -> Entity {
    Entity::Job {
        tenant: job.owner.tenant.clone(),
        job_id: id,
        user_id: job.owner.user_id.clone(),
        module: job.owner.module.clone(),
    }
}
