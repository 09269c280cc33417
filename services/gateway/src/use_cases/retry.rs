//! Repeats a job that has ended: a new one that names it.

use std::collections::BTreeMap;

use nox_contract::{FrameNumber, JobId, Metadata, ProblemCode, RawJson, Resources};

use nox_readmodel::JobRow;

use super::{
    find::find,
    job_request::{AskedResources, JobRequest, inputs},
};
use crate::{app::App, identity::auth::Caller, problem::ApiError};

/// What of the new job is another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// As they were written.
    pub inputs: Option<RawJson>,
    pub resources: AskedResources,
    pub labels: Option<BTreeMap<String, String>>,
}

/// The request that makes the job `id` once more, with `edits`: of the version that it was of, as far as that is
/// still known, and at once. The new job is the asker's, and so are its limits.
pub async fn request(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
    edits: Edits,
) -> Result<JobRequest, ApiError> {
    of_row(find(app, caller, id, min_n).await?, edits)
}

/// The same of a job that was found.
pub fn of_row(row: JobRow, edits: Edits) -> Result<JobRequest, ApiError> {
    if !row.status.is_ended() {
        let detail = format!("the job is {}; only one that has ended is repeated", row.status);
        return Err(ApiError::new(ProblemCode::NotEnded, detail));
    }
    if row.task.is_some() {
        let detail = "a task is submitted again where its workers registered it";
        return Err(ApiError::new(ProblemCode::InvalidRequest, detail));
    }
    let Some(text) = edits.inputs.or(row.inputs) else {
        let detail = "its inputs could not be stored: name others";
        return Err(ApiError::new(ProblemCode::InvalidInputs, detail));
    };
    let (inputs, canonical_inputs) = inputs(text.get(), "/inputs")?;
    let Resources { cpu, mem_mb, wall_time_s, gpu } = edits.resources.or(row.requested_resources);
    Ok(JobRequest {
        module: row.module,
        module_version: row.module_version,
        worker_labels: row.worker_labels,
        inputs,
        canonical_inputs,
        resources: AskedResources {
            cpu: Some(cpu),
            mem_mb: Some(mem_mb),
            wall_time_s: Some(wall_time_s),
            gpu: Some(gpu),
        },
        priority: row.priority,
        run_at: None,
        after: Vec::new(),
        metadata: Metadata {
            labels: edits.labels.unwrap_or(row.metadata.labels),
            release_id: row.metadata.release_id,
            retry_of: Some(row.id),
        },
        concurrency: row.concurrency,
        draft: false,
        together: None,
    })
}
