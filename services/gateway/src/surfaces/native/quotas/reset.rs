//! `DELETE /quotas/{user}`, `DELETE /tenants/{tenant}/quotas`: what the role has, or the configuration, again.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Named, OF_TENANT, OF_USER, changing};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
};

pub fn endpoints() -> Vec<Endpoint> {
    let user_named = ("reset_quotas", "Lets a user have what the role has again.");
    let tenant_named =
        ("reset_tenant_quotas", "Lets a tenant have what is configured for all again.");
    let all = [
        Endpoint::new(Method::Delete, OF_USER, Access::ADMIN, user_named, of_user),
        Endpoint::new(Method::Delete, OF_TENANT, Access::OPERATOR, tenant_named, of_tenant),
    ];
    all.map(|endpoint| changing(endpoint).query::<Why>()).into()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// At most 1,024 bytes; kept in the log.
    reason: Option<String>,
}

async fn of_user(Segment(user): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    reset(Named::user(&incoming.caller, &user)?, incoming).await
}

async fn of_tenant(Segment(tenant): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    reset(Named::tenant(&tenant)?, incoming).await
}

async fn reset(named: Named, mut incoming: Incoming) -> Result<Response, ApiError> {
    let Why { reason } = incoming.query()?;
    incoming.no_body().await?;
    named.change(&incoming.app, &incoming.caller, None, reason.unwrap_or_default()).await
}
