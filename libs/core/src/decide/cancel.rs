//! Cancel: at once in the log, whatever the job is doing.

use nox_contract::{Cancel, Fact, JobState, ProblemCode, Refusal, StopReason, TenantId, UserId};

use super::{Decision, end, job_entity};
use crate::state::State;

pub(super) fn decide(state: &State, tenant: &TenantId, cancel: &Cancel) -> Decision {
    let may =
        |owner: &TenantId, user: &UserId| owner == tenant && (cancel.admin || *user == cancel.by);
    // "Not yours" and "not there" are one answer.
    let not_found = || {
        Decision::refused(Refusal::new(
            ProblemCode::JobNotFound,
            format!("there is no job {}", cancel.job_id),
        ))
    };
    let already = |job_state: JobState, n| match job_state {
        JobState::Canceled => Decision::repeated(n, cancel.job_id, job_state),
        _ => Decision::refused(Refusal::new(
            ProblemCode::AlreadyEnded,
            format!("job {} has already {job_state}", cancel.job_id),
        )),
    };
    let Some(job) = state.job(cancel.job_id) else {
        return match state.ended(cancel.job_id) {
            Some(ended) if may(&ended.tenant, &ended.user_id) => already(ended.state, ended.n),
            _ => not_found(),
        };
    };
    if !may(&job.tenant, &job.user_id) {
        return not_found();
    }
    if job.job.state().is_ended() {
        return already(job.job.state(), state.n);
    }
    let mut facts = vec![Fact::Canceled { by: cancel.by.clone() }];
    let holder = job.job.worker_id().and_then(|id| Some((id, state.workers.get(id)?)));
    match holder {
        Some((worker_id, worker)) => facts.push(Fact::StopRequested {
            worker_id: worker_id.clone(),
            attempt: job.job.attempt,
            work: worker.next_work,
            reason: StopReason::Canceled,
        }),
        // Earlier attempts may have used something.
        None => facts.extend(end::settle(job, 0)),
    }
    Decision::of(job_entity(cancel.job_id, job), facts)
        .accepted(Some(cancel.job_id), Some(JobState::Canceled))
}
