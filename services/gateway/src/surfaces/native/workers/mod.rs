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

use crate::{endpoint::Endpoint, use_cases::workers::Seen};

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
    drained_by: Option<UserId>,
    /// What it runs of jobs that the asker sees; at most 1,000 in an answer.
    running: Vec<Running>,
    /// How many attempts it has in all; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    running_jobs: Option<i64>,
    joined_at: Timestamp,
    /// When the log heard of it last, to ten seconds.
    last_seen_at: Timestamp,
    left_at: Option<Timestamp>,
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
            joined_at: row.joined_at,
            last_seen_at: row.seen_at,
            left_at: row.left_at,
            n: row.n,
        }
    }
}

impl From<RunningRow> for Running {
    fn from(row: RunningRow) -> Self {
        let RunningRow { job_id, user_id, module, started_at, .. } = row;
        Self { job_id, user_id, module, started_at }
    }
}
