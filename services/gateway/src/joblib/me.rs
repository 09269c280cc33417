//! `GET /v1/me`

use axum::{Json, http::Uri, response::IntoResponse};
use serde_json::json;

use super::identity;
use crate::{auth::Caller, problem::ApiError, routes};

/// Who asks, as whoever signed the token says.
pub async fn me(caller: Caller, uri: Uri) -> Result<impl IntoResponse, ApiError> {
    routes::nothing(&uri)?;
    Ok(Json(json!({
        "id": caller.user,
        "tenant": caller.tenant,
        "is_admin": caller.admin,
        "worker_id": identity::own(&caller),
    })))
}
