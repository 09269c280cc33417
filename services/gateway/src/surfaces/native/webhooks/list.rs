//! `GET /webhooks`

use axum::response::Response;
use nox_contract::WebhookId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ALL, view::WebhookView};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::webhooks,
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhooks")]
struct Listed {
    webhooks: Vec<WebhookView>,
    /// The cursor of the next page; null on the last.
    next: Option<WebhookId>,
}

pub fn endpoint() -> Endpoint {
    let named = ("list_webhooks", "The asker's webhooks; for admins, all of the tenant.");
    Endpoint::new(Method::Get, ALL, Access::OWNER_OR_ADMIN, named, list)
        .query::<AskedPage>()
        .page::<Listed>("A page.")
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<WebhookId> = extract::paging(&uri)?;
    let mut rows = webhooks::list(&app, &caller, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |(id, _)| *id);
    let now = app.runtime.clock.wall();
    let webhooks = rows.into_iter().map(|row| WebhookView::new(row, None, now)).collect();
    let listed = Listed { webhooks, next };
    page::answer(&uri, &headers, &listed, &Next::page(next.map(|id| id.to_string())))
}
