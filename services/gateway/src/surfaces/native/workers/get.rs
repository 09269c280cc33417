//! `GET /workers/{id}`: a worker, with what the asker may see of what it runs.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use super::WorkerView;
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Reading, Segment},
    problem::ApiError,
    surfaces::native::as_of::{self, AskedOf},
    use_cases::{then, workers},
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_worker", "A worker, with what the asker may see of what it runs.");
    Endpoint::new(Method::Get, "/workers/{id}", Access::TENANT, (id, summary), get)
        .query::<AskedOf>()
        .answer(Answer::json::<WorkerView>(200, "The worker."))
        .problems(&[ProblemCode::WorkerNotFound])
}

async fn get(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    if let (_, Some(fold)) = as_of::state(&app, &uri).await? {
        let mut then = then::workers::workers(&fold, &caller).into_iter();
        let then = then.find(|worker| worker.id.as_str() == id);
        let then = then.ok_or_else(workers::no_such_worker)?;
        return Ok(Json(WorkerView::then(then, fold.n())).into_response());
    }
    let seen = workers::find(&app, &caller, &id).await?;
    Ok(Json(WorkerView::from(seen)).into_response())
}
