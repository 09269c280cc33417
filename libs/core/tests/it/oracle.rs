//! The same questions as the decider's, answered the slow way: from all jobs, by counting.

use std::collections::BTreeMap;

use nox_contract::{Capacity, JobId, TenantId, UserId, WaitingCode, WorkerId};
use nox_core::{State, job::Phase, state::ActiveJob, worker::Worker};

/// Jobs that wait for nothing but their turn, the next one first.
fn in_order(state: &State) -> Vec<(JobId, &ActiveJob)> {
    let ageing_ms = state.config.as_ref().map_or(0, |config| config.ageing_ms);
    let mut waiting: Vec<_> = state
        .jobs()
        .filter(|(_, job)| match job.job.phase {
            Phase::Queued { waiting } => !matches!(
                waiting,
                WaitingCode::Dependency | WaitingCode::Scheduled | WaitingCode::Backoff
            ),
            _ => false,
        })
        .collect();
    waiting.sort_by_key(|(_, job)| {
        let queued_at = job.queued_at.as_deref().copied().unwrap_or(job.job.created_at);
        let share = state.ledger.user(&job.owner.tenant, &job.owner.user_id).map(|of| &of.share);
        let served_at = share.and_then(|share| share.served_at(job.job.priority));
        let since = i128::from(served_at.map_or(queued_at, |at| at.max(queued_at)).as_micros());
        let load = i128::from(share.map_or(0, |share| share.load()));
        let worth = i128::from(job.job.priority) * i128::from(ageing_ms) * 1_000;
        let rank = i128::from(queued_at.as_micros()) - worth;
        (since - worth + load, rank, job.job.submitted_n, job.submitted_place)
    });
    waiting
}

fn held(state: &State, of: impl Fn(&ActiveJob) -> bool) -> u32 {
    let held = state.jobs().filter(|(_, job)| job.job.worker_id().is_some() && of(job));
    u32::try_from(held.count()).expect("few jobs")
}

/// Jobs that a worker holds in its present session.
fn held_by<'s>(state: &'s State, worker: &WorkerId) -> impl Iterator<Item = &'s ActiveJob> {
    let gone = |id: &JobId| state.workers.departed().any(|of| of.assignments.contains_key(id));
    state
        .jobs()
        .filter(move |(id, job)| job.job.worker_id() == Some(worker) && !gone(id))
        .map(|(_, job)| job)
}

/// What a worker holds.
pub fn used(state: &State, worker: &WorkerId) -> Capacity {
    let mut used = Capacity::default();
    for job in held_by(state, worker) {
        used.take(&job.job.resources());
    }
    used
}

pub fn running_of_module(state: &State, module: &nox_contract::ModuleName) -> u32 {
    held(state, |job| job.owner.module == *module)
}

pub fn running_of_user(state: &State, tenant: &TenantId, user: &UserId) -> u32 {
    held(state, |job| job.owner.tenant == *tenant && job.owner.user_id == *user)
}

pub fn running_of_tenant(state: &State, tenant: &TenantId) -> u32 {
    held(state, |job| job.owner.tenant == *tenant)
}

/// Whether `worker` has the module in the version that the job keeps, and the labels.
fn serves(worker: &Worker, job: &ActiveJob) -> bool {
    worker.modules.get(&job.owner.module).is_some_and(|of| of.contains(&job.needs.version))
        && job.needs.labels.iter().all(|label| worker.labels.contains(label))
}

fn takes_work(worker: &Worker) -> bool {
    !worker.draining && !worker.paused && !worker.drained
}

/// Whether `worker` could run one more job like this.
fn has_room(state: &State, id: &WorkerId, worker: &Worker, job: &ActiveJob) -> bool {
    let (has, used, asked) = (worker.capacity, used(state, id), job.job.resources());
    let fits = |used: u32, asked: u32, has: u32| u64::from(used) + u64::from(asked) <= has.into();
    fits(used.slots, 1, has.slots)
        && fits(used.cpu, asked.cpu, has.cpu)
        && fits(used.mem_mb, asked.mem_mb, has.mem_mb)
        && fits(used.gpu, asked.gpu, has.gpu)
}

/// Workers that could run the job now, or why there is none.
pub fn hosts<'s>(
    state: &'s State,
    job: &ActiveJob,
) -> Result<Vec<(&'s WorkerId, &'s Worker)>, WaitingCode> {
    let Some(module) = state.modules.get(&job.owner.module) else {
        return Err(WaitingCode::NoWorker);
    };
    if !module.enabled {
        return Err(WaitingCode::Paused);
    }
    let mut serving: Vec<_> = state
        .workers
        .iter()
        .filter(|(_, worker)| serves(worker, job))
        .filter(|(_, worker)| takes_work(worker))
        .collect();
    if serving.is_empty() {
        let mut others = state.workers.iter().filter(|(_, worker)| serves(worker, job));
        let would = |worker: &Worker| worker.drained && !worker.draining && !worker.paused;
        let is_drained = others.any(|(_, worker)| would(worker));
        return Err(if is_drained { WaitingCode::Drained } else { WaitingCode::NoWorker });
    }
    let running = running_of_module(state, &job.owner.module);
    if module.versions.present.running_max.is_some_and(|max| running >= max) {
        return Err(WaitingCode::Concurrency);
    }
    if !has_room_for_key(state, job) {
        return Err(WaitingCode::Concurrency);
    }
    let user =
        state.ledger.user(&job.owner.tenant, &job.owner.user_id).map(|a| a.limits.running_jobs);
    let tenant = state.ledger.tenant(&job.owner.tenant).map(|a| a.limits.running_jobs);
    if user.is_some_and(|max| running_of_user(state, &job.owner.tenant, &job.owner.user_id) >= max)
        || tenant.is_some_and(|max| running_of_tenant(state, &job.owner.tenant) >= max)
    {
        return Err(WaitingCode::Quota);
    }
    let (tenant, user) = (&job.owner.tenant, &job.owner.user_id);
    let accounts = [state.ledger.user(tenant, user), state.ledger.tenant(tenant)];
    let of_accounts = accounts.into_iter().flatten();
    let of_module = module.versions.present.starts_per_minute.map(|most| (module.pace, most));
    let mut paces =
        of_module.into_iter().chain(of_accounts.map(|a| (a.pace, a.limits.starts_per_minute)));
    if paces.any(|(pace, most)| !pace.admits(most, state.at, 0)) {
        return Err(WaitingCode::Rate);
    }
    if serving.iter().any(|(_, worker)| could_be_alone(worker, job)) {
        serving
            .retain(|(id, worker)| has_room(state, id, worker, job) && is_company(state, id, job));
        return if serving.is_empty() { Err(WaitingCode::Isolation) } else { Ok(serving) };
    }
    serving.retain(|(id, worker)| has_room(state, id, worker, job) && is_company(state, id, job));
    if !serving.is_empty() {
        return Ok(serving);
    }
    let mut declaring =
        state.workers.iter().filter(|(_, worker)| serves(worker, job) && !worker.draining);
    let asked = job.job.resources();
    let satisfiable =
        declaring.any(|(_, worker)| worker.capacity.fits(&Capacity::default(), &asked));
    Err(if satisfiable { WaitingCode::Resources } else { WaitingCode::Unsatisfiable })
}

/// Whether the job and all others of its key that hold a slot may run together.
fn has_room_for_key(state: &State, job: &ActiveJob) -> bool {
    let Some(of) = &job.needs.concurrency else { return true };
    let held = state.jobs().filter(|(_, other)| {
        other.job.worker_id().is_some() && other.owner.tenant == job.owner.tenant
    });
    let of_key = held.filter_map(|(_, other)| other.needs.concurrency.as_ref());
    let limits: Vec<_> =
        of_key.filter(|other| other.key == of.key).map(|other| other.limit).collect();
    let least = limits.iter().copied().min().unwrap_or(u32::MAX).min(of.limit);
    limits.len() < least as usize
}

/// Whether the job needs a worker of its own, and this one has enough for it.
fn could_be_alone(worker: &Worker, job: &ActiveJob) -> bool {
    job.job.is_isolated() && worker.capacity.fits(&Capacity::default(), &job.job.resources())
}

/// Whether neither the job nor what `worker` runs has to be alone.
fn is_company(state: &State, worker: &WorkerId, job: &ActiveJob) -> bool {
    held_by(state, worker).all(|other| !other.job.is_isolated() && !job.job.is_isolated())
}

/// The worker that gets empty for the first job that waits for one of its own, and that job's place
/// in the order.
fn kept(state: &State) -> Option<(usize, WorkerId)> {
    let waits = |job: &ActiveJob| hosts(state, job).err() == Some(WaitingCode::Isolation);
    let (place, (_, job)) = (0..).zip(in_order(state)).find(|(_, (_, job))| waits(job))?;
    let serving =
        state.workers.iter().filter(|(_, worker)| serves(worker, job) && takes_work(worker));
    let least = serving
        .filter(|(_, worker)| could_be_alone(worker, job))
        .min_by_key(|(id, _)| (used(state, id).slots, (*id).clone()));
    least.map(|(id, _)| (place, id.clone()))
}

/// As [`hosts`], for the job at this place in the order.
fn hosts_in_turn<'s>(
    state: &'s State,
    place: usize,
    job: &ActiveJob,
) -> Result<Vec<(&'s WorkerId, &'s Worker)>, WaitingCode> {
    let mut hosts = hosts(state, job)?;
    if let Some((_, worker)) = kept(state).filter(|(ahead, _)| *ahead < place) {
        hosts.retain(|(id, _)| **id != worker);
    }
    if hosts.is_empty() { Err(WaitingCode::Resources) } else { Ok(hosts) }
}

/// Workers that a match may give the job to.
pub fn hosts_of_match(state: &State, id: JobId) -> Vec<(&WorkerId, &Worker)> {
    let mut queue = (0..).zip(in_order(state));
    let of_job = queue.find(|(_, (other, _))| *other == id);
    of_job.and_then(|(place, (_, job))| hosts_in_turn(state, place, job).ok()).unwrap_or_default()
}

/// The job that a match has to place next.
pub fn next(state: &State) -> Option<JobId> {
    let could = |place, job: &ActiveJob| hosts_in_turn(state, place, job).is_ok();
    let mut queue = (0..).zip(in_order(state));
    queue.find(|(place, (_, job))| could(*place, job)).map(|(_, (id, _))| id)
}

/// Somebody, other than `job`, who waits and whom `worker` could run.
pub fn passed_over(state: &State, worker: &WorkerId, job: JobId) -> Option<JobId> {
    let could = |job: &ActiveJob| {
        hosts(state, job).is_ok_and(|hosts| hosts.iter().any(|(id, _)| *id == worker))
    };
    in_order(state).into_iter().find(|(id, other)| *id != job && could(other)).map(|(id, _)| id)
}

/// The reason of every job that waits for its turn, after a match that left nobody who could run:
/// the first of its kind has the obstacle, those behind it wait for their turn unless the obstacle
/// is everybody's.
pub fn reasons(state: &State) -> BTreeMap<JobId, WaitingCode> {
    let mut seen = Vec::new();
    (0..)
        .zip(in_order(state))
        .map(|(place, (id, job))| {
            let asked = (job.job.resources(), job.job.is_isolated(), job.job.priority);
            let kind = (&job.owner, &job.needs, asked);
            let first = !seen.contains(&kind);
            seen.push(kind);
            let code = match hosts_in_turn(state, place, job) {
                Err(
                    code @ (WaitingCode::Paused
                    | WaitingCode::NoWorker
                    | WaitingCode::Drained
                    | WaitingCode::Unsatisfiable),
                ) => code,
                Err(code) if first => code,
                _ => WaitingCode::Priority,
            };
            (id, code)
        })
        .collect()
}

/// Tasks that `worker` could have been given and that were submitted before `task`.
pub fn older_tasks<'s>(
    state: &'s State,
    worker: &WorkerId,
    task: JobId,
) -> impl Iterator<Item = JobId> + use<'s> {
    let claims = state.workers.get(worker).and_then(|worker| worker.claims.as_ref());
    let place = state.job(task).map(|job| (job.job.submitted_n, job.submitted_place));
    claims.into_iter().flat_map(move |claims| {
        state.jobs().filter_map(move |(id, job)| {
            let topic = job.needs.topic.as_ref()?;
            let mine = job.owner.tenant == claims.claimant.tenant && claims.topics.contains(topic);
            let waits = job.job.waiting() == Some(WaitingCode::Claim);
            let older =
                place.is_some_and(|place| (job.job.submitted_n, job.submitted_place) < place);
            let (tenant, user) = (&job.owner.tenant, &job.owner.user_id);
            let may = [state.ledger.user(tenant, user), state.ledger.tenant(tenant)]
                .into_iter()
                .flatten()
                .all(|account| account.running_jobs < account.limits.running_jobs);
            (mine && waits && older && may).then_some(id)
        })
    })
}
