//! `GET /quotas/my/quotas`: the asker's limits. Nobody has any before the first submit.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::{Limits, TenantId, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Reading},
    problem::ApiError,
    use_cases::quotas,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_my_quotas", "What the asker may have.");
    Endpoint::new(Method::Get, "/quotas/my/quotas", Access::OWN, (id, summary), get)
        .answer(Answer::json::<Quotas>(200, "The limits; none before the first submit."))
}

#[derive(Serialize, JsonSchema)]
struct Quotas {
    tenant: TenantId,
    user_id: UserId,
    quotas: Vec<Quota>,
}

#[derive(Serialize, JsonSchema)]
struct Quota {
    quota_type: &'static str,
    limit: i64,
    /// `day`, of a budget.
    period: Option<&'static str>,
}

async fn get(Reading { app, caller, uri, .. }: Reading) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let row = quotas::own(&app, &caller).await?;
    let limits = row.map(|row| row.limits.limits);
    let quotas = limits.iter().flat_map(named).map(|(name, limit)| Quota {
        quota_type: name,
        limit,
        period: period(name),
    });
    let quotas: Vec<_> = quotas.collect();
    Ok(Json(Quotas { tenant: caller.tenant, user_id: caller.user, quotas }).into_response())
}

fn named(limits: &Limits) -> [(&'static str, i64); 7] {
    let Limits { cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb, drafts, starts_per_minute } =
        *limits;
    [
        ("cpu_seconds", cpu_seconds),
        ("queued_jobs", queued_jobs.into()),
        ("running_jobs", running_jobs.into()),
        ("cpu", cpu.into()),
        ("mem_mb", mem_mb.into()),
        ("drafts", drafts.into()),
        ("starts_per_minute", starts_per_minute.into()),
    ]
}

/// Only the budget has a period.
fn period(name: &str) -> Option<&'static str> {
    (name == "cpu_seconds").then_some("day")
}
