//! What is answered to a change of a webhook.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{DeliveryId, FrameNumber, WebhookId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Answer, Endpoint},
    use_cases::webhooks,
};

/// What became of a change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookChanged")]
pub struct Changed {
    id: WebhookId,
    /// What the endpoint is sent as `webhook-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<DeliveryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// `endpoint`, which answers with this under the status `decided`, or 202 while nobody has decided.
pub fn answered(endpoint: Endpoint, decided: u16) -> Endpoint {
    let endpoint = match decided {
        202 => endpoint,
        decided => endpoint.answer(Answer::json::<Changed>(decided, "It is so now.")),
    };
    endpoint.answer(Answer::json::<Changed>(202, "It will be done."))
}

/// The answer, under `decided` once somebody has.
pub fn answer(
    changed: webhooks::Changed,
    delivery_id: Option<DeliveryId>,
    decided: StatusCode,
) -> Response {
    let n = changed.accepted.map(|accepted| accepted.n);
    let status = if n.is_some() { decided } else { StatusCode::ACCEPTED };
    let changed = Changed { id: changed.id, delivery_id, n, pending: n.is_none() };
    (status, Json(changed)).into_response()
}
