//! Tasks as clients of this surface know them.

use nox_contract::{JobId, JobState, Progress, RawJson, Timestamp, WaitingCode};
use nox_readmodel::JobRow;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// A task. `status` is in this surface's words, `state` in the canonical ones.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Task")]
pub struct TaskView {
    pub id: JobId,
    pub job_name: String,
    pub room_id: String,
    pub status: &'static str,
    pub state: JobState,
    pub created_by_id: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub worker_id: Option<Uuid>,
    pub attempt: u32,
    pub error: Option<String>,
    pub payload: Option<RawJson>,
    pub result: Option<RawJson>,
    pub progress: Option<Progress>,
    /// How many are claimed before it, while it waits.
    pub queue_position: Option<u32>,
}

impl TaskView {
    /// `None` of a job that is no task.
    pub fn new(row: JobRow, queue_position: Option<u32>) -> Option<Self> {
        let task = row.task?;
        // Whoever had it before does not have it while it waits.
        let worker = row.worker_id.filter(|_| row.waiting_code != Some(WaitingCode::Claim));
        Some(Self {
            id: row.id,
            job_name: task.topic.to_string(),
            room_id: task.room,
            status: status(row.status, row.waiting_code),
            state: row.status,
            created_by_id: row.user_id.to_string(),
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.ended_at,
            worker_id: worker.and_then(|id| id.http_id()),
            attempt: row.attempt.0,
            error: row.error.map(|error| error.message),
            payload: row.inputs,
            result: row.outputs,
            progress: row.progress,
            queue_position,
        })
    }
}

/// The surface's word for where a task stands.
pub fn status(state: JobState, waiting: Option<WaitingCode>) -> &'static str {
    match (state, waiting) {
        (JobState::Queued, Some(WaitingCode::Dispatching)) => "claimed",
        (JobState::Draft | JobState::Queued, _) => "pending",
        (JobState::Running, _) => "running",
        (JobState::Succeeded, _) => "completed",
        (JobState::Failed, _) => "failed",
        (JobState::Canceled, _) => "cancelled",
    }
}
