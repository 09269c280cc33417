//! What workers repeat about themselves: executor → NOX_BEATS → scheduler.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Attempt, JobId, Origin, SessionId, WorkNumber};

/// A worker's view of itself at one moment. Only the newest counts, so the stream keeps one a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beat {
    pub session: SessionId,
    /// As its `hello` says: whoever is superseded by another process of its own instance has a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// All work up to and including this number has arrived.
    pub received_up_to: WorkNumber,
    /// Attempts that were taken on and whose end is not yet acknowledged.
    pub held: Vec<Held>,
    /// Whether it has heard that the log has taken its session on.
    pub joined: bool,
    /// The stream sequence of the newest acknowledged message of this worker in NOX_REPORTS; a beat
    /// is judged only after the scheduler has consumed that far, else an end that overtook nothing
    /// looks like an attempt that vanished.
    pub reports_up_to: u64,
    /// The number of the newest registration of a module that has arrived in this session; absent of a worker that takes
    /// no registered modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_up_to: Option<u64>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Held {
    pub job_id: JobId,
    pub attempt: Attempt,
}
