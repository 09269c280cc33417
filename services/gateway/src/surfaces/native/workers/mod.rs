//! `/workers`: who runs jobs, and taking them out of service.

mod drain;
mod get;
mod list;

use nox_contract::{
    Capacity, FrameNumber, JobId, ModuleName, Timestamp, UserId, WorkerId, fact::ServedModule,
};
use nox_readmodel::query::RunningRow;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::Endpoint,
    use_cases::{then::workers::WorkerThen, workers::Seen},
};

pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![list::endpoint(), get::endpoint()];
    endpoints.extend(drain::endpoints());
    endpoints
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
struct WorkerView {
    id: WorkerId,
    worker_id: WorkerId,
    /// `joined`: takes work. `drained`: an operator took it out of service. `draining`: is about to stop.
    /// `paused`: cannot run anything for now. `left`, `lost`: is not there.
    state: &'static str,
    /// It claims tasks over HTTP; else it is an executor.
    claims: bool,
    capacity: Capacity,
    modules: Vec<ServedModule>,
    labels: Vec<String>,
    /// Null of the past.
    drained_by: Option<UserId>,
    /// What it runs of jobs that the asker sees; at most 1,000 in an answer.
    running: Vec<Running>,
    /// How many attempts it has in all; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    running_jobs: Option<i64>,
    /// Null of the past.
    joined_at: Option<Timestamp>,
    /// When the log heard of it last, to ten seconds; null of the past.
    last_seen_at: Option<Timestamp>,
    left_at: Option<Timestamp>,
    /// The newest frame with an entry of the worker; of the past, the last frame that was taken in.
    n: FrameNumber,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningJob")]
struct Running {
    job_id: JobId,
    user_id: UserId,
    module: ModuleName,
    started_at: Option<Timestamp>,
}

impl From<Seen> for WorkerView {
    fn from(seen: Seen) -> Self {
        let Seen { row, running, running_jobs } = seen;
        // Whoever is away is away, whether it would be given work or not.
        let drained = row.drained_by.is_some() && row.left_at.is_none();
        Self {
            id: row.worker_id.clone(),
            worker_id: row.worker_id,
            state: if drained { "drained" } else { row.state.as_str() },
            claims: row.claimant.is_some(),
            capacity: row.capacity,
            modules: row.modules,
            labels: row.labels,
            drained_by: row.drained_by,
            running: running.into_iter().map(Running::from).collect(),
            running_jobs,
            joined_at: Some(row.joined_at),
            last_seen_at: Some(row.seen_at),
            left_at: row.left_at,
            n: row.n,
        }
    }
}

impl WorkerView {
    /// As it was behind frame `n`.
    fn then(then: WorkerThen, n: FrameNumber) -> Self {
        Self {
            id: then.id.clone(),
            worker_id: then.id,
            state: then.state,
            claims: then.claims,
            capacity: then.capacity,
            modules: then.modules,
            labels: then.labels,
            drained_by: None,
            running: then.running.into_iter().map(Running::from).collect(),
            running_jobs: then.running_jobs,
            joined_at: None,
            last_seen_at: None,
            left_at: None,
            n,
        }
    }
}

impl From<RunningRow> for Running {
    fn from(row: RunningRow) -> Self {
        let RunningRow { job_id, user_id, module, started_at, .. } = row;
        Self { job_id, user_id, module, started_at }
    }
}
