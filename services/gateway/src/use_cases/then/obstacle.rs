//! What was in a job's way.

use std::collections::BTreeMap;

use nox_contract::{Capacity, FrameNumber, JobId, JobState, WaitingCode, subject};
use nox_core::state::ActiveJob;
use nox_protocol::Fold;
use nox_readmodel::query::BlockingRow;

use crate::{
    identity::auth::Caller,
    use_cases::why::{AHEAD_MAX, Limit, Obstacle, is_in_turn, seen},
};

/// What `id` waited for then; `None` if it waited for nothing.
pub fn obstacle(fold: &Fold, caller: &Caller, id: JobId) -> Option<Obstacle> {
    let job = fold.state().job(id)?;
    let code = job.job.waiting()?;
    let mut found = match code {
        WaitingCode::Dependency => dependencies(fold, caller, job),
        WaitingCode::Concurrency => concurrency(fold, caller, job),
        WaitingCode::Quota => quota(fold, caller, job),
        WaitingCode::Resources | WaitingCode::Unsatisfiable => Obstacle {
            resources: Some((job.job.resources(), largest(fold, job))),
            ..Obstacle::default()
        },
        _ => Obstacle::default(),
    };
    if is_in_turn(code) {
        found.ahead = Some(ahead(fold, id, job));
    }
    Some(found)
}

/// The jobs that it was to follow and that were still open.
fn dependencies(fold: &Fold, caller: &Caller, job: &ActiveJob) -> Obstacle {
    let open = job.dependencies.iter().flat_map(|of| &of.open);
    let open = open.filter_map(|id| Some((*id, fold.state().job(*id)?))).map(blocking);
    seen(caller, &job.owner.tenant, open.collect())
}

/// Those that had the slots of its key, or how many its module had.
fn concurrency(fold: &Fold, caller: &Caller, job: &ActiveJob) -> Obstacle {
    let state = fold.state();
    if let Some(of) = &job.needs.concurrency {
        let is_of_key = |other: &ActiveJob| {
            other.needs.concurrency.as_ref().is_some_and(|other| other.key == of.key)
        };
        let holders = holders(fold, job, is_of_key);
        let limits = holders.iter().filter_map(|(_, other)| other.needs.concurrency.as_ref());
        if let Some(least) = limits.map(|of| of.limit).min() {
            let most = u64::from(of.limit.min(least));
            if holders.len() as u64 >= most {
                let used = Some(holders.len() as u64);
                let limit = Limit { name: "concurrency", of: of.key.clone(), most, used };
                let holders = holders.into_iter().map(blocking).collect();
                return Obstacle { limit: Some(limit), ..seen(caller, &job.owner.tenant, holders) };
            }
        }
    }
    let module = state.modules.get(&job.owner.module);
    let limit = module.and_then(|module| {
        let most = u64::from(module.versions.present.running_max?);
        let used = Some(u64::from(module.running));
        Some(Limit { name: "running_max", of: job.owner.module.to_string(), most, used })
    });
    Obstacle { limit, ..Obstacle::default() }
}

/// The owner's jobs that ran, or where it might run more, those of its tenant.
fn quota(fold: &Fold, caller: &Caller, job: &ActiveJob) -> Obstacle {
    let (tenant, user) = (&job.owner.tenant, &job.owner.user_id);
    let own = subject::user_account(user);
    for name in [own.as_str(), subject::TENANT_ACCOUNT] {
        let Some(account) = fold.state().ledger.account(tenant, name) else { continue };
        let most = u64::from(account.limits.running_jobs);
        let used = u64::from(account.running_jobs);
        if used < most {
            continue;
        }
        let limit = Limit { name: "running_jobs", of: name.to_owned(), most, used: Some(used) };
        let is_of =
            |other: &ActiveJob| name == subject::TENANT_ACCOUNT || other.owner.user_id == *user;
        let holders = holders(fold, job, is_of).into_iter().map(blocking).collect();
        return Obstacle { limit: Some(limit), ..seen(caller, tenant, holders) };
    }
    Obstacle::default()
}

/// Jobs of the same tenant that a worker had, the first to have been submitted before others.
fn holders<'f>(
    fold: &'f Fold,
    job: &ActiveJob,
    is_one: impl Fn(&ActiveJob) -> bool,
) -> Vec<(JobId, &'f ActiveJob)> {
    let others = fold.state().jobs().filter(|(_, other)| {
        other.owner.tenant == job.owner.tenant && other.job.worker_id().is_some() && is_one(other)
    });
    let others = others.map(|(id, other)| (order(other), (id, other)));
    others.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn order(job: &ActiveJob) -> (FrameNumber, u32) {
    (job.job.submitted_n, job.submitted_place)
}

fn blocking((id, job): (JobId, &ActiveJob)) -> BlockingRow {
    BlockingRow { id, user_id: job.owner.user_id.clone(), status: job.job.state() }
}

/// The most that a worker of its module had of each.
fn largest(fold: &Fold, job: &ActiveJob) -> Option<Capacity> {
    let workers = fold.state().workers.iter().map(|(_, worker)| worker);
    let serving = workers.filter(|worker| worker.modules.contains_key(&job.owner.module));
    serving.map(|worker| worker.capacity).reduce(|a, b| Capacity {
        slots: a.slots.max(b.slots),
        cpu: a.cpu.max(b.cpu),
        mem_mb: a.mem_mb.max(b.mem_mb),
        gpu: a.gpu.max(b.gpu),
    })
}

/// Jobs of the same owner and module that were before it.
fn ahead(fold: &Fold, id: JobId, job: &ActiveJob) -> usize {
    let turn = |of: &ActiveJob| (std::cmp::Reverse(of.job.priority), order(of));
    let waits = |other: &ActiveJob| {
        other.job.state() == JobState::Queued
            && !matches!(
                other.job.waiting(),
                None | Some(
                    WaitingCode::Scheduled
                        | WaitingCode::Dependency
                        | WaitingCode::Backoff
                        | WaitingCode::Dispatching
                )
            )
    };
    let before = fold.state().jobs().filter(|(other_id, other)| {
        *other_id != id && other.owner == job.owner && waits(other) && turn(other) < turn(job)
    });
    before.take(AHEAD_MAX).count()
}
