//! `GET /workers/{id}`: a worker, with what the asker may see of what it runs.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use super::WorkerView;
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Reading, Segment},
    problem::ApiError,
    use_cases::workers,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_worker", "A worker, with what the asker may see of what it runs.");
    Endpoint::new(Method::Get, "/workers/{id}", Access::TENANT, (id, summary), get)
        .answer(Answer::json::<WorkerView>(200, "The worker."))
        .problems(&[ProblemCode::WorkerNotFound])
}

async fn get(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    extract::nothing(&uri)?;
    let seen = workers::find(&app, &caller, &id).await?;
    Ok(Json(WorkerView::from(seen)).into_response())
}
