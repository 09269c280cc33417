//! `POST /webhooks/{id}/deliveries/{delivery_id}/redeliver`

use axum::{http::StatusCode, response::Response};
use nox_contract::{DeliveryId, ProblemCode};

use super::{
    changed::{answer, answered},
    webhook_id,
};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, Incoming, Segments},
    problem::ApiError,
    use_cases::webhooks,
};

pub fn endpoint() -> Endpoint {
    let named = ("redeliver", "Sends an event once more, whether it was taken or not.");
    let path = "/webhooks/{id}/deliveries/{delivery_id}/redeliver";
    answered(Endpoint::new(Method::Post, path, Access::OWNER_OR_ADMIN, named, redeliver), 202)
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::WebhookNotFound,
            ProblemCode::DeliveryNotFound,
            ProblemCode::WebhookDisabled,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn redeliver(
    Segments(id, delivery): Segments,
    mut incoming: Incoming,
) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    incoming.nothing().await?;
    let id = webhook_id(&id)?;
    let delivery: DeliveryId = delivery.parse().map_err(|_| webhooks::no_such_delivery())?;
    let again = webhooks::redeliver(&incoming.app, &incoming.caller, id, delivery).await?;
    Ok(answer(again, Some(delivery), StatusCode::ACCEPTED))
}
