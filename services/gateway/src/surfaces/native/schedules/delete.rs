//! `DELETE /schedules/{id}`

use axum::{http::StatusCode, response::Response};

use super::{
    CHANGE_PROBLEMS, ONE,
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
    let (id, summary) = ("delete_schedule", "Submits no more; jobs that it submitted go on.");
    let access = Access::OWNER_OR_ADMIN;
    answered(Endpoint::new(Method::Delete, ONE, access, (id, summary), delete), 200)
        .problems(CHANGE_PROBLEMS)
}

async fn delete(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let id = schedule_id(&id)?;
    let changed = schedules::delete(&incoming.app, &incoming.caller, id).await?;
    Ok(answer(changed, StatusCode::OK))
}
