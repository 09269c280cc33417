//! `POST /schedules`

use axum::{http::StatusCode, response::Response};
use nox_contract::ProblemCode;

use super::{
    ALL,
    body::{self, SetBody},
    changed::{answer, answered},
};
use crate::{
    endpoint::{Access, Content, Endpoint, Method},
    extract::{self, Incoming},
    problem::ApiError,
    use_cases::schedules,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("create_schedule", "Submits a job again and again, from now on.");
    answered(Endpoint::new(Method::Post, ALL, Access::OWN, (id, summary), create), 201)
        .body(Content::json::<SetBody>())
            .example(r#"{"name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "job": {"module": "noop"}}"#)
        .problems(&[
            ProblemCode::InvalidCommand,
            ProblemCode::InvalidInputs,
            ProblemCode::UnstorableJson,
            ProblemCode::UnknownModule,
            ProblemCode::TooMany,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn create(mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let wanted = body::read(&mut incoming).await?;
    let set = schedules::set(&incoming.app, &incoming.caller, None, wanted).await?;
    Ok(answer(set, StatusCode::CREATED))
}
