//! `POST /jobs/{id}/cancel`

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, JobState, ProblemCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::kind::Kind;
use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Incoming, OnlyN, Segment},
    problem::ApiError,
    use_cases::cancel::{self, Canceled},
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("cancel_job", "Ends a job, whatever it is doing.");
    Endpoint::new(Method::Post, "/jobs/{id}/cancel", Access::OWNER_OR_ADMIN, (id, summary), cancel)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<CancelReceipt>(200, "It is canceled, now or before."))
        .answer(Answer::json::<CancelReceipt>(202, "It will be decided."))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::JobNotFound,
            ProblemCode::AlreadyEnded,
            ProblemCode::Parked,
        ])
}

/// What became of a cancel.
#[derive(Serialize, JsonSchema)]
struct CancelReceipt {
    job_id: JobId,
    id: JobId,
    /// In the words of the job's kind.
    status: &'static str,
    state: JobState,
    /// A reader that names this number sees the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

pub async fn cancel(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = incoming.only_min_n()?;
    incoming.no_body().await?;
    let Canceled { row, n } = cancel::cancel(&incoming.app, &incoming.caller, id, min_n).await?;
    let kind = Kind::of(&row.module, row.inputs.as_ref());
    let state = if n.is_some() { JobState::Canceled } else { row.status };
    let receipt =
        CancelReceipt { job_id: id, id, status: kind.word(state), state, n, pending: n.is_none() };
    let status = if n.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(receipt)).into_response())
}
