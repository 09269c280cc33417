//! Cancel: at once in the log, whatever the job is doing.

use nox_contract::{
    Cancel, Fact, JobId, JobState, ProblemCode, Refusal, StopReason, TenantId, UserId,
};

use super::{Decision, end, job_entity, parked};
use crate::state::{ActiveJob, State};

/// Only what has not ended, or still holds a slot, is known here. "Ended", "not yours" and "not there" are
/// one answer; the gateway, which knows that the job was there, says how it ended.
pub(super) fn decide(state: &State, tenant: &TenantId, cancel: &Cancel) -> Decision {
    if let Some(refused) = parked::unseen(state, tenant, cancel.job_id, (&cancel.by, cancel.admin))
    {
        return refused;
    }
    let may = |job: &&ActiveJob| {
        job.owner.tenant == *tenant && (cancel.admin || job.owner.user_id == cancel.by)
    };
    let Some(job) = state.job(cancel.job_id).filter(may) else {
        return Decision::refused(Refusal::new(
            ProblemCode::JobNotFound,
            format!("there is no job {} that has not ended", cancel.job_id),
        ));
    };
    if job.job.state().is_ended() {
        // Canceled, and not yet stopped.
        return Decision::repeated(state.n, cancel.job_id, job.job.state());
    }
    let facts = facts(state, cancel.job_id, job, &cancel.by);
    Decision::of(job_entity(cancel.job_id, job), facts)
        .accepted(Some(cancel.job_id), Some(JobState::Canceled))
}

/// What becomes true of a job that has not ended and is canceled, and of what it holds.
pub(super) fn facts(state: &State, id: JobId, job: &ActiveJob, by: &UserId) -> Vec<Fact> {
    let mut facts = vec![Fact::Canceled { by: by.clone() }];
    match job.job.worker_id().map(|holder| (holder, state.workers.holder(holder, id))) {
        // Nothing is told to a worker that claims its work: it hears of it when it speaks of the task.
        Some((worker_id, Some(worker))) if worker.claims.is_some() => {
            let (worker_id, attempt) = (worker_id.clone(), job.job.attempt);
            facts.push(Fact::Stopped { worker_id, attempt });
            facts.extend(end::settle(job, 0));
        }
        Some((worker_id, Some(worker))) => facts.push(Fact::StopRequested {
            worker_id: worker_id.clone(),
            attempt: job.job.attempt,
            work: worker.next_work,
            reason: StopReason::Canceled,
        }),
        // Its session is over: it is settled when the attempt is said to be lost.
        Some((_, None)) => {}
        // Earlier attempts may have used something.
        None => facts.extend(end::settle(job, 0)),
    }
    facts
}
