//! `GET /jobs/{id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use nox_contract::{ProblemCode, WaitingCode};

use super::view::JobView;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Segment, only_min_n},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::find::find,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_job", "A job as it is now.");
    Endpoint::new(Method::Get, "/jobs/{id}", Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<JobView>(200, "The job."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let row = find(&app, &caller, id, only_min_n(&uri, &headers)?).await?;
    let mut view = JobView::from(&row);
    if row.waiting_code == Some(WaitingCode::Unsatisfiable) {
        let read = || app.reader.largest_worker(&row.module);
        if let Some(largest) = app.barrier.read(&Required::default(), read).await?.value {
            view.explain_unsatisfiable(&row, &largest);
        }
    }
    Ok(Json(view).into_response())
}
