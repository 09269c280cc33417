//! Submit: admit a job, repeat an answer, or refuse.

use nox_contract::{
    Attempt, Entity, Fact, JobId, JobState, ProblemCode, Refusal, Submit, TenantId, Timestamp,
    WaitingCode,
    fact::{Rejected, Submitted},
    subject,
};

use super::{
    Decision, Draft, Rules,
    place::{Given, could_hold, is_unasked_for, place},
    quota,
};
use crate::{
    ended::Request,
    queue::ClassKey,
    state::{ActiveJob, Needs, State},
};

pub(super) fn decide(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    submit: &Submit,
    now: Timestamp,
) -> Decision {
    if let Some(decision) = repeated(state, tenant, submit) {
        return decision;
    }
    let entity = Entity::Job {
        tenant: tenant.clone(),
        job_id: submit.job_id,
        user_id: submit.user_id.clone(),
        module: submit.module.clone(),
    };
    let stale = state.may_be_forgotten(submit.job_id, submit.seen);
    if stale && !rules.faults.stamp_unchecked {
        // Its id may be that of a job which has ended and is forgotten here. If it was promised, what
        // is recorded makes a failed job of it where there was none, and else changes nothing.
        let refusal = Refusal::new(
            ProblemCode::StaleStamp,
            format!("seen {} is older than what the log remembers", submit.seen),
        );
        return refuse(state, tenant, submit, entity, Vec::new(), refusal, now);
    }
    let mut drafts = quota::opening(state, tenant, &submit.user_id, &submit.role, now);
    let admitted = check_module(state, tenant, submit).and_then(|needs| {
        let open = check_dependencies(state, tenant, submit)?;
        quota::admit(state, tenant, submit, now)?;
        Ok((needs, open))
    });
    let (needs, open) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(state, tenant, submit, entity, drafts, *refusal, now),
    };

    let submitted = Submitted {
        module_version: needs.version.clone(),
        worker_labels: needs.labels.clone(),
        inputs: submit.inputs.clone(),
        requested_resources: submit.requested_resources,
        priority: submit.priority,
        run_at: submit.run_at,
        after: submit.after.clone(),
        fingerprint: submit.fingerprint.clone(),
        task: submit.task.clone(),
        traceparent: submit.traceparent.clone(),
    };
    let mut facts = vec![
        Fact::Submitted(Box::new(submitted)),
        Fact::Reserved {
            period: now.start_of_day(),
            cpu_seconds: submit.requested_resources.cpu_seconds(),
        },
    ];
    facts.extend(first_step(state, tenant, submit, needs, open, !drafts.is_empty()));
    drafts.push(Draft { entity, facts });
    Decision { drafts, ..Decision::nothing() }.accepted(Some(submit.job_id), Some(JobState::Queued))
}

/// The answer to a job id that the log knows.
fn repeated(state: &State, tenant: &TenantId, submit: &Submit) -> Option<Decision> {
    let (request, n, job_state) = if let Some(job) = state.job(submit.job_id) {
        (job.request, job.job.submitted_n, job.job.state())
    } else {
        let ended = state.ended(submit.job_id)?;
        (ended.request, state.n, ended.state)
    };
    if request != Request::new(tenant, &submit.user_id, submit.fingerprint.as_deref()) {
        return Some(Decision::refused(Refusal::new(
            ProblemCode::IdempotencyConflict,
            "the key was used for another request",
        )));
    }
    Some(Decision::repeated(n, submit.job_id, job_state))
}

/// What the job needs of a worker, if its module takes it.
fn check_module(state: &State, tenant: &TenantId, submit: &Submit) -> Result<Needs, Box<Refusal>> {
    let refused = |code, detail| Err(Box::new(Refusal::new(code, detail)));
    if let Some(task) = &submit.task {
        let topic = &task.topic;
        if state.topics.get(tenant, topic).is_none() {
            return refused(ProblemCode::JobNotFound, format!("no worker registered {topic}"));
        }
        return Ok(Needs { topic: Some(topic.clone()), ..Needs::default() });
    }
    let name = &submit.module;
    let Some(module) = state.modules.get(name) else {
        return refused(ProblemCode::UnknownModule, format!("there is no module {name}"));
    };
    let present = &module.versions.present.version;
    let version = submit.module_version.as_ref().unwrap_or(present);
    if module.versions.get(version).is_none() {
        let detail = format!("there is no version {version} of module {name}, but {present}");
        return refused(ProblemCode::UnknownModule, detail);
    }
    if !module.enabled {
        return refused(ProblemCode::DisabledModule, format!("module {name} is disabled"));
    }
    let labels = submit.worker_labels.clone();
    let needs = Needs { version: version.clone(), labels, topic: None };
    // Where nobody serves it, somebody may come who has what is asked for.
    if state.in_force().refuse_unsatisfiable
        && state.workers.declaring(name, &needs).next().is_some()
        && !could_hold(state, name, &needs, &submit.requested_resources)
    {
        let detail = format!("no worker that serves {name} has what is asked for");
        return refused(ProblemCode::Unsatisfiable, detail);
    }
    Ok(needs)
}

/// Whether jobs that must come first are still open. One that cannot succeed any more is refused; the
/// gateway has already left out those that succeeded long ago. One that is not known here may have ended
/// and be forgotten: how, the gateway finds out when it looks again.
fn check_dependencies(
    state: &State,
    tenant: &TenantId,
    submit: &Submit,
) -> Result<bool, Box<Refusal>> {
    let mut open = false;
    for dependency in &submit.after {
        let of_tenant = |job: &&ActiveJob| job.owner.tenant == *tenant;
        let active = state.job(*dependency).filter(of_tenant).map(|job| job.job.state());
        let ended =
            || state.ended(*dependency).filter(|job| job.is_of(tenant)).map(|job| job.state);
        match active.or_else(ended) {
            _ if *dependency == submit.job_id => return Err(hopeless(*dependency)),
            // A canceled job that still holds a slot is among the active ones, and has ended.
            Some(JobState::Failed | JobState::Canceled) => return Err(hopeless(*dependency)),
            Some(JobState::Succeeded) => {}
            Some(JobState::Draft | JobState::Queued | JobState::Running) => open = true,
            None => {
                return Err(Box::new(Refusal::new(
                    ProblemCode::StaleStamp,
                    format!("after: job {dependency} has ended long ago, or does not exist"),
                )));
            }
        }
    }
    Ok(open)
}

fn hopeless(dependency: JobId) -> Box<Refusal> {
    let detail = format!("after: job {dependency} cannot succeed before this one");
    Box::new(Refusal::new(ProblemCode::InvalidRequest, detail))
}

/// What the new job does first: run, or wait for a reason. No fact means `priority`, which
/// `submitted` implies.
fn first_step(
    state: &State,
    tenant: &TenantId,
    submit: &Submit,
    needs: Needs,
    open_dependencies: bool,
    accounts_change: bool,
) -> Option<Fact> {
    if open_dependencies {
        return Some(Fact::Waiting { code: WaitingCode::Dependency });
    }
    if submit.run_at.is_some() {
        // Whether the instant has come is for the timer to say: it alone knows wall time.
        return Some(Fact::Waiting { code: WaitingCode::Scheduled });
    }
    if needs.topic.is_some() {
        return Some(Fact::Waiting { code: WaitingCode::Claim });
    }
    if accounts_change {
        // The limits that a placement has to respect are not yet in force; the match places it.
        return None;
    }
    let key = ClassKey {
        tenant: tenant.clone(),
        user_id: submit.user_id.clone(),
        resources: submit.requested_resources,
        needs: needs.into(),
        isolated: false,
    };
    match place(state, &Given::default(), &submit.module, &key, None) {
        Ok(place) if is_unasked_for(state, place.worker) => Some(place.assign(Attempt(1))),
        Ok(_) => None,
        Err(code @ (WaitingCode::NoWorker | WaitingCode::Paused | WaitingCode::Unsatisfiable)) => {
            Some(Fact::Waiting { code })
        }
        Err(_) if state.queue.is_waited_for(&submit.module) => None,
        Err(code) => Some(Fact::Waiting { code }),
    }
}

/// Records what has to be recorded of a refusal: a violation of a quota, at most once a second for
/// each account and code, and the failure of a job that was promised.
fn refuse(
    state: &State,
    tenant: &TenantId,
    submit: &Submit,
    entity: Entity,
    mut drafts: Vec<Draft>,
    refusal: Refusal,
    now: Timestamp,
) -> Decision {
    if let Some(account) = &refusal.account {
        let known = if account == subject::TENANT_ACCOUNT {
            state.ledger.tenant(tenant)
        } else {
            state.ledger.user(tenant, &submit.user_id)
        };
        let recent = known
            .and_then(|known| known.violated_at.get(&refusal.code))
            .is_some_and(|at| now.since(*at) < quota::VIOLATIONS_COALESCED);
        if !recent {
            let fact = Fact::QuotaViolated {
                job_id: submit.job_id,
                user_id: submit.user_id.clone(),
                module: submit.module.clone(),
                refusal: Box::new(refusal.clone()),
            };
            let account = Entity::Account { tenant: tenant.clone(), account: account.clone() };
            match drafts.iter_mut().find(|draft| draft.entity == account) {
                Some(draft) => draft.facts.push(fact),
                None => drafts.push(Draft { entity: account, facts: vec![fact] }),
            }
        }
    }
    if submit.pending {
        let rejected = Rejected {
            inputs: submit.inputs.clone(),
            requested_resources: submit.requested_resources,
            refusal: refusal.clone(),
            fingerprint: submit.fingerprint.clone(),
            task: submit.task.clone(),
        };
        drafts.push(Draft { entity, facts: vec![Fact::Rejected(Box::new(rejected))] });
    }
    Decision { drafts, ..Decision::refused(refusal) }
}
