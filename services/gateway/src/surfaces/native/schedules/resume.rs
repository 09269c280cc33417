//! `POST /schedules/{id}/resume`

use axum::{http::StatusCode, response::Response};

use super::{
    CHANGE_PROBLEMS,
    changed::{answer, answered},
    schedule_id,
};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::schedules,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("resume_schedule", "Goes on; what was due meanwhile is not made up for.");
    let access = Access::OWNER_OR_ADMIN;
    answered(
        Endpoint::new(Method::Post, "/schedules/{id}/resume", access, (id, summary), resume),
        200,
    )
    .problems(CHANGE_PROBLEMS)
}

async fn resume(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let id = schedule_id(&id)?;
    let changed = schedules::resume(&incoming.app, &incoming.caller, id).await?;
    Ok(answer(changed, StatusCode::OK))
}
