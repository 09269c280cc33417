//! `POST /workers/{id}/drain`, `POST /workers/{id}/undrain`: out of service, and back.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, ProblemCode, WorkerId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::workers,
};

pub fn endpoints() -> Vec<Endpoint> {
    let drain_named = ("drain_worker", "Takes a worker out of service: it is given no more work.");
    let undrain_named = ("undrain_worker", "Puts a worker back into service.");
    let (post, access) = (Method::Post, Access::OPERATOR);
    let all = [
        Endpoint::new(post, "/workers/{id}/drain", access, drain_named, drain),
        Endpoint::new(post, "/workers/{id}/undrain", access, undrain_named, undrain),
    ];
    let described = |endpoint: Endpoint| {
        endpoint
            .answer(Answer::json::<Drained>(200, "It is so now."))
            .answer(Answer::json::<Drained>(202, "It will be decided."))
            .problems(&[
                ProblemCode::WorkerNotFound,
                ProblemCode::InvalidRequest,
                ProblemCode::Parked,
            ])
    };
    all.map(described).into()
}

/// What became of a drain.
#[derive(Serialize, JsonSchema)]
struct Drained {
    worker_id: WorkerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

async fn drain(Segment(id): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    switch(&id, incoming, true).await
}

async fn undrain(Segment(id): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    switch(&id, incoming, false).await
}

async fn switch(id: &str, mut incoming: Incoming, drained: bool) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let Incoming { app, caller, .. } = &incoming;
    let (worker_id, accepted) = workers::drain(app, caller, id, drained).await?;
    let status = if accepted.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let drained = Drained {
        worker_id,
        drained: accepted.as_ref().map(|_| drained),
        n: accepted.as_ref().map(|accepted| accepted.n),
        pending: accepted.is_none(),
    };
    Ok((status, Json(drained)).into_response())
}
