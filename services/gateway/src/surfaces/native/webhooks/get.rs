//! `GET /webhooks/{id}`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use super::{ONE, view::WebhookView, webhook_id};
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::webhooks,
};

pub fn endpoint() -> Endpoint {
    let named = ("get_webhook", "A webhook, and how its endpoint is.");
    Endpoint::new(Method::Get, ONE, Access::OWNER_OR_ADMIN, named, get)
        .answer(Answer::json::<WebhookView>(200, "The webhook."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::WebhookNotFound])
}

async fn get(Segment(id): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    let Incoming { app, caller, .. } = &incoming;
    let row = webhooks::find(app, caller, webhook_id(&id)?).await?;
    let endpoint = webhooks::endpoint(app, row.0).await;
    Ok(Json(WebhookView::new(row, endpoint, app.runtime.clock.wall())).into_response())
}
