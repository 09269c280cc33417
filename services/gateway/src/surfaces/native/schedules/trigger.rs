//! `POST /schedules/{id}/trigger`

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, ProblemCode, ScheduleId};
use schemars::JsonSchema;
use serde::Serialize;

use super::schedule_id;
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Incoming, Segment},
    problem::ApiError,
    use_cases::schedules,
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleTriggered")]
struct Triggered {
    schedule_id: ScheduleId,
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("trigger_schedule", "Submits the schedule's job at once, beside its times.");
    let (access, path) = (Access::OWNER_OR_ADMIN, "/schedules/{id}/trigger");
    Endpoint::new(Method::Post, path, access, (id, summary), trigger)
        .answer(Answer::json::<Triggered>(202, "Its job is submitted, or will be decided."))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::ScheduleNotFound,
            ProblemCode::InvalidInputs,
            ProblemCode::UnknownModule,
            ProblemCode::DisabledModule,
            ProblemCode::Parked,
            ProblemCode::StaleStamp,
            ProblemCode::BudgetExhausted,
            ProblemCode::QueueFull,
            ProblemCode::RequestTooLarge,
            ProblemCode::Unsatisfiable,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn trigger(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    incoming.nothing().await?;
    let schedule_id = schedule_id(&id)?;
    let (job_id, accepted) =
        schedules::trigger(&incoming.app, &incoming.caller, schedule_id).await?;
    let n = accepted.map(|accepted| accepted.n);
    let triggered = Triggered { schedule_id, job_id, n, pending: n.is_none() };
    Ok((StatusCode::ACCEPTED, Json(triggered)).into_response())
}
