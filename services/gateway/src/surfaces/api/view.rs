//! Jobs as clients of this surface know them.

use nox_contract::{JobId, JobState, ModuleName, RawJson, Timestamp, UserId};
use nox_readmodel::JobRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::word;

/// A job. `status` is in this surface's words, `state` in the canonical ones.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReleaseJob")]
pub struct JobView {
    id: JobId,
    job_id: JobId,
    release_id: Option<String>,
    status: &'static str,
    state: JobState,
    job_type: ModuleName,
    config_json: Option<RawJson>,
    /// How far it is, in per cent.
    progress: u8,
    created_at: Timestamp,
    created_by: UserId,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Why it failed.
    error: Option<String>,
    /// What came of it.
    result: Option<RawJson>,
    /// What it printed, as `GET …/logs` tells it; of one job alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            job_id: row.id,
            status: word(row.status),
            state: row.status,
            progress: progress(&row),
            release_id: row.metadata.release_id,
            job_type: row.module,
            config_json: row.inputs,
            created_at: row.created_at,
            created_by: row.user_id,
            started_at: row.started_at,
            ended_at: row.ended_at,
            error: row.error.map(|error| error.message),
            result: row.outputs,
            logs: None,
        }
    }
}

/// How far a job is, in per cent, as far as that is known.
pub fn progress(row: &JobRow) -> u8 {
    match row.status {
        JobState::Succeeded => 100,
        _ => row.progress.as_ref().and_then(|progress| progress.percent).unwrap_or(0),
    }
}
