//! `PUT /webhooks/{id}`

use axum::{http::StatusCode, response::Response};
use nox_contract::ProblemCode;

use super::{
    ONE,
    body::{self, SetBody},
    changed::{answer, answered},
    webhook_id,
};
use crate::{
    endpoint::{Access, Content, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::webhooks,
};

pub fn endpoint() -> Endpoint {
    let named = ("replace_webhook", "Sends other events, elsewhere, or none; or goes on.");
    answered(Endpoint::new(Method::Put, ONE, Access::OWNER_OR_ADMIN, named, replace), 200)
        .body(Content::json::<SetBody>())
        .example(r#"{"url": "https://hooks.example.org/nox", "enabled": false}"#)
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::WebhookNotFound,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn replace(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    let id = webhook_id(&id)?;
    let wanted = body::read(&mut incoming).await?;
    let set = webhooks::replace(&incoming.app, &incoming.caller, id, wanted).await?;
    Ok(answer(set, None, StatusCode::OK))
}
