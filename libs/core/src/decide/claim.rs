//! Claims: a worker asks for the oldest task of its topics.

use nox_contract::{
    Accepted, Claim, Fact, JobId, JobState, Limits, LostReason, Outcome, TenantId, Timestamp,
    Undelivered, UserId,
};

use super::{
    Decision, Rules,
    end::{self, Loss},
    job_entity, register,
};
use crate::{
    ledger::Account,
    state::{ActiveJob, State},
    topics::Topic,
    worker::Claims,
};

/// Assigns the task to the worker that asks. Nothing waits, and whoever is not registered has nothing to claim:
/// both are told so.
pub(super) fn decide(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    claim: &Claim,
    now: Timestamp,
) -> Decision {
    let nothing = || {
        let accepted = Accepted { n: state.n, job_id: None, state: None, repeated: false };
        Decision { answer: Some(Outcome::Accepted(accepted)), ..Decision::nothing() }
    };
    let Some((worker, claims)) = register::claimant(state, tenant, &claim.worker_id, &claim.by)
    else {
        return nothing();
    };
    let mut held = worker.assignments.iter();
    if let Some((id, slot)) = held.find(|(_, slot)| slot.request == Some(claim.request)) {
        return Decision::repeated(slot.assigned_n, *id, JobState::Queued);
    }
    if worker.parked || worker.drained && !rules.faults.drained_workers_given_work {
        return nothing();
    }
    let Some((id, job)) = next(state, rules, claims, now) else { return nothing() };
    let fact = Fact::Assigned {
        worker_id: claim.worker_id.clone(),
        session: worker.session,
        attempt: job.job.attempt.next(),
        work: worker.next_work,
        request: Some(claim.request),
    };
    Decision::of(job_entity(id, job), vec![fact]).accepted(Some(id), Some(JobState::Queued))
}

/// The oldest task of the topics whose owner may run one more.
fn next<'s>(
    state: &'s State,
    rules: &Rules,
    claims: &Claims,
    now: Timestamp,
) -> Option<(JobId, &'s ActiveJob)> {
    let tenant = &claims.claimant.tenant;
    if !has_room(state.ledger.tenant(tenant), now) {
        return None;
    }
    let topics = claims.topics.iter().filter(|topic| state.parking.topic(tenant, topic).is_none());
    let topics = topics.filter_map(|topic| state.topics.get(tenant, topic));
    let may = |user: &UserId| has_room(state.ledger.user(tenant, user), now);
    let found = if rules.faults.claims_unordered {
        topics
            .flat_map(Topic::lasts)
            .filter(|(user, ..)| may(user))
            .max_by_key(|(_, rank, _)| *rank)
    } else {
        topics
            .flat_map(Topic::firsts)
            .filter(|(user, ..)| may(user))
            .min_by_key(|(_, rank, _)| *rank)
    };
    let (_, _, id) = found?;
    Some((id, state.job(id)?))
}

/// Whether less is running than may be, and another one does not start too soon.
fn has_room(account: Option<&Account>, now: Timestamp) -> bool {
    account.is_none_or(|account| {
        let Limits { running_jobs, starts_per_minute, .. } = account.limits;
        account.running_jobs < running_jobs && account.pace.admits(starts_per_minute, now, 0)
    })
}

/// The answer to the claim was not delivered: unless the worker has said something of the task, it goes back to
/// its place.
pub(super) fn undelivered(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    undelivered: &Undelivered,
) -> Decision {
    let id = &undelivered.worker_id;
    let lost = state
        .workers
        .get(id)
        .filter(|worker| worker.claims.as_ref().is_some_and(|c| c.claimant.tenant == *tenant))
        .and_then(|worker| {
            let mut held = worker.assignments.iter();
            held.find(|(_, slot)| slot.request == Some(undelivered.request) && !slot.started)
        })
        .and_then(|(job, slot)| {
            let loss = Loss::of_nobody(LostReason::Undelivered);
            end::lost(state, rules, id, *job, slot, loss)
        });
    lost.map(Decision::of_draft).unwrap_or_default()
}
