//! `DELETE /webhooks/{id}`, `POST /webhooks/{id}/test`

use axum::{http::StatusCode, response::Response};
use nox_contract::ProblemCode;

use super::{
    ONE,
    changed::{answer, answered},
    webhook_id,
};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, Incoming, Segment},
    problem::ApiError,
    use_cases::webhooks,
};

pub fn endpoints() -> [Endpoint; 2] {
    let deleted = ("delete_webhook", "Sends nothing any more; what waited is forgotten.");
    let tested = ("test_webhook", "Sends an event that says that this was asked for.");
    let access = Access::OWNER_OR_ADMIN;
    [
        answered(Endpoint::new(Method::Delete, ONE, access, deleted, delete), 200).problems(&[
            ProblemCode::InvalidId,
            ProblemCode::WebhookNotFound,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ]),
        answered(Endpoint::new(Method::Post, "/webhooks/{id}/test", access, tested, test), 202)
            .problems(&[
                ProblemCode::InvalidId,
                ProblemCode::WebhookNotFound,
                ProblemCode::WebhookDisabled,
                ProblemCode::Refused,
                ProblemCode::StorageFull,
            ]),
    ]
}

async fn delete(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let deleted = webhooks::delete(&incoming.app, &incoming.caller, webhook_id(&id)?).await?;
    Ok(answer(deleted, None, StatusCode::OK))
}

async fn test(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    incoming.nothing().await?;
    let id = webhook_id(&id)?;
    let (delivery, tested) = webhooks::test(&incoming.app, &incoming.caller, id).await?;
    Ok(answer(tested, Some(delivery), StatusCode::ACCEPTED))
}
