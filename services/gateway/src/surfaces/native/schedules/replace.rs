//! `PUT /schedules/{id}`

use axum::{http::StatusCode, response::Response};
use nox_contract::ProblemCode;

use super::{
    ONE,
    body::{self, SetBody},
    changed::{answer, answered},
    schedule_id,
};
use crate::{
    endpoint::{Access, Content, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::schedules,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("replace_schedule", "Submits something else, or at other times.");
    let access = Access::OWNER_OR_ADMIN;
    answered(Endpoint::new(Method::Put, ONE, access, (id, summary), replace), 200)
        .body(Content::json::<SetBody>())
            .example(r#"{"name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "job": {"module": "noop"}}"#)
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::ScheduleNotFound,
            ProblemCode::Parked,
            ProblemCode::InvalidCommand,
            ProblemCode::InvalidInputs,
            ProblemCode::UnstorableJson,
            ProblemCode::UnknownModule,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn replace(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    let id = schedule_id(&id)?;
    let wanted = body::read(&mut incoming).await?;
    let set = schedules::set(&incoming.app, &incoming.caller, Some(id), wanted).await?;
    Ok(answer(set, StatusCode::OK))
}
