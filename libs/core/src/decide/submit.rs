//! Submit: admit a job, repeat an answer, or refuse.

use nox_contract::{
    Attempt, Entity, Fact, FrameNumber, JobId, JobState, ModuleName, ProblemCode, Refusal,
    Resources, Submit, TenantId, Timestamp, WaitingCode,
    fact::{Rejected, Submitted},
};

use super::{
    Decision, Draft, Rules, draft, parked,
    place::{Given, could_hold, is_unasked_for, place},
    quota::{self, Asker, Beside},
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
    let entity = job_entity(tenant, submit);
    if let Err(refusal) = check_stamp(state, rules, submit) {
        // If it was promised, what is recorded makes a failed job of it where there was none, and else
        // changes nothing.
        return refuse(state, submit, entity, Vec::new(), *refusal, now);
    }
    let mut drafts = quota::opening(state, rules, tenant, &submit.user_id, &submit.role, now);
    let admitted = match admit(state, tenant, submit, Beside::default(), now) {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(state, submit, entity, drafts, *refusal, now),
    };
    let accounts_change = !drafts.is_empty();
    let facts = admitted.facts(state, rules, tenant, accounts_change, now);
    drafts.push(Draft { entity, facts });
    let job_state = if submit.draft { JobState::Draft } else { JobState::Queued };
    Decision { drafts, ..Decision::nothing() }.accepted(Some(submit.job_id), Some(job_state))
}

pub(super) fn job_entity(tenant: &TenantId, submit: &Submit) -> Entity {
    Entity::Job {
        tenant: tenant.clone(),
        job_id: submit.job_id,
        user_id: submit.user_id.clone(),
        module: submit.module.clone(),
    }
}

/// Whether its id cannot be that of a job which has ended and is forgotten here.
pub(super) fn check_stamp(
    state: &State,
    rules: &Rules,
    submit: &Submit,
) -> Result<(), Box<Refusal>> {
    let stale = state.may_be_forgotten(submit.job_id, submit.seen);
    if stale && !rules.faults.stamp_unchecked {
        let detail = format!("seen {} is older than what the log remembers", submit.seen);
        return Err(Box::new(Refusal::new(ProblemCode::StaleStamp, detail)));
    }
    Ok(())
}

/// A job that its module takes and that there is room for.
pub(super) struct Admitted<'a> {
    submit: &'a Submit,
    needs: Needs,
    /// Whether jobs that must come first are still open.
    waits_for_jobs: bool,
}

pub(super) fn admit<'a>(
    state: &State,
    tenant: &TenantId,
    submit: &'a Submit,
    beside: Beside,
    now: Timestamp,
) -> Result<Admitted<'a>, Box<Refusal>> {
    let needs = check_module(state, tenant, submit)?;
    let waits_for_jobs = check_dependencies(state, tenant, submit)?;
    let resources = &submit.requested_resources;
    let asker = Asker { user: &submit.user_id, role: &submit.role, resources, beside };
    if submit.draft {
        quota::admit_draft(state, tenant, &asker, now)?;
    } else {
        quota::admit(state, tenant, &asker, now)?;
    }
    Ok(Admitted { submit, needs, waits_for_jobs })
}

impl Admitted<'_> {
    /// What becomes true of the job. `accounts_change`: what its placement rests on changes beside it.
    pub fn facts(
        self,
        state: &State,
        rules: &Rules,
        tenant: &TenantId,
        accounts_change: bool,
        now: Timestamp,
    ) -> Vec<Fact> {
        let Self { submit, needs, waits_for_jobs } = self;
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
            metadata: submit.metadata.clone(),
            concurrency: submit.concurrency.clone(),
            traceparent: submit.traceparent.clone(),
        };
        if submit.draft {
            return vec![draft::drafted(submitted)];
        }
        let first = First {
            module: &submit.module,
            key: ClassKey {
                tenant: tenant.clone(),
                user_id: submit.user_id.clone(),
                priority: submit.priority,
                resources: submit.requested_resources,
                needs: needs.into(),
                isolated: false,
            },
            waits_for_jobs,
            waits_for_instant: submit.run_at.is_some(),
            accounts_change,
        };
        let submitted = Fact::Submitted(Box::new(submitted));
        let admitted = [submitted, reserved(&submit.requested_resources, now)];
        admitted.into_iter().chain(first.step(state, rules, now)).collect()
    }
}

/// What a job of this size reserves.
pub(super) fn reserved(resources: &Resources, now: Timestamp) -> Fact {
    Fact::Reserved { period: now.start_of_day(), cpu_seconds: resources.cpu_seconds() }
}

/// The answer to a job id that the log knows.
fn repeated(state: &State, tenant: &TenantId, submit: &Submit) -> Option<Decision> {
    Some(match known(state, tenant, submit)? {
        Ok(Known { n, state }) => Decision::repeated(n, submit.job_id, state),
        Err(conflict) => Decision::refused(*conflict),
    })
}

/// A job that an earlier submit of the same request made.
pub(super) struct Known {
    /// A reader that has folded the log up to here sees it.
    pub n: FrameNumber,
    pub state: JobState,
}

/// What the log knows under the id of a submit: the same request's job, or another's.
pub(super) fn known(
    state: &State,
    tenant: &TenantId,
    submit: &Submit,
) -> Option<Result<Known, Box<Refusal>>> {
    let (request, n, job_state) = if let Some(job) = state.job(submit.job_id) {
        (job.request, job.job.submitted_n, job.job.state())
    } else {
        let ended = state.ended(submit.job_id)?;
        (ended.request, state.n, ended.state)
    };
    if request != Request::new(tenant, &submit.user_id, submit.fingerprint.as_deref()) {
        return Some(Err(conflict()));
    }
    Some(Ok(Known { n, state: job_state }))
}

pub(super) fn conflict() -> Box<Refusal> {
    let detail = "the key was used for another request";
    Box::new(Refusal::new(ProblemCode::IdempotencyConflict, detail))
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
    if let Some(parked) = state.parking.module(name) {
        return Err(Box::new(parked::refusal("the module", parked)));
    }
    let Some(module) = state.modules.get(name) else {
        return refused(ProblemCode::UnknownModule, format!("there is no module {name}"));
    };
    let present = &module.versions.present.version;
    let version = submit.module_version.as_ref().unwrap_or(present);
    let needs = Needs {
        version: version.clone(),
        labels: submit.worker_labels.clone(),
        topic: None,
        concurrency: submit.concurrency.as_deref().cloned(),
    };
    check_served(state, name, &needs, &submit.requested_resources)?;
    Ok(needs)
}

/// Whether the module takes jobs that need this.
pub(super) fn check_served(
    state: &State,
    name: &ModuleName,
    needs: &Needs,
    resources: &Resources,
) -> Result<(), Box<Refusal>> {
    let refused = |code, detail| Err(Box::new(Refusal::new(code, detail)));
    let Some(module) = state.modules.get(name) else {
        return refused(ProblemCode::UnknownModule, format!("there is no module {name}"));
    };
    let version = &needs.version;
    if module.versions.get(version).is_none() {
        let present = &module.versions.present.version;
        let detail = format!("there is no version {version} of module {name}, but {present}");
        return refused(ProblemCode::UnknownModule, detail);
    }
    if !module.enabled {
        return refused(ProblemCode::DisabledModule, format!("module {name} is disabled"));
    }
    // Where nobody serves it, somebody may come who has what is asked for.
    if state.in_force().refuse_unsatisfiable
        && state.workers.declaring(name, needs).next().is_some()
        && !could_hold(state, name, needs, resources)
    {
        let detail = format!("no worker that serves {name} has what is asked for");
        return refused(ProblemCode::Unsatisfiable, detail);
    }
    Ok(())
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

pub(super) fn hopeless(dependency: JobId) -> Box<Refusal> {
    let detail = format!("after: job {dependency} cannot succeed before this one");
    Box::new(Refusal::new(ProblemCode::InvalidRequest, detail))
}

/// What a job that was just admitted goes by.
pub(super) struct First<'a> {
    pub module: &'a ModuleName,
    pub key: ClassKey,
    pub waits_for_jobs: bool,
    pub waits_for_instant: bool,
    /// The accounts that its placement rests on change with its admission.
    pub accounts_change: bool,
}

impl First<'_> {
    /// What it does first: run, or wait for a reason. No fact means `priority`, which its admission implies.
    pub fn step(&self, state: &State, rules: &Rules, now: Timestamp) -> Option<Fact> {
        if self.waits_for_jobs {
            return Some(Fact::Waiting { code: WaitingCode::Dependency });
        }
        if self.waits_for_instant {
            // Whether the instant has come is for the timer to say: it alone knows wall time.
            return Some(Fact::Waiting { code: WaitingCode::Scheduled });
        }
        if self.key.needs.topic.is_some() {
            return Some(Fact::Waiting { code: WaitingCode::Claim });
        }
        if self.accounts_change {
            // The limits that a placement has to respect are not yet in force; the match places it.
            return None;
        }
        match place(state, &Given::new(state, rules, now), self.module, &self.key, None) {
            Ok(place) if is_unasked_for(state, place.worker) => Some(place.assign(Attempt(1))),
            Ok(_) => None,
            Err(
                code @ (WaitingCode::NoWorker
                | WaitingCode::Drained
                | WaitingCode::Paused
                | WaitingCode::Unsatisfiable),
            ) => Some(Fact::Waiting { code }),
            Err(_) if state.queue.is_waited_for(self.module) => None,
            Err(code) => Some(Fact::Waiting { code }),
        }
    }
}

/// Records what has to be recorded of a refusal: a violation of a quota, and the failure of a job that was
/// promised.
fn refuse(
    state: &State,
    submit: &Submit,
    entity: Entity,
    mut drafts: Vec<Draft>,
    refusal: Refusal,
    now: Timestamp,
) -> Decision {
    quota::record(state, &entity, &refusal, &mut drafts, now);
    if submit.pending {
        let rejected = Rejected {
            inputs: submit.inputs.clone(),
            requested_resources: submit.requested_resources,
            refusal: refusal.clone(),
            fingerprint: submit.fingerprint.clone(),
            task: submit.task.clone(),
            metadata: submit.metadata.clone(),
        };
        drafts.push(Draft { entity, facts: vec![Fact::Rejected(Box::new(rejected))] });
    }
    Decision { drafts, ..Decision::refused(refusal) }
}
