//! Tasks: what their workers and submitters say of them.

use std::time::Duration;

use nox_contract::{
    Blame, ERROR_MESSAGE_BYTES_MAX, Fact, JobError, JobId, JobState, LostReason, OUTPUTS_BYTES_MAX,
    ProblemCode, Progress, Refusal, TenantId, Timestamp, UpdateTask, WorkerId, command::TaskUpdate,
    task::PROGRESS_MESSAGE_BYTES_MAX,
};

use super::{
    Decision, Rules, cancel, end, job_entity, parked,
    report::{bounded, cut},
};
use crate::{
    job::Phase,
    state::{ActiveJob, State},
    worker::Assignment,
};

/// Between two words on an attempt's progress that are kept: somewhat less than executors wait, so that what they
/// tell late is kept as well.
const PROGRESS_KEPT_EVERY: Duration = Duration::from_millis(900);

/// Moves the task as its life cycle allows; refused are all other steps, and whoever neither submitted nor
/// claimed it.
pub(super) fn update(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    update: &UpdateTask,
    now: Timestamp,
) -> Decision {
    let refused = |code, detail: String| Decision::refused(Refusal::new(code, detail));
    let id = update.job_id;
    if let Some(refused) = parked::unseen(state, tenant, id, (&update.by, update.admin)) {
        return refused;
    }
    let is_task = |job: &&ActiveJob| {
        job.owner.tenant == *tenant && job.needs.topic.is_some() && !job.job.state().is_ended()
    };
    let Some(job) = state.job(id).filter(is_task) else {
        let detail = format!("there is no task {id} that has not ended");
        return refused(ProblemCode::TaskNotFound, detail);
    };
    let holder = job.job.worker_id().filter(|_| !matches!(job.job.phase, Phase::Canceled { .. }));
    let is_holder = holder.and_then(|id| state.workers.get(id)).is_some_and(|worker| {
        worker.claims.as_ref().is_some_and(|claims| claims.claimant.user_id == update.by)
    });
    let may = update.admin || is_holder || job.owner.user_id == update.by;
    if !may && !rules.faults.task_updates_unchecked {
        return refused(
            ProblemCode::Forbidden,
            format!("task {id} is neither yours nor claimed by you"),
        );
    }
    let attempt = job.job.attempt;
    let stale = update.attempt.is_some_and(|of| of != attempt);
    let (facts, next) = match (&job.job.phase, &update.to, holder) {
        (_, _, _) if stale => return not_from(job, "that by a word on another attempt"),
        (_, TaskUpdate::Canceled, _) => {
            (cancel::facts(state, id, job, &update.by), JobState::Canceled)
        }
        (Phase::Assigned { .. }, TaskUpdate::Running, Some(holder)) => {
            (vec![started(holder, job)], JobState::Running)
        }
        (Phase::Running { .. }, TaskUpdate::Completed { outputs }, _) => {
            if outputs.get().len() > OUTPUTS_BYTES_MAX {
                let detail = format!("the result has more than {OUTPUTS_BYTES_MAX} bytes");
                return refused(ProblemCode::InvalidRequest, detail);
            }
            let outputs = outputs.clone();
            let wall_ms = wall_ms(job, now);
            (vec![Fact::Succeeded { attempt, outputs, wall_ms }], JobState::Succeeded)
        }
        (Phase::Assigned { .. } | Phase::Running { .. }, TaskUpdate::Failed { error }, Some(_)) => {
            let error = bounded(error);
            let failed = Fact::AttemptFailed {
                attempt,
                error: error.clone(),
                crashed: false,
                wall_ms: wall_ms(job, now),
            };
            (vec![failed, Fact::Failed { error }], JobState::Failed)
        }
        (
            Phase::Assigned { .. } | Phase::Running { .. },
            TaskUpdate::Progressed(progress),
            Some(_),
        ) => {
            if !is_due(state, job, id, now) {
                // Answered, and not kept: the next one says more.
                return Decision::unchanged(state.n);
            }
            let progress = bounded_progress(progress);
            (vec![Fact::Progressed { attempt, progress }], job.job.state())
        }
        (_, to, _) => return not_from(job, word(to)),
    };
    Decision::of(job_entity(id, job), facts).accepted(Some(id), Some(next))
}

fn started(holder: &WorkerId, job: &ActiveJob) -> Fact {
    Fact::Started { worker_id: holder.clone(), attempt: job.job.attempt, elapsed_ms: 0 }
}

/// How long it ran by log time: no word of a worker's is needed for that.
fn wall_ms(job: &ActiveJob, now: Timestamp) -> u64 {
    let span = job.job.started_at.map(|at| now.since(at)).unwrap_or_default();
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn word(to: &TaskUpdate) -> &'static str {
    match to {
        TaskUpdate::Running => "running",
        TaskUpdate::Completed { .. } => "completed",
        TaskUpdate::Failed { .. } => "failed",
        TaskUpdate::Canceled => "cancelled",
        TaskUpdate::Progressed(_) => "progress",
    }
}

fn not_from(job: &ActiveJob, to: &str) -> Decision {
    let from = match job.job.phase {
        Phase::Assigned { .. } => "claimed",
        Phase::Running { .. } => "running",
        _ => "pending",
    };
    let detail = format!("a task that is {from} does not become {to}");
    Decision::refused(Refusal::new(ProblemCode::InvalidTaskTransition, detail))
}

/// Whether what is told of an attempt's progress is kept: not so soon after the last.
pub(super) fn is_due(state: &State, job: &ActiveJob, id: JobId, now: Timestamp) -> bool {
    let slot = job.job.worker_id().and_then(|holder| state.workers.get(holder));
    let told = slot.and_then(|worker| worker.assignments.get(&id)?.progressed_at);
    told.is_none_or(|at| now.since(at) >= PROGRESS_KEPT_EVERY)
}

/// Progress as far as the log takes it.
pub(super) fn bounded_progress(progress: &Progress) -> Progress {
    Progress {
        percent: progress.percent.map(|percent| percent.min(100)),
        message: progress.message.as_deref().map(|text| cut(text, PROGRESS_MESSAGE_BYTES_MAX)),
    }
}

/// What becomes of a task whose attempt is lost. A worker that fell silent may have done half of it, and its
/// submitter is told so; one that it only held is claimed by another one, for as long as its workers do not keep
/// falling silent.
pub(super) fn after_loss(
    state: &State,
    worker_id: &WorkerId,
    job: &ActiveJob,
    slot: &Assignment,
    (reason, blame): (LostReason, Blame),
) -> Vec<Fact> {
    let silent = blame != Blame::Nobody && reason == LostReason::WorkerSilent;
    let again = job.job.suspicions + 1 < state.in_force().crashes_max;
    if !silent || (!slot.started && again) {
        return vec![Fact::Waiting { code: nox_contract::WaitingCode::Claim }];
    }
    let shown = worker_id.http_id().map_or_else(|| worker_id.to_string(), |id| id.to_string());
    let message =
        cut(&format!("worker {shown} sent no heartbeat in time"), ERROR_MESSAGE_BYTES_MAX);
    let error = JobError { code: "lost".to_owned(), message, exit_status: None };
    let mut facts = vec![Fact::Failed { error }];
    facts.extend(end::settle(job, 0));
    facts
}
