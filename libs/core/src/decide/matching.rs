//! The match: which queued job runs where, and why the others do not.

use nox_contract::{
    Attempt, Fact, JobError, JobId, JobState, ModuleName, Resources, TenantId, UserId, WaitingCode,
    WorkerId,
};

use super::{Decision, end, job_entity};
use crate::{
    queue::{Class, ClassKey, Rank},
    state::State,
    worker::Worker,
};

/// The worker that would take such a job now, or why none does. The order of the checks is the
/// order in which their removal helps: what concerns everybody comes first.
pub(super) fn place<'s>(
    state: &'s State,
    tenant: &TenantId,
    user: &UserId,
    module: &ModuleName,
    asked: &Resources,
) -> Result<(&'s WorkerId, &'s Worker), WaitingCode> {
    let known = state.modules.get(module).ok_or(WaitingCode::NoWorker)?;
    if !known.enabled {
        return Err(WaitingCode::Paused);
    }
    if state.workers.serving(module).next().is_none() {
        return Err(WaitingCode::NoWorker);
    }
    if known.manifest.running_max.is_some_and(|max| known.running >= max) {
        return Err(WaitingCode::Concurrency);
    }
    let limits = [state.ledger.user(tenant, user), state.ledger.tenant(tenant)];
    if limits.into_iter().flatten().any(|a| a.running_jobs >= a.limits.running_jobs) {
        return Err(WaitingCode::Quota);
    }
    state
        .workers
        .serving(module)
        .filter(|(_, worker)| worker.capacity.fits(&worker.used, asked))
        // The emptiest, so that load spreads; the name settles a tie, so that a replay agrees.
        .max_by_key(|(id, worker)| {
            (worker.capacity.slots - worker.used.slots, std::cmp::Reverse(*id))
        })
        .ok_or(WaitingCode::Resources)
}

/// The fact that gives a worker an attempt.
pub(super) fn assign((worker_id, worker): (&WorkerId, &Worker), attempt: Attempt) -> Fact {
    Fact::Assigned {
        worker_id: worker_id.clone(),
        session: worker.session,
        attempt,
        work: worker.next_work,
    }
}

/// Whether nobody waits for anything that `worker` does, so that giving it work now passes nobody
/// over.
pub(super) fn is_unasked_for(state: &State, worker: &Worker) -> bool {
    !worker.modules.iter().any(|module| state.queue.is_waited_for(module))
}

/// The next thing that a match does: free a job from its dependencies, else place the first job
/// that can be placed. Modules share workers, so the first is the first of all of them.
pub(super) fn next_placement(state: &State) -> Option<Decision> {
    if let Some(id) = state.unblocked.first() {
        return Some(unblock(state, *id));
    }
    let mut first: Option<(Rank, JobId, (&WorkerId, &Worker))> = None;
    for (module, classes) in &state.queue.modules {
        if !has_room(state, module) {
            continue;
        }
        for (key, class) in classes {
            let Some((rank, job)) = class.head() else { continue };
            if first.is_some_and(|(ahead, ..)| ahead < rank) {
                continue;
            }
            let placed = place(state, &key.tenant, &key.user_id, module, &key.resources);
            if let Ok(worker) = placed {
                first = Some((rank, job, worker));
            }
        }
    }
    let (_, job, worker) = first?;
    let active = state.job(job)?;
    let fact = assign(worker, active.job.attempt.next());
    Some(Decision::of(job_entity(job, active), vec![fact]))
}

/// Whether a worker of `module` has a free slot; spares a look at every class when all are busy.
fn has_room(state: &State, module: &ModuleName) -> bool {
    state.workers.serving(module).any(|(_, worker)| worker.used.slots < worker.capacity.slots)
}

fn unblock(state: &State, id: JobId) -> Decision {
    let Some(active) = state.job(id) else { return Decision::nothing() };
    let facts = if let Some((dependency, state)) = active.doomed {
        let error = JobError {
            code: "dependency".to_owned(),
            message: format!("job {dependency}, which had to succeed first, {}", ended_as(state)),
            exit_status: None,
        };
        let mut facts = vec![Fact::Failed { error }];
        facts.extend(end::settle(active, 0));
        facts
    } else if active.job.due_at.is_some() {
        vec![Fact::Waiting { code: WaitingCode::Scheduled }]
    } else {
        vec![Fact::Waiting { code: WaitingCode::Priority }]
    };
    Decision::of(job_entity(id, active), facts)
}

fn ended_as(state: JobState) -> &'static str {
    match state {
        JobState::Canceled => "was canceled",
        _ => "failed",
    }
}

/// The next queued job whose recorded reason is no longer the right one.
///
/// The first of its kind waits for what `place` says. Those behind it wait for their turn, unless
/// what holds the first back would hold them back just the same.
pub(super) fn next_reason(state: &State) -> Option<Decision> {
    for (module, classes) in &state.queue.modules {
        for (key, class) in classes {
            let Some((job, code)) = wrong_reason(state, module, key, class) else { continue };
            let active = state.job(job)?;
            return Some(Decision::of(job_entity(job, active), vec![Fact::Waiting { code }]));
        }
    }
    None
}

fn wrong_reason(
    state: &State,
    module: &ModuleName,
    key: &ClassKey,
    class: &Class,
) -> Option<(JobId, WaitingCode)> {
    // A job that can be placed is the match's to place, not to explain.
    let code = place(state, &key.tenant, &key.user_id, module, &key.resources).err()?;
    let (_, head) = class.head()?;
    if state.job(head)?.job.waiting() != Some(code) {
        return Some((head, code));
    }
    let behind = match code {
        WaitingCode::NoWorker | WaitingCode::Paused => code,
        _ => WaitingCode::Priority,
    };
    class.first_behind_head_without(behind).map(|job| (job, behind))
}

/// What a job does whose instant has come: run if nobody is ahead, else queue up.
pub(super) fn due(state: &State, id: JobId) -> Option<Decision> {
    let active = state.job(id)?;
    let waiting = active.job.waiting()?;
    if !matches!(waiting, WaitingCode::Scheduled | WaitingCode::Backoff) {
        return None;
    }
    let placed = place(
        state,
        &active.tenant,
        &active.user_id,
        &active.module,
        &active.job.requested_resources,
    );
    let fact = match placed {
        Ok(worker) if is_unasked_for(state, worker.1) => assign(worker, active.job.attempt.next()),
        Ok(_) => Fact::Waiting { code: WaitingCode::Priority },
        Err(code) => Fact::Waiting { code },
    };
    Some(Decision::of(job_entity(id, active), vec![fact]))
}

/// Whether the configuration in the log is not the one that was given.
pub(super) fn differs(state: &State, given: &nox_contract::SchedulerConfig) -> bool {
    state.config.as_ref() != Some(given)
}
