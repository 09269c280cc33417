//! `PUT /api/jobs/{id}/cancel`

use axum::{Json, http::StatusCode};
use nox_contract::{JobId, JobState, ProblemCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::word;
use crate::{
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Incoming, OnlyN, Segment},
    problem::ApiError,
    use_cases::cancel::{self, Canceled},
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("api_cancel_job", "Ends a job, whatever it is doing.");
    let path = "/api/jobs/{id}/cancel";
    Endpoint::new(Method::Put, path, Access::OWNER_OR_ADMIN, (id, summary), cancel)
        .query::<OnlyN>()
        .headers([MIN_N])
        .answer(Answer::json::<Receipt>(200, "It is cancelled, now or before."))
        .answer(Answer::json::<Receipt>(202, "It will be decided."))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::JobNotFound,
            ProblemCode::AlreadyEnded,
            ProblemCode::Parked,
        ])
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseCancelReceipt")]
struct Receipt {
    job_id: JobId,
    id: JobId,
    status: &'static str,
    state: JobState,
    message: &'static str,
}

async fn cancel(
    Segment(id): Segment,
    mut incoming: Incoming,
) -> Result<(StatusCode, Json<Receipt>), ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = incoming.only_min_n()?;
    incoming.no_body().await?;
    let Canceled { row, n } = cancel::cancel(&incoming.app, &incoming.caller, id, min_n).await?;
    let (code, state, message) = match n {
        Some(_) => (StatusCode::OK, JobState::Canceled, "the job is cancelled"),
        None => (StatusCode::ACCEPTED, row.status, "the cancel will be decided"),
    };
    Ok((code, Json(Receipt { job_id: id, id, status: word(state), state, message })))
}
