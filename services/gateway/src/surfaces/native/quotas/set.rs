//! `PUT /quotas/{user}`, `PUT /tenants/{tenant}/quotas`: these limits and this budget, whatever the role has.

use axum::response::Response;
use nox_contract::Limits;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Named, OF_TENANT, OF_USER, changing};
use crate::{
    endpoint::{Access, Content, Endpoint, Method},
    extract::{Incoming, Segment},
    object,
    problem::{ApiError, FieldError},
};

/// Largest body, in bytes: seven numbers and a reason.
const BODY_BYTES_MAX: usize = 8 * 1024;

const EXAMPLE: &str = r#"{"reason": "a deadline", "limits": {"cpu_seconds": 1000000, "queued_jobs": 10000,
    "running_jobs": 100, "cpu": 8, "mem_mb": 16384, "drafts": 1000, "starts_per_minute": 4294967295}}"#;

pub fn endpoints() -> Vec<Endpoint> {
    let user_named =
        ("set_quotas", "Gives a user these limits and this budget, whatever the role has.");
    let tenant_named = ("set_tenant_quotas", "Gives a tenant these limits and this budget.");
    let all = [
        Endpoint::new(Method::Put, OF_USER, Access::ADMIN, user_named, of_user),
        Endpoint::new(Method::Put, OF_TENANT, Access::OPERATOR, tenant_named, of_tenant),
    ];
    all.map(|endpoint| changing(endpoint).body(Content::json::<Body>()).example(EXAMPLE)).into()
}

/// Limits, all of them, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetQuotas")]
struct Body {
    limits: Wanted,
    /// At most 1,024 bytes; kept in the log.
    reason: String,
}

/// As [`Limits`], of which the log passes over members that it does not know.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LimitsToSet")]
struct Wanted {
    /// The budget of a UTC day, in core seconds.
    #[schemars(range(min = 0))]
    cpu_seconds: i64,
    queued_jobs: u32,
    running_jobs: u32,
    /// Cores in the largest request of one job.
    cpu: u32,
    /// MiB in the largest request of one job.
    mem_mb: u32,
    drafts: u32,
    /// Attempts that begin in a minute; 4294967295 is as many as there are.
    starts_per_minute: u32,
}

impl From<Wanted> for Limits {
    fn from(wanted: Wanted) -> Self {
        Self {
            cpu_seconds: wanted.cpu_seconds,
            queued_jobs: wanted.queued_jobs,
            running_jobs: wanted.running_jobs,
            cpu: wanted.cpu,
            mem_mb: wanted.mem_mb,
            drafts: wanted.drafts,
            starts_per_minute: wanted.starts_per_minute,
        }
    }
}

async fn of_user(Segment(user): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    set(Named::user(&incoming.caller, &user)?, incoming).await
}

async fn of_tenant(Segment(tenant): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    set(Named::tenant(&tenant)?, incoming).await
}

async fn set(named: Named, mut incoming: Incoming) -> Result<Response, ApiError> {
    let body = incoming.json(BODY_BYTES_MAX).await?;
    let Body { limits, reason } = object::read(body.text())?;
    if limits.cpu_seconds < 0 {
        let error = FieldError::new("/limits/cpu_seconds", "must not be negative");
        return Err(ApiError::invalid(vec![error]));
    }
    named.change(&incoming.app, &incoming.caller, Some(limits.into()), reason).await
}
