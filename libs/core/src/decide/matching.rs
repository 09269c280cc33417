//! The match: which queued job runs where, and why the others do not.

use nox_contract::{
    Attempt, Capacity, Fact, JobError, JobId, JobState, ModuleName, WaitingCode, WorkerId,
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
    module: &ModuleName,
    key: &ClassKey,
) -> Result<(&'s WorkerId, &'s Worker), WaitingCode> {
    place_but(state, module, key, None)
}

/// As [`place`], with a worker that is kept for somebody else.
fn place_but<'s>(
    state: &'s State,
    module: &ModuleName,
    key: &ClassKey,
    kept: Option<&WorkerId>,
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
    let tenant = &key.tenant;
    let limits = [state.ledger.user(tenant, &key.user_id), state.ledger.tenant(tenant)];
    if limits.into_iter().flatten().any(|a| a.running_jobs >= a.limits.running_jobs) {
        return Err(WaitingCode::Quota);
    }
    let place = state
        .workers
        .serving(module)
        .filter(|(id, worker)| kept != Some(*id) && has_place(worker, key))
        // The emptiest, so that load spreads; the name settles a tie, so that a replay agrees.
        .max_by_key(|(id, worker)| {
            (worker.capacity.slots - worker.used.slots, std::cmp::Reverse(*id))
        });
    place.ok_or_else(|| match to_be_emptied(state, module, key) {
        Some(_) => WaitingCode::Isolation,
        None => WaitingCode::Resources,
    })
}

/// Whether a worker has room for a job like this, and for its company.
fn has_place(worker: &Worker, key: &ClassKey) -> bool {
    let alone = worker.isolated.is_none() && (!key.isolated || worker.assignments.is_empty());
    alone && worker.capacity.fits(&worker.used, &key.resources)
}

/// The worker that a job which has to be alone waits for, if it is one: the one with the least to do.
fn to_be_emptied<'s>(
    state: &'s State,
    module: &ModuleName,
    key: &ClassKey,
) -> Option<&'s WorkerId> {
    let could = |worker: &Worker| worker.capacity.fits(&Capacity::default(), &key.resources);
    let serving = state.workers.serving(module).filter(|(_, worker)| key.isolated && could(worker));
    serving.min_by_key(|(id, worker)| (worker.used.slots, *id)).map(|(id, _)| id)
}

/// A worker that nobody behind a job's place is given, so that it gets empty for that job.
#[derive(Clone, Copy)]
struct Kept<'s> {
    worker: &'s WorkerId,
    ahead: Rank,
}

impl<'s> Kept<'s> {
    /// For the first job that nothing but others' company holds back: without it, short jobs that
    /// come all the time would keep a suspect waiting for ever.
    fn find(state: &'s State) -> Option<Self> {
        let waits = |module, key| place(state, module, key).err() == Some(WaitingCode::Isolation);
        let (ahead, worker) = state
            .queue
            .isolated()
            .filter(|(module, key, _)| waits(module, key))
            .filter_map(|(module, key, rank)| Some((rank, to_be_emptied(state, module, key)?)))
            .min()?;
        Some(Self { worker, ahead })
    }

    fn from(kept: Option<Self>, rank: Rank) -> Option<&'s WorkerId> {
        kept.filter(|kept| kept.ahead < rank).map(|kept| kept.worker)
    }
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
    let kept = Kept::find(state);
    for (module, classes) in &state.queue.modules {
        if !has_room(state, module) {
            continue;
        }
        for (key, class) in classes {
            let Some((rank, job)) = class.head() else { continue };
            if first.is_some_and(|(ahead, ..)| ahead < rank) {
                continue;
            }
            let placed = place_but(state, module, key, Kept::from(kept, rank));
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
    let kept = Kept::find(state);
    for (module, classes) in &state.queue.modules {
        for (key, class) in classes {
            let wrong = wrong_reason(state, module, key, class, kept);
            let Some((job, code)) = wrong else { continue };
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
    kept: Option<Kept<'_>>,
) -> Option<(JobId, WaitingCode)> {
    let (rank, head) = class.head()?;
    // A job that can be placed is the match's to place, not to explain.
    let code = place_but(state, module, key, Kept::from(kept, rank)).err()?;
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
    let fact = match place(state, &active.module, &active.class()) {
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
