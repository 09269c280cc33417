//! `POST /webhooks`

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, ProblemCode, WebhookId};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    ALL,
    body::{self, SetBody},
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Incoming},
    problem::ApiError,
    use_cases::webhooks::{self, Told},
};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookSecret")]
pub struct Created {
    id: WebhookId,
    /// What payloads are signed with, as Standard Webhooks writes it. It is told this once.
    secret: String,
    /// How often it was rotated.
    rotation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

impl Created {
    /// The answer, under `decided` once somebody has.
    pub fn answer(told: Told, decided: StatusCode) -> Response {
        let n = told.changed.accepted.map(|accepted| accepted.n);
        let status = if n.is_some() { decided } else { StatusCode::ACCEPTED };
        let created = Self {
            id: told.changed.id,
            secret: told.secret.reveal().to_owned(),
            rotation: told.rotation,
            n,
            pending: n.is_none(),
        };
        (status, Json(created)).into_response()
    }
}

pub fn endpoint() -> Endpoint {
    let named =
        ("create_webhook", "Sends events to an HTTP endpoint. Its secret is told this once.");
    Endpoint::new(Method::Post, ALL, Access::OWN, named, create)
        .body(Content::json::<SetBody>())
        .example(r#"{"url": "https://hooks.example.org/nox", "filter": {"type": ["job.succeeded", "job.failed"]}}"#)
        .answer(Answer::json::<Created>(201, "The webhook, with its secret."))
        .answer(Answer::json::<Created>(202, "It will be decided."))
        .problems(&[ProblemCode::TooMany, ProblemCode::Refused, ProblemCode::StorageFull])
}

async fn create(mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let wanted = body::read(&mut incoming).await?;
    let told = webhooks::create(&incoming.app, &incoming.caller, wanted).await?;
    Ok(Created::answer(told, StatusCode::CREATED))
}
