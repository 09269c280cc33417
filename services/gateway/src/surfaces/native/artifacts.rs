//! `GET /jobs/{id}/artifacts`: what came of a job, in one form for all engines.

use axum::response::Response;
use nox_contract::{
    ProblemCode, RawJson,
    artifact::{self, Artifact},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::outputs::{Outputs, outputs},
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Artifacts")]
struct View {
    scalars: RawJson,
    series: RawJson,
    artifacts: Vec<Shown>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ArtifactOfJob")]
struct Shown {
    #[serde(flatten)]
    artifact: Artifact,
    path: String,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_artifacts", "What came of a job that has succeeded.");
    Endpoint::new(Method::Get, "/jobs/{id}/artifacts", Access::OWNER_OR_ADMIN, (id, summary), list)
        .query::<OnlyN>()
        .headers([MIN_N])
        .page::<View>("In one form for all engines.")
        .problems(OUTPUT_PROBLEMS)
}

/// Why nothing of a job's outputs may be there.
pub const OUTPUT_PROBLEMS: &[ProblemCode] =
    &[ProblemCode::InvalidId, ProblemCode::JobNotFound, ProblemCode::ArtifactNotFound];

async fn list(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let id = extract::job_id(&id)?;
    let (row, outputs) = outputs(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    let Outputs { scalars, series, artifacts } = outputs;
    let shown = artifacts.into_iter().map(|artifact| {
        let path = artifact::uri(&row.user_id, row.id, &artifact.name);
        Shown { artifact, path }
    });
    let view = View { scalars, series, artifacts: shown.collect() };
    page::answer(&uri, &headers, &view, &Next::none())
}
