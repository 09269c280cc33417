//! Drain: an operator takes a worker out of service, or puts it back.

use nox_contract::{DrainWorker, Entity, Fact, ProblemCode, Refusal, TenantId};

use super::Decision;
use crate::state::State;

/// Most names that may be out of service at a time: an operator's mistake in a loop must not make the state
/// larger for ever.
const DRAINED_MAX: usize = 10_000;

/// A worker that is not there may be put back into service, and not taken out of it: its name may be a slip.
/// One that claims its work is nobody's but its tenant's.
pub(super) fn decide(state: &State, tenant: &TenantId, drain: &DrainWorker) -> Decision {
    let id = &drain.worker_id;
    let worker = state.workers.get(id);
    let of_another = worker
        .and_then(|worker| worker.claims.as_ref())
        .is_some_and(|claims| claims.claimant.tenant != *tenant);
    let is_drained = state.workers.is_drained(id);
    if of_another || (worker.is_none() && !is_drained) {
        let detail = format!("there is no worker {id}");
        return Decision::refused(Refusal::new(ProblemCode::WorkerNotFound, detail));
    }
    if is_drained == drain.drained {
        return Decision::unchanged(state.n);
    }
    if drain.drained && state.workers.drained_count() >= DRAINED_MAX {
        let detail = format!("{DRAINED_MAX} workers are drained, which is the most");
        return Decision::refused(Refusal::new(ProblemCode::InvalidRequest, detail));
    }
    let by = drain.by.clone();
    let fact =
        if drain.drained { Fact::WorkerDrained { by } } else { Fact::WorkerUndrained { by } };
    Decision::of(Entity::Worker(id.clone()), vec![fact]).accepted(None, None)
}
