//! `GET /jobs/{id}`

use axum::response::Response;
use nox_contract::{ProblemCode, WaitingCode};

use super::view::JobView;
use crate::{
    endpoint::{
        Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, MIN_N, Method, PREFER, PREFERENCE_APPLIED,
    },
    extract::{self, OnlyN, Reading, Segment, only_min_n},
    http::{etag, prefer},
    problem::ApiError,
    read::required::Required,
    use_cases::find::find,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_job", "A job as it is now.");
    Endpoint::new(Method::Get, "/jobs/{id}", Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<OnlyN>()
        .headers([MIN_N, PREFER, IF_NONE_MATCH])
        .answer(Answer::json::<JobView>(200, "The job.").headers([ETAG, PREFERENCE_APPLIED]))
        .answer(
            Answer::empty(304, "It is as the asker has it.").headers([ETAG, PREFERENCE_APPLIED]),
        )
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

pub async fn get(Segment(id): Segment, reading: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = reading;
    let id = extract::job_id(&id)?;
    let min_n = only_min_n(&uri, &headers)?;
    let wait = prefer::asked_wait(&app, &headers);
    let mut row = find(&app, &caller, id, min_n).await?;
    if let Some(wait) = wait
        && !row.status.is_ended()
    {
        app.ends.ended(id, wait).await;
        row = find(&app, &caller, id, min_n).await?;
    }
    let mut view = JobView::from(&row);
    if row.waiting_code == Some(WaitingCode::Unsatisfiable) {
        let read = || app.reader.largest_worker(&row.module);
        if let Some(largest) = app.barrier.read(&Required::default(), read).await?.value {
            view.explain_unsatisfiable(&row, &largest);
        }
    }
    let mut response = etag::json(&headers, &view)?;
    if let Some(wait) = wait {
        prefer::applied(response.headers_mut(), wait);
    }
    Ok(response)
}
