//! Schedules: set, paused, deleted, triggered; and what becomes of them when they are due.
//!
//! When they are due is computed outside of here, for time zones change with the data that a machine has; what was
//! computed stands in the input, and in the fact.

use std::time::Duration;

use nox_contract::{
    DeleteSchedule, Entity, Fact, FrameNumber, JobId, Occurrence, Outcome, Overlap, PauseSchedule,
    ProblemCode, Refusal, ScheduleId, SetSchedule, Submit, TenantId, Timestamp, TriggerSchedule,
    UserId,
};
use serde::{Deserialize, Serialize};

use super::{Decision, Draft, Rules, submit};
use crate::{
    schedules::{Next, Schedule},
    state::State,
};

/// Most schedules of one user, and of a tenant: each is in every snapshot, with what it submits.
pub const SCHEDULES_OF_USER_MAX: usize = 100;
pub const SCHEDULES_OF_TENANT_MAX: usize = 1_000;

/// When a schedule is due next, as the leader computed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub schedule_id: ScheduleId,
    pub next_due_at: Option<Timestamp>,
}

/// A schedule that is due, as the leader computed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub schedule_id: ScheduleId,
    /// When it was to be.
    pub due_at: Timestamp,
    /// The last instant until now at which it was.
    pub latest_at: Timestamp,
    pub next_due_at: Option<Timestamp>,
}

pub(super) fn set(state: &State, rules: &Rules, tenant: &TenantId, set: &SetSchedule) -> Decision {
    let id = set.schedule_id;
    let entity = Entity::Schedule { tenant: tenant.clone(), schedule_id: id };
    let known = state.schedules.get(id);
    let (owner, role) = match known {
        Some(schedule) if set.new => {
            let same = schedule.tenant == *tenant && schedule.owner == set.by;
            return if same { Decision::unchanged(state.n) } else { not_found(id) };
        }
        Some(schedule) => match of(state, tenant, id, (&set.by, set.admin)) {
            Some(_) if schedule.spec == set.spec => return Decision::unchanged(state.n),
            Some(schedule) => (schedule.owner.clone(), schedule.role.clone()),
            None => return not_found(id),
        },
        None if !set.new => return not_found(id),
        None if state.gone.contains(id.0.as_u128()) && !rules.faults.what_is_gone_comes_again => {
            return not_found(id);
        }
        None => {
            if let Some(refusal) = too_many(state, tenant, &set.by) {
                return Decision::refused(refusal);
            }
            (set.by.clone(), set.role.clone())
        }
    };
    let (spec, by) = (Box::new(set.spec.clone()), set.by.clone());
    Decision::of(entity, vec![Fact::ScheduleSet { spec, owner, role, by }]).accepted(None, None)
}

fn too_many(state: &State, tenant: &TenantId, user: &UserId) -> Option<Refusal> {
    let of_tenant = state.schedules.iter().filter(|(_, schedule)| schedule.tenant == *tenant);
    let (all, own) = of_tenant.fold((0, 0), |(all, own), (_, schedule)| {
        (all + 1, own + usize::from(schedule.owner == *user))
    });
    (own >= SCHEDULES_OF_USER_MAX || all >= SCHEDULES_OF_TENANT_MAX).then(|| {
        let detail = format!(
            "{own} schedules of {user}, {all} of the tenant; {SCHEDULES_OF_USER_MAX} and \
             {SCHEDULES_OF_TENANT_MAX} are the most"
        );
        Refusal::new(ProblemCode::TooMany, detail)
    })
}

pub(super) fn pause(state: &State, tenant: &TenantId, pause: &PauseSchedule) -> Decision {
    let id = pause.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&pause.by, pause.admin)) else {
        return not_found(id);
    };
    if schedule.paused == pause.paused {
        return Decision::unchanged(state.n);
    }
    let by = pause.by.clone();
    let fact =
        if pause.paused { Fact::SchedulePaused { by } } else { Fact::ScheduleResumed { by } };
    Decision::of(entity(id, schedule), vec![fact]).accepted(None, None)
}

pub(super) fn delete(state: &State, tenant: &TenantId, delete: &DeleteSchedule) -> Decision {
    let id = delete.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&delete.by, delete.admin)) else {
        return not_found(id);
    };
    let fact = Fact::ScheduleDeleted { by: delete.by.clone() };
    Decision::of(entity(id, schedule), vec![fact]).accepted(None, None)
}

pub(super) fn trigger(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    trigger: &TriggerSchedule,
    now: Timestamp,
) -> Decision {
    let id = trigger.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&trigger.by, trigger.admin)) else {
        return not_found(id);
    };
    let submit = submission(id, schedule, trigger.job_id, trigger.seen);
    let mut decision = submit::decide(state, rules, tenant, &submit, now);
    if matches!(&decision.answer, Some(Outcome::Accepted(accepted)) if !accepted.repeated) {
        let fact = Fact::ScheduleTriggered { job_id: trigger.job_id, by: trigger.by.clone() };
        decision.drafts.push(Draft { entity: entity(id, schedule), facts: vec![fact] });
    }
    decision
}

/// What the leader found out of when a schedule is due.
pub(super) fn plan(state: &State, plan: &Plan) -> Decision {
    let id = plan.schedule_id;
    let known = state.schedules.get(id).filter(|schedule| schedule.next == Next::Unplanned);
    let Some(schedule) = known.filter(|schedule| !schedule.paused) else {
        return Decision::nothing();
    };
    let fact = Fact::SchedulePlanned { next_due_at: plan.next_due_at };
    Decision::of(entity(id, schedule), vec![fact])
}

/// A schedule is due. Of several occurrences that nobody submitted at their time the last one counts, if it is
/// not too late for it.
pub(super) fn due(
    state: &State,
    rules: &Rules,
    due: &Due,
    (wall, at): (Timestamp, Timestamp),
) -> Decision {
    let id = due.schedule_id;
    let known = state.schedules.get(id).filter(|schedule| schedule.next == Next::At(due.due_at));
    let Some(schedule) = known.filter(|schedule| !schedule.paused) else {
        return Decision::nothing();
    };
    let late = wall.since(due.latest_at);
    let open = schedule.last_job.is_some_and(|job| state.is_open(job));
    let facts = |outcome| {
        let next_due_at =
            if rules.faults.occurrences_repeat { Some(due.due_at) } else { due.next_due_at };
        vec![Fact::ScheduleOccurred {
            due_at: due.latest_at,
            outcome,
            missed_from: (due.due_at < due.latest_at).then_some(due.due_at),
            next_due_at,
        }]
    };
    let outcome = match schedule.spec.overlap {
        _ if late > Duration::from_secs(schedule.spec.catch_up_s.into()) => Occurrence::Missed,
        Overlap::Skip if open => Occurrence::Skipped,
        Overlap::Queue if open => Occurrence::Queued,
        _ => return occur((state, rules, at), id, schedule, due.latest_at, facts),
    };
    Decision::of(entity(id, schedule), facts(outcome))
}

/// The job that an occurrence waited for has ended.
pub(super) fn unqueue(state: &State, rules: &Rules, id: ScheduleId, at: Timestamp) -> Decision {
    let known = state.schedules.get(id).filter(|schedule| !schedule.paused);
    let Some((schedule, due_at)) = known.and_then(|of| Some((of, of.queued?))) else {
        return Decision::nothing();
    };
    if schedule.last_job.is_some_and(|job| state.is_open(job)) {
        return Decision::nothing();
    }
    let next_due_at = match schedule.next {
        Next::At(at) => Some(at),
        Next::Never => None,
        // It is planned anew, and this would say otherwise.
        Next::Unplanned => return Decision::nothing(),
    };
    occur((state, rules, at), id, schedule, due_at, |outcome| {
        vec![Fact::ScheduleOccurred { due_at, outcome, missed_from: None, next_due_at }]
    })
}

/// Submits the job of an occurrence. The quotas of the schedule's owner apply, and what they refuse is recorded.
fn occur(
    (state, rules, at): (&State, &Rules, Timestamp),
    id: ScheduleId,
    schedule: &Schedule,
    due_at: Timestamp,
    facts: impl FnOnce(Occurrence) -> Vec<Fact>,
) -> Decision {
    let mut job_id = JobId::of_occurrence(id, due_at);
    if rules.faults.occurrences_repeat {
        job_id = JobId::of_occurrence(id, at);
    }
    let submit = submission(id, schedule, job_id, state.n);
    let decision = submit::decide(state, rules, &schedule.tenant, &submit, at);
    let outcome = match decision.answer {
        Some(Outcome::Refused(refusal)) => Occurrence::Refused { refusal: Box::new(refusal) },
        Some(Outcome::Accepted(_)) | None => Occurrence::Submitted { job_id },
    };
    let mut drafts = decision.drafts;
    drafts.push(Draft { entity: entity(id, schedule), facts: facts(outcome) });
    Decision { drafts, ..Decision::nothing() }
}

fn submission(id: ScheduleId, schedule: &Schedule, job_id: JobId, seen: FrameNumber) -> Submit {
    let job = schedule.spec.job.clone();
    Submit {
        job_id,
        user_id: schedule.owner.clone(),
        role: schedule.role.clone(),
        module: job.module,
        module_version: job.module_version,
        worker_labels: job.worker_labels,
        inputs: job.inputs,
        requested_resources: job.requested_resources,
        priority: job.priority,
        run_at: None,
        after: Vec::new(),
        fingerprint: Some(format!("schedule:{id}")),
        seen,
        pending: false,
        task: None,
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    }
}

/// The schedule, if it is one of the tenant's that the asker may touch.
fn of<'s>(
    state: &'s State,
    tenant: &TenantId,
    id: ScheduleId,
    (by, admin): (&UserId, bool),
) -> Option<&'s Schedule> {
    let may = |of: &&Schedule| of.tenant == *tenant && (admin || of.owner == *by);
    state.schedules.get(id).filter(may)
}

fn entity(id: ScheduleId, schedule: &Schedule) -> Entity {
    Entity::Schedule { tenant: schedule.tenant.clone(), schedule_id: id }
}

fn not_found(id: ScheduleId) -> Decision {
    let detail = format!("there is no schedule {id} of yours");
    Decision::refused(Refusal::new(ProblemCode::ScheduleNotFound, detail))
}
