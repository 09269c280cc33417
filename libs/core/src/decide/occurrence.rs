//! What becomes of schedules when they are due.
//!
//! When they are due is computed outside of here, for time zones change with the data that a machine has; what was
//! computed stands in the input, and in the fact.

use std::time::Duration;

use nox_contract::{
    Fact, FrameNumber, JobId, Occurrence, Outcome, Overlap, PauseReason, ScheduleId, Submit,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{
    Decision, Draft, Rules,
    schedule::{entity, void},
    submit,
};
use crate::{
    schedules::{Next, Schedule},
    state::State,
};

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

/// What the leader found out of when a schedule is due.
pub(super) fn plan(state: &State, plan: &Plan) -> Decision {
    let id = plan.schedule_id;
    let known = state.schedules.get(id).filter(|schedule| schedule.next == Next::Unplanned);
    let Some(schedule) = known.filter(|schedule| !schedule.is_paused()) else {
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
    let Some(schedule) = known.filter(|schedule| !schedule.is_paused()) else {
        return Decision::nothing();
    };
    if let Some(reason) = void(state, rules, schedule, wall) {
        return paused(id, schedule, reason);
    }
    let late = wall.since(due.latest_at);
    let open = has_open_job(state, rules, schedule);
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

/// The jobs that an occurrence waited for have ended.
pub(super) fn unqueue(
    state: &State,
    rules: &Rules,
    id: ScheduleId,
    (wall, at): (Timestamp, Timestamp),
) -> Decision {
    let known = state.schedules.get(id).filter(|schedule| !schedule.is_paused());
    let Some((schedule, due_at)) = known.and_then(|of| Some((of, of.queued?))) else {
        return Decision::nothing();
    };
    if has_open_job(state, rules, schedule) {
        return Decision::nothing();
    }
    if let Some(reason) = void(state, rules, schedule, wall) {
        return paused(id, schedule, reason);
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

/// Whether a job of the schedule has not ended, whoever had it submitted.
fn has_open_job(state: &State, rules: &Rules, schedule: &Schedule) -> bool {
    if rules.faults.newest_job_counts_alone {
        return schedule.open_jobs.last().is_some_and(|job| state.is_open(*job));
    }
    state.has_open_job(schedule)
}

fn paused(id: ScheduleId, schedule: &Schedule, reason: PauseReason) -> Decision {
    Decision::of(entity(id, schedule), vec![Fact::SchedulePaused { by: None, reason }])
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
    let submission =
        submission(id, schedule, Submission { job_id, role: &schedule.role, seen: state.n });
    let decision = submit::decide(state, rules, &schedule.tenant, &submission, at);
    let outcome = match decision.answer {
        Some(Outcome::Refused(refusal)) => Occurrence::Refused { refusal: Box::new(refusal) },
        Some(Outcome::Accepted(_)) | None => Occurrence::Submitted { job_id },
    };
    let mut drafts = decision.drafts;
    drafts.push(Draft { entity: entity(id, schedule), facts: facts(outcome) });
    Decision { drafts, ..Decision::nothing() }
}

/// What of a schedule's job is not the schedule's.
pub(super) struct Submission<'r> {
    pub job_id: JobId,
    /// Where its limits come from.
    pub role: &'r str,
    pub seen: FrameNumber,
}

pub(super) fn submission(id: ScheduleId, schedule: &Schedule, of: Submission<'_>) -> Submit {
    let Submission { job_id, role, seen } = of;
    let job = schedule.spec.job.clone();
    let metadata = job.metadata().boxed();
    Submit {
        job_id,
        user_id: schedule.owner.clone(),
        role: role.to_owned(),
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
        metadata,
        concurrency: job.concurrency.map(Box::new),
        draft: false,
        traceparent: None,
    }
}
