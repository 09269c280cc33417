//! Drafts: kept without a reservation until their owner submits them.

use nox_contract::{
    Fact, JobState, ProblemCode, Refusal, SubmitDraft, TenantId, Timestamp, fact::Submitted,
};

use super::{
    Decision, Draft, Rules, job_entity, parked,
    quota::{self, Asker, Beside},
    submit::{First, check_served, hopeless, reserved},
};
use crate::state::State;

/// The first fact of a draft.
pub(super) fn drafted(submitted: Submitted) -> Fact {
    Fact::Drafted(Box::new(submitted))
}

/// Admits a draft as any other job is; one that is refused stays a draft. "Ended", "not yours" and "not there" are
/// one answer, as of a cancel. One that was submitted already is, whoever repeats that.
pub(super) fn submit(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    submit: &SubmitDraft,
    now: Timestamp,
) -> Decision {
    let id = submit.job_id;
    if let Some(refused) = parked::unseen(state, tenant, id, (&submit.by, false)) {
        return refused;
    }
    let job = state.job(id).filter(|job| {
        job.owner.tenant == *tenant && job.owner.user_id == submit.by && !job.job.state().is_ended()
    });
    let Some(job) = job else {
        let detail = format!("there is no job {id} of yours that has not ended");
        return Decision::refused(Refusal::new(ProblemCode::JobNotFound, detail));
    };
    if job.job.state() != JobState::Draft {
        return Decision::repeated(state.n, id, job.job.state());
    }
    let resources = job.job.requested_resources;
    let asker = Asker {
        user: &submit.by,
        role: &submit.role,
        resources: &resources,
        beside: Beside::default(),
    };
    let mut drafts = quota::opening(state, rules, tenant, asker.user, asker.role, now);
    let dependencies = job.dependencies.as_deref();
    let admitted = check_served(state, &job.owner.module, &job.needs, &resources)
        .and_then(|()| match dependencies.and_then(|of| of.doomed) {
            Some((dependency, _)) => Err(hopeless(dependency)),
            None => Ok(()),
        })
        .and_then(|()| quota::admit(state, tenant, &asker, now));
    if let Err(refusal) = admitted {
        quota::record(state, &job_entity(id, job), &refusal, &mut drafts, now);
        return Decision { drafts, ..Decision::refused(*refusal) };
    }
    let first = First {
        module: &job.owner.module,
        key: job.class(),
        waits_for_jobs: dependencies.is_some_and(|of| !of.open.is_empty()),
        waits_for_instant: job.job.due_at.is_some(),
        accounts_change: !drafts.is_empty(),
    };
    let mut facts = vec![Fact::DraftSubmitted {}, reserved(&resources, now)];
    facts.extend(first.step(state, rules, now));
    drafts.push(Draft { entity: job_entity(id, job), facts });
    Decision { drafts, ..Decision::default() }.accepted(Some(id), Some(JobState::Queued))
}
