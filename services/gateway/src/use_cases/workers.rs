//! Workers, as far as the caller may know of them.

use std::collections::BTreeMap;

use nox_contract::{Accepted, Command, DrainWorker, ProblemCode, WorkerId};
use nox_readmodel::{WorkerRow, query::RunningRow};

use super::decided::decided;
use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

/// A worker, and what the caller may know of what it runs.
pub struct Seen {
    pub row: WorkerRow,
    /// Jobs that the caller sees.
    pub running: Vec<RunningRow>,
    /// How many attempts it has, whoever they belong to; for operators.
    pub running_jobs: Option<i64>,
}

/// Executors serve everybody; those that claim their work are their tenant's.
fn sees(caller: &Caller, row: &WorkerRow) -> bool {
    row.claimant.as_ref().is_none_or(|claimant| claimant.tenant == caller.tenant)
}

/// All workers that the caller may see, by name, those of before included.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Seen>, ApiError> {
    let rows = app.barrier.read(&Required::default(), || app.reader.workers()).await?.value;
    let rows = rows.into_iter().filter(|row| sees(caller, row)).collect();
    with_running(app, caller, rows, None).await
}

/// A worker that the caller may see.
pub async fn find(app: &App, caller: &Caller, name: &str) -> Result<Seen, ApiError> {
    let id: WorkerId = name.parse().map_err(|_| no_such_worker())?;
    let id = &id;
    let read = || async move {
        let found = app.reader.worker(id).await?;
        Ok(found.map(|row| row.filter(|row| sees(caller, row))))
    };
    let found = app.barrier.find(Required::default(), Sources::CommandsAndReports, read).await?;
    let row = found.value.ok_or_else(no_such_worker)?;
    let seen = with_running(app, caller, vec![row], Some(id)).await?;
    seen.into_iter().next().ok_or_else(no_such_worker)
}

/// Takes a worker out of service, or puts it back, for operators; `None` while nobody has decided.
pub async fn drain(
    app: &App,
    caller: &Caller,
    name: &str,
    drained: bool,
) -> Result<(WorkerId, Option<Accepted>), ApiError> {
    caller.require_operator()?;
    let worker_id = find(app, caller, name).await?.row.worker_id;
    let by = caller.user.clone();
    let command = Command::DrainWorker(DrainWorker { worker_id: worker_id.clone(), drained, by });
    Ok((worker_id, decided(app, &caller.tenant, &command).await?))
}

async fn with_running(
    app: &App,
    caller: &Caller,
    rows: Vec<WorkerRow>,
    worker: Option<&WorkerId>,
) -> Result<Vec<Seen>, ApiError> {
    let user = (!caller.admin).then_some(&caller.user);
    let read = || app.reader.running(&caller.tenant, user, worker);
    let jobs = app.barrier.read(&Required::default(), read).await?.value;
    let mut of_worker: BTreeMap<WorkerId, Vec<RunningRow>> = BTreeMap::new();
    for job in jobs {
        of_worker.entry(job.worker_id.clone()).or_default().push(job);
    }
    let counts = if caller.require_operator().is_ok() {
        let read = || app.reader.running_counts();
        Some(app.barrier.read(&Required::default(), read).await?.value)
    } else {
        None
    };
    let seen = |row: WorkerRow| Seen {
        running: of_worker.remove(&row.worker_id).unwrap_or_default(),
        running_jobs: counts
            .as_ref()
            .map(|counts| counts.get(&row.worker_id).copied().unwrap_or_default()),
        row,
    };
    Ok(rows.into_iter().map(seen).collect())
}

pub fn no_such_worker() -> ApiError {
    ApiError::new(ProblemCode::WorkerNotFound, "there is no such worker")
}
