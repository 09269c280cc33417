//! `GET /webhooks/{id}/deliveries`

use axum::response::Response;
use nox_contract::{DeliveryId, ProblemCode, Timestamp};
use nox_readmodel::query::DeliveryRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::webhook_id;
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading, Segment},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::webhooks,
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
struct DeliveryView {
    /// What the endpoint is sent as `webhook-id`.
    id: DeliveryId,
    /// The event's place in the log.
    event_id: String,
    #[serde(rename = "type")]
    event_type: String,
    /// `pending`, `delivered`, `failed`, `dropped` (too many waited) or `canceled` (the webhook was switched off).
    state: String,
    attempts: u32,
    /// When the next attempt is due; null if there is to be none.
    next_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    last_at: Option<Timestamp>,
    /// What the last attempt was answered with.
    status: Option<u32>,
    /// Why the last attempt was not answered: `unreachable`, `timeout`, `tls` or `protocol`.
    error: Option<String>,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.delivery_id,
            event_id: row.event_id,
            event_type: row.event_type,
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.due_at,
            created_at: row.created_at,
            last_at: row.last_at,
            status: row.status,
            error: row.error,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveries")]
struct Listed {
    deliveries: Vec<DeliveryView>,
    /// The cursor of the next page; null on the last.
    next: Option<i64>,
}

pub fn endpoint() -> Endpoint {
    let named =
        ("list_webhook_deliveries", "What a webhook has sent, or has to send, the newest first.");
    let path = "/webhooks/{id}/deliveries";
    Endpoint::new(Method::Get, path, Access::OWNER_OR_ADMIN, named, list)
        .query::<AskedPage>()
        .page::<Listed>("A page.")
        .problems(&[ProblemCode::InvalidId, ProblemCode::WebhookNotFound])
}

async fn list(
    Segment(id): Segment,
    Reading { app, caller, uri, headers }: Reading,
) -> Result<Response, ApiError> {
    let paging: Paging<i64> = extract::paging(&uri)?;
    let id = webhook_id(&id)?;
    let mut rows = webhooks::deliveries(&app, &caller, id, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |row| row.seq);
    let listed = Listed { deliveries: rows.into_iter().map(DeliveryView::from).collect(), next };
    page::answer(&uri, &headers, &listed, &Next::page(next.map(|seq| seq.to_string())))
}
