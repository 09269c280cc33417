//! `GET /me`

use axum::{Json, http::Uri};
use nox_contract::{TenantId, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract,
    identity::auth::Caller,
    problem::ApiError,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_me", "Who asks.");
    Endpoint::new(Method::Get, "/me", Access::OWN, (id, summary), me)
        .answer(Answer::json::<Me>(200, "The asker."))
}

#[derive(Serialize, JsonSchema)]
struct Me {
    user_id: UserId,
    id: UserId,
    tenant: TenantId,
    /// The role that the asker's limits come from.
    role: &'static str,
    is_admin: bool,
}

/// As whoever signed the token says.
async fn me(caller: Caller, uri: Uri) -> Result<Json<Me>, ApiError> {
    extract::nothing(&uri)?;
    let role = caller.role();
    let Caller { tenant, user, admin, .. } = caller;
    Ok(Json(Me { user_id: user.clone(), id: user, tenant, role, is_admin: admin }))
}
