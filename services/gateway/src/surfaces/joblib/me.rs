//! `GET /v1/me`

use axum::{Json, http::Uri};
use nox_contract::{TenantId, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract,
    identity::auth::Caller,
    problem::ApiError,
    use_cases::tasks::worker,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_v1_me", "Who asks, as clients of tasks know it.");
    Endpoint::new(Method::Get, "/v1/me", Access::OWN, (id, summary), me)
        .answer(Answer::json::<Me>(200, "The asker."))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TaskClient")]
struct Me {
    id: UserId,
    tenant: TenantId,
    is_admin: bool,
    /// What the caller's own worker is called.
    worker_id: Uuid,
}

/// Who asks, as whoever signed the token says.
async fn me(caller: Caller, uri: Uri) -> Result<Json<Me>, ApiError> {
    extract::nothing(&uri)?;
    let worker_id = worker::own(&caller);
    Ok(Json(Me { id: caller.user, tenant: caller.tenant, is_admin: caller.admin, worker_id }))
}
