//! `PUT /api/jobs/{id}/cancel`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use nox_contract::{JobId, JobState, ProblemCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::word;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, OnlyN, Segment, only_min_n},
    http::{body::read_nothing, memory::Account},
    identity::auth::Caller,
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
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound, ProblemCode::AlreadyEnded])
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
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), ApiError> {
    let id = extract::job_id(&id)?;
    let min_n = only_min_n(&uri, &headers)?;
    read_nothing(&account, &headers, body).await?;
    let Canceled { row, n } = cancel::cancel(&app, &caller, id, min_n).await?;
    let (code, state, message) = match n {
        Some(_) => (StatusCode::OK, JobState::Canceled, "the job is cancelled"),
        None => (StatusCode::ACCEPTED, row.status, "the cancel will be decided"),
    };
    Ok((code, Json(Receipt { job_id: id, id, status: word(state), state, message })))
}
