//! `POST /schedules/{id}/pause`

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
    let (id, summary) = ("pause_schedule", "Submits nothing for now.");
    let access = Access::OWNER_OR_ADMIN;
    answered(
        Endpoint::new(Method::Post, "/schedules/{id}/pause", access, (id, summary), pause),
        200,
    )
    .problems(CHANGE_PROBLEMS)
}

async fn pause(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let id = schedule_id(&id)?;
    let changed = schedules::pause(&incoming.app, &incoming.caller, id).await?;
    Ok(answer(changed, StatusCode::OK))
}
