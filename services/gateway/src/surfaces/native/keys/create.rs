//! `POST /keys`

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyView;
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Incoming},
    object,
    problem::ApiError,
    use_cases::keys::{self, Wanted},
};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;

pub fn endpoint() -> Endpoint {
    let named = (
        "create_key",
        "Makes an API key, which can do no more than its maker. It is shown this once.",
    );
    Endpoint::new(Method::Post, "/keys", Access::OWN, named, create)
        .body(Content::json::<CreateBody>())
        .example(r#"{"name": "ci", "role": "user"}"#)
        .answer(Answer::json::<Created>(201, "The key, with its text."))
        .answer(Answer::json::<Created>(202, "It will be decided."))
        .problems(&[ProblemCode::TooMany, ProblemCode::Refused, ProblemCode::StorageFull])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateKey")]
struct CreateBody {
    /// For people; 1 to 128 bytes.
    name: String,
    /// `user` or `admin`, not more than the maker's, which it is if absent.
    role: Option<String>,
    /// Of `compute:read` and `compute:write`; the maker's if absent.
    #[serde(default)]
    scopes: Vec<String>,
    /// Never if absent.
    #[schemars(with = "Option<Timestamp>")]
    expires_at: Option<Timestamp>,
    /// It acts as the user `service:<name>` instead of as its maker; for admins.
    service: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyCreated")]
struct Created {
    /// What a client sends as its bearer token. It is told this once.
    secret: String,
    #[serde(flatten)]
    key: KeyView,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

async fn create(mut incoming: Incoming) -> Result<Response, ApiError> {
    extract::no_idempotency_key(incoming.headers())?;
    let body = incoming.json(BODY_BYTES_MAX).await?;
    let CreateBody { name, role, scopes, expires_at, service } = object::read(body.text())?;
    let wanted = Wanted { name, role, scopes, expires_at, service };
    let Incoming { app, caller, .. } = incoming;
    let (key, shown, accepted) = keys::create(&app, &caller, wanted).await?;
    let status = if accepted.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let at = accepted.is_some().then(|| app.runtime.clock.wall());
    let created = Created {
        secret: shown.text.reveal().to_owned(),
        key: KeyView::new(shown.id, key, caller.user, at),
        pending: accepted.is_none(),
    };
    Ok((status, Json(created)).into_response())
}
