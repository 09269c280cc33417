//! `POST /keys`, `GET /keys`, `DELETE /keys/{id}`: API keys for machines.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{ApiKey, KeyId, ProblemCode, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading, Segment},
    http::{
        body::{read_json, read_nothing},
        memory::Account,
        page::{self, Next},
    },
    identity::auth::Caller,
    object,
    problem::ApiError,
    use_cases::keys::{self, Wanted},
};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;

pub fn endpoints() -> Vec<Endpoint> {
    let create_named = (
        "create_key",
        "Makes an API key, which can do no more than its maker. It is shown this once.",
    );
    let list_named = ("list_keys", "The keys that the asker made; for admins, all of the tenant.");
    let revoke_named = ("revoke_key", "The key is worth nothing any more, within five seconds.");
    vec![
        Endpoint::new(Method::Post, "/keys", Access::OWN, create_named, create)
            .body(Content::json::<CreateBody>())
            .answer(Answer::json::<Created>(201, "The key, with its text."))
            .answer(Answer::json::<Created>(202, "It will be decided."))
            .problems(&[ProblemCode::TooMany, ProblemCode::Refused, ProblemCode::StorageFull]),
        Endpoint::new(Method::Get, "/keys", Access::OWNER_OR_ADMIN, list_named, list)
            .query::<AskedPage>()
            .page::<Listed>("A page, without what proves any."),
        Endpoint::new(Method::Delete, "/keys/{id}", Access::OWNER_OR_ADMIN, revoke_named, revoke)
            .answer(Answer::empty(204, "It is revoked."))
            .answer(Answer::empty(202, "It will be decided."))
            .problems(&[
                ProblemCode::InvalidId,
                ProblemCode::KeyNotFound,
                ProblemCode::Refused,
                ProblemCode::StorageFull,
            ]),
    ]
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
#[schemars(rename = "ApiKeys")]
struct Listed {
    keys: Vec<KeyView>,
    /// The cursor of the next page; null on the last.
    next: Option<KeyId>,
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

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyView")]
struct KeyView {
    id: KeyId,
    name: String,
    /// Whom it acts as.
    user_id: UserId,
    role: String,
    /// Everything that the role may, if there are none.
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    created_by: UserId,
    /// Null while nobody has decided.
    created_at: Option<Timestamp>,
}

impl KeyView {
    fn new(id: KeyId, key: ApiKey, created_by: UserId, created_at: Option<Timestamp>) -> Self {
        let ApiKey { name, user_id, role, scopes, expires_at, .. } = key;
        let scopes = scopes.into_iter().collect();
        Self { id, name, user_id, role, scopes, expires_at, created_by, created_at }
    }
}

pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    extract::no_idempotency_key(&headers)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let CreateBody { name, role, scopes, expires_at, service } = object::read(body.text())?;
    let wanted = Wanted { name, role, scopes, expires_at, service };
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

pub async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<KeyId> = extract::paging(&uri)?;
    let mut rows = keys::list(&app, &caller, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |(id, _)| *id);
    let view = |(id, row): (KeyId, _)| {
        let nox_readmodel::rows::StoredKey { key, by, created_at, .. } = row;
        KeyView::new(id, key, by, Some(created_at))
    };
    let listed = Listed { keys: rows.into_iter().map(view).collect(), next };
    page::answer(&uri, &headers, &listed, &Next::page(next.map(|id| id.to_string())))
}

pub async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    extract::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let not_found = || ApiError::new(ProblemCode::KeyNotFound, "there is no such key of yours");
    let id: KeyId = id.parse().map_err(|_| not_found())?;
    let accepted = keys::revoke(&app, &caller, id).await?;
    Ok(if accepted.is_some() { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}
