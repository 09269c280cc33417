//! `GET /api/jobs/{id}/status` and `GET /api/wizard/jobs/{id}/status`

use axum::Json;
use nox_contract::{JobId, JobState, ProblemCode, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{view::progress, word};
use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    problem::ApiError,
    use_cases::find::find,
};

pub fn endpoints() -> [Endpoint; 2] {
    let of = |path, id| {
        let summary = "Where a job stands, and how far it is.";
        Endpoint::new(Method::Get, path, Access::OWNER_OR_ADMIN, (id, summary), status)
            .query::<OnlyN>()
            .headers([MIN_N])
            .answer(Answer::json::<Status>(200, "Where it stands."))
            .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
    };
    [
        of("/api/jobs/{id}/status", "api_get_job_status"),
        of("/api/wizard/jobs/{id}/status", "api_get_wizard_job_status"),
    ]
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseJobStatus")]
struct Status {
    job_id: JobId,
    id: JobId,
    status: &'static str,
    state: JobState,
    /// In per cent.
    progress: u8,
    created_at: Timestamp,
}

async fn status(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Json<Status>, ApiError> {
    let id = extract::job_id(&id)?;
    let row = find(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    Ok(Json(Status {
        job_id: id,
        id,
        status: word(row.status),
        state: row.status,
        progress: progress(&row),
        created_at: row.created_at,
    }))
}
