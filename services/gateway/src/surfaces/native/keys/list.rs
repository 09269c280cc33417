//! `GET /keys`

use axum::response::Response;
use nox_contract::KeyId;
use schemars::JsonSchema;
use serde::Serialize;

use super::KeyView;
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::keys,
};

pub fn endpoint() -> Endpoint {
    let named = ("list_keys", "The keys that the asker made; for admins, all of the tenant.");
    Endpoint::new(Method::Get, "/keys", Access::OWNER_OR_ADMIN, named, list)
        .query::<AskedPage>()
        .page::<Listed>("A page, without what proves any.")
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeys")]
struct Listed {
    keys: Vec<KeyView>,
    /// The cursor of the next page; null on the last.
    next: Option<KeyId>,
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
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
