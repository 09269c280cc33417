//! `GET /api/wizard/jobs/{id}/analysis`: what a `readnfo` found out.

use axum::Json;
use nox_contract::{JobId, RawJson};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    problem::ApiError,
    surfaces::native::artifacts::OUTPUT_PROBLEMS,
    use_cases::outputs::{not_found, outputs},
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("api_get_analysis", "What the analysis of a release found out.");
    let path = "/api/wizard/jobs/{id}/analysis";
    Endpoint::new(Method::Get, path, Access::OWNER_OR_ADMIN, (id, summary), analysis)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<Analysis>(200, "The analysis; 404 until the job is completed."))
        .problems(OUTPUT_PROBLEMS)
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseAnalysis")]
struct Analysis {
    job_id: JobId,
    metadata: RawJson,
    mediainfo: RawJson,
    structure: RawJson,
}

#[derive(Deserialize)]
struct Found {
    metadata: Option<RawJson>,
    mediainfo: Option<RawJson>,
    structure: Option<RawJson>,
}

async fn analysis(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Json<Analysis>, ApiError> {
    let id = extract::job_id(&id)?;
    let (_, outputs) = outputs(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    let found: Found = serde_json::from_str(outputs.scalars.get()).map_err(ApiError::internal)?;
    let (Some(metadata), Some(mediainfo), Some(structure)) =
        (found.metadata, found.mediainfo, found.structure)
    else {
        return Err(not_found("the job is no analysis: `readnfo` makes one"));
    };
    Ok(Json(Analysis { job_id: id, metadata, mediainfo, structure }))
}
