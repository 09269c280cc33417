//! `GET /api/jobs/{id}`

use axum::Json;
use nox_contract::ProblemCode;

use super::{logs, view::JobView};
use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    problem::ApiError,
    use_cases::find::find,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("api_get_job", "A job, with the first of what it printed.");
    Endpoint::new(Method::Get, "/api/jobs/{id}", Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<JobView>(200, "The job."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

async fn get(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Json<JobView>, ApiError> {
    let id = extract::job_id(&id)?;
    let row = find(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    let logs = logs::of(&app, &row, None).await?;
    let mut view = JobView::from(row);
    view.logs = Some(logs.logs);
    Ok(Json(view))
}
