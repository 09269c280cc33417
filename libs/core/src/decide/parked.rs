//! Of what is parked nothing is decided, whoever asks.

use nox_contract::{Entity, Fact, JobId, ProblemCode, Refusal, TenantId, UserId};

use super::{Decision, Draft, Rules};
use crate::{parking::Parked, state::State};

/// What a command led to, or that it is about something that is parked.
pub(super) fn refuse(state: &State, rules: &Rules, decision: Decision) -> Decision {
    if !is_on(state, rules) {
        return decision;
    }
    match decision.drafts.iter().find_map(|draft| parked(state, draft)) {
        Some((what, parked)) => Decision::refused(refusal(what, parked)),
        None => decision,
    }
}

/// What a report led to; nothing, if it is about something that is parked. Whoever leads with a version that knows
/// more finds that the worker does not hold the attempt any more.
pub(super) fn pass_over(state: &State, rules: &Rules, decision: Decision) -> Decision {
    let is_about_parked =
        |decision: &Decision| decision.drafts.iter().any(|draft| parked(state, draft).is_some());
    if is_on(state, rules) && is_about_parked(&decision) {
        return Decision::nothing();
    }
    decision
}

/// What a leader noticed by itself led to, without what is about something that is parked.
pub(super) fn leave_out(state: &State, rules: &Rules, mut decision: Decision) -> Decision {
    if is_on(state, rules) {
        decision.drafts.retain(|draft| parked(state, draft).is_none());
    }
    decision
}

/// Whether a job that is parked and is not there is one that the asker may hear of.
pub(super) fn unseen(
    state: &State,
    tenant: &TenantId,
    id: JobId,
    (by, admin): (&UserId, bool),
) -> Option<Decision> {
    let job = state.parking.job(id)?;
    let owner = &job.unseen.as_ref()?.owner;
    let may = owner.tenant == *tenant && (admin || owner.user_id == *by);
    may.then(|| Decision::refused(refusal("the job", &job.parked)))
}

pub(super) fn refusal(what: &str, parked: &Parked) -> Refusal {
    let Parked { n, reason } = parked;
    let detail = format!(
        "{what} is parked since frame {n}: a newer version led then, and this one does not know what became of it \
         ({reason}); it goes on when the newer version leads again"
    );
    Refusal::new(ProblemCode::Parked, detail)
}

fn is_on(state: &State, rules: &Rules) -> bool {
    !state.parking.is_empty() && !rules.faults.parked_decided_upon
}

fn parked<'s>(state: &'s State, draft: &Draft) -> Option<(&'static str, &'s Parked)> {
    if let Some(parked) = state.parking.of(&draft.entity) {
        return Some((word(&draft.entity), parked));
    }
    draft.facts.iter().find_map(|fact| match fact {
        Fact::Assigned { worker_id, .. } => Some(("the worker", state.parking.worker(worker_id)?)),
        _ => None,
    })
}

fn word(entity: &Entity) -> &'static str {
    match entity {
        Entity::Job { .. } => "the job",
        Entity::Worker(_) => "the worker",
        Entity::Module(_) => "the module",
        Entity::Topic { .. } => "the topic",
        Entity::Schedule { .. } => "the schedule",
        Entity::Webhook { .. } => "the webhook",
        Entity::Account { .. } | Entity::Key { .. } | Entity::Control => "it",
    }
}
