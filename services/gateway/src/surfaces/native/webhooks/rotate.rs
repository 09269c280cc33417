//! `POST /webhooks/{id}/rotate-secret`

use axum::{http::StatusCode, response::Response};
use nox_contract::ProblemCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{create::Created, webhook_id};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Incoming, Segment},
    object,
    problem::ApiError,
    use_cases::webhooks,
};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RotateWebhook")]
struct RotateBody {
    /// For so many seconds the secret of before signs as well, at most a week; a day, if absent.
    #[schemars(range(max = 604_800))]
    overlap_s: Option<u32>,
}

pub fn endpoint() -> Endpoint {
    let named = (
        "rotate_webhook_secret",
        "Signs with another secret, which is told this once, and for a time with the one before as well.",
    );
    let path = "/webhooks/{id}/rotate-secret";
    Endpoint::new(Method::Post, path, Access::OWNER_OR_ADMIN, named, rotate)
        .optional_body(Content::json::<RotateBody>())
        .example(r#"{"overlap_s": 86400}"#)
        .answer(Answer::json::<Created>(200, "The new secret."))
        .answer(Answer::json::<Created>(202, "It will be decided."))
        .problems(&[
            ProblemCode::InvalidId,
            ProblemCode::WebhookNotFound,
            ProblemCode::StaleStamp,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

async fn rotate(Segment(id): Segment, mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let overlap_s = match incoming.json_or_nothing(BODY_BYTES_MAX).await? {
        None => None,
        Some(body) => object::read::<RotateBody>(body.text())?.overlap_s,
    };
    let id = webhook_id(&id)?;
    let told = webhooks::rotate(&incoming.app, &incoming.caller, id, overlap_s).await?;
    Ok(Created::answer(told, StatusCode::OK))
}
