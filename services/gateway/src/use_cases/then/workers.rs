//! Who ran jobs, as far as the caller may know.

use nox_contract::{Capacity, JobId, JobState, WorkerId, fact::ServedModule};
use nox_core::{state::ActiveJob, worker::Worker};
use nox_protocol::Fold;
use nox_readmodel::query::{RUNNING_MAX, RunningRow};

use crate::identity::auth::Caller;

/// A worker that was there.
#[derive(Debug, PartialEq)]
pub struct WorkerThen {
    pub id: WorkerId,
    pub state: &'static str,
    pub claims: bool,
    pub capacity: Capacity,
    pub modules: Vec<ServedModule>,
    pub labels: Vec<String>,
    /// Jobs that the caller sees, the newest first.
    pub running: Vec<RunningRow>,
    /// How many attempts it had, whoever they belonged to; for operators.
    pub running_jobs: Option<i64>,
}

/// All that were there, by name. At most [`RUNNING_MAX`] of what they ran is told.
pub fn workers(fold: &Fold, caller: &Caller) -> Vec<WorkerThen> {
    let mut room = RUNNING_MAX;
    let of_tenant = |worker: &Worker| {
        worker.claims.as_ref().is_none_or(|of| of.claimant.tenant == caller.tenant)
    };
    let seen = fold.state().workers.iter().filter(|(_, worker)| of_tenant(worker));
    seen.map(|(id, worker)| worker_then(fold, caller, (id, worker), &mut room)).collect()
}

fn worker_then(
    fold: &Fold,
    caller: &Caller,
    (id, worker): (&WorkerId, &Worker),
    room: &mut usize,
) -> WorkerThen {
    let runs = |job: &ActiveJob| job.job.state() != JobState::Queued;
    let held = || {
        let jobs = worker.assignments.keys().map(|id| (*id, fold.state().job(*id)));
        jobs.filter_map(|(id, job)| Some((id, job?))).filter(|(_, job)| runs(job))
    };
    let seen = |job: &ActiveJob| caller.sees_jobs_of(&job.owner.tenant, &job.owner.user_id);
    let mut running: Vec<_> = held().filter(|(_, job)| seen(job)).collect();
    running.sort_by_key(|(_, job)| std::cmp::Reverse((job.job.submitted_n, job.submitted_place)));
    running.truncate(*room);
    *room -= running.len();
    let of = |(job_id, job): (JobId, &ActiveJob)| RunningRow {
        worker_id: id.clone(),
        job_id,
        user_id: job.owner.user_id.clone(),
        module: job.owner.module.clone(),
        started_at: job.job.started_at,
    };
    let served = worker.modules.iter().flat_map(|(name, versions)| {
        versions.iter().map(|version| ServedModule { name: name.clone(), version: version.clone() })
    });
    WorkerThen {
        id: id.clone(),
        state: standing(worker),
        claims: worker.claims.is_some(),
        capacity: worker.capacity,
        modules: served.collect(),
        labels: worker.labels.iter().cloned().collect(),
        running: running.into_iter().map(of).collect(),
        running_jobs: caller
            .require_operator()
            .is_ok()
            .then(|| i64::try_from(held().count()).unwrap_or(i64::MAX)),
    }
}

/// In the words of the list of workers.
fn standing(worker: &Worker) -> &'static str {
    match worker {
        Worker { drained: true, .. } => "drained",
        Worker { draining: true, .. } => "draining",
        Worker { paused: true, .. } => "paused",
        _ => "joined",
    }
}
