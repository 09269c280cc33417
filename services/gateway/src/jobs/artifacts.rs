//! `GET /jobs/{id}/artifacts`: what came of a job, in one form for all engines.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    FrameNumber, JobId, JobState, ProblemCode, RawJson,
    artifact::{self, Artifact},
};
use nox_readmodel::JobRow;
use serde::{Deserialize, Serialize};

use super::find::{find_ended, only_min_n};
use crate::{
    app::App,
    auth::Caller,
    problem::ApiError,
    routes::{self, Segment},
};

/// What is read of a job's outputs. Those of a builtin, or that could not be stored, have less.
#[derive(Deserialize)]
#[serde(default)]
pub struct Outputs {
    scalars: RawJson,
    series: RawJson,
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

#[derive(Serialize)]
struct View {
    scalars: RawJson,
    series: RawJson,
    artifacts: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    artifact: Artifact,
    path: String,
}

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let (row, outputs) = outputs(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    let Outputs { scalars, series, artifacts } = outputs;
    let shown = artifacts.into_iter().map(|artifact| {
        let path = artifact::uri(&row.user_id, row.id, &artifact.name);
        Shown { artifact, path }
    });
    let view = View { scalars, series, artifacts: shown.collect() };
    Ok(Json(view).into_response())
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
