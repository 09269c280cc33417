//! What came of a job, in one form for all engines.

use nox_contract::{FrameNumber, JobId, JobState, ProblemCode, RawJson, artifact::Artifact};
use nox_readmodel::JobRow;
use serde::Deserialize;

use super::find::find_ended;
use crate::{app::App, identity::auth::Caller, problem::ApiError};

/// What is read of a job's outputs. Those of a builtin, or that could not be stored, have less.
#[derive(Deserialize)]
#[serde(default)]
pub struct Outputs {
    pub scalars: RawJson,
    pub series: RawJson,
    pub artifacts: Vec<Artifact>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { scalars: nothing(), series: nothing(), artifacts: Vec::new() }
    }
}

fn nothing() -> RawJson {
    RawJson::of(&serde_json::json!({})).unwrap_or_default()
}

/// What came of a job that has succeeded.
pub async fn outputs(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<(JobRow, Outputs), ApiError> {
    let Some(row) = find_ended(app, caller, id, min_n).await? else {
        return Err(not_found("the job has not ended yet"));
    };
    if row.status != JobState::Succeeded {
        return Err(not_found(format!("the job is {}, and nothing came of it", row.status)));
    }
    let outputs = match &row.outputs {
        Some(outputs) => serde_json::from_str(outputs.get()).map_err(|error| {
            ApiError::internal(
                anyhow::Error::new(error).context("outputs are not as they should be"),
            )
        })?,
        None => Outputs::default(),
    };
    Ok((row, outputs))
}

pub fn not_found(detail: impl Into<String>) -> ApiError {
    ApiError::new(ProblemCode::ArtifactNotFound, detail)
}
