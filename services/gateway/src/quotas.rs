//! `/quotas/my`: what the asker may have, has, and was refused.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use nox_contract::{Limits, subject};
use nox_readmodel::query::{BalanceRow, ViolationRow};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    app::App,
    auth::Caller,
    problem::{ApiError, FieldError, percentage},
    required::Required,
    routes,
};

/// Violations in an answer that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// `GET /quotas/my/quotas`: the limits. Nobody has any before the first submit.
pub async fn quotas(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    routes::nothing(&uri)?;
    let account = subject::user_account(&caller.user);
    let limits = limits(&app, &caller, &account).await?;
    let quotas = limits
        .iter()
        .flat_map(named)
        .map(|(name, limit)| json!({"quota_type": name, "limit": limit, "period": period(name)}));
    let quotas: Vec<_> = quotas.collect();
    let body = json!({"tenant": caller.tenant, "user_id": caller.user, "quotas": quotas});
    Ok(Json(body).into_response())
}

/// `GET /quotas/my/usage`: today's budget.
pub async fn usage(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    routes::nothing(&uri)?;
    let account = subject::user_account(&caller.user);
    let limits = limits(&app, &caller, &account).await?;
    let read = || app.reader.balances(&caller.tenant, &account, 1);
    let balances = app.barrier.read(&Required::default(), read).await?.value;
    // A period begins with its first submit; until then nothing of it is used.
    let today = app.runtime.clock.wall().start_of_day();
    let balance = balances.into_iter().find(|row| row.period == today);
    let usage: Vec<_> =
        limits.iter().map(|limits| budget(limits.cpu_seconds, balance.as_ref())).collect();
    let body = json!({
        "tenant": caller.tenant,
        "user_id": caller.user,
        "period": today,
        "usage": usage,
    });
    Ok(Json(body).into_response())
}

/// `GET /quotas/my/violations`: the newest refusals.
pub async fn violations(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        limit: Option<usize>,
    }

    let Asked { limit } = routes::query(&uri)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be from 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?limit", detail)]));
    }
    let read = || app.reader.violations(&caller.tenant, Some(&caller.user), limit);
    let rows = app.barrier.read(&Required::default(), read).await?.value;
    let violations: Vec<_> = rows.iter().map(violation).collect();
    Ok(Json(json!({"violations": violations})).into_response())
}

async fn limits(app: &App, caller: &Caller, account: &str) -> Result<Option<Limits>, ApiError> {
    let read = || app.reader.limits(&caller.tenant, account);
    let row = app.barrier.read(&Required::default(), read).await?.value;
    Ok(row.map(|row| row.limits))
}

fn named(limits: &Limits) -> [(&'static str, i64); 5] {
    let Limits { cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb } = *limits;
    [
        ("cpu_seconds", cpu_seconds),
        ("queued_jobs", queued_jobs.into()),
        ("running_jobs", running_jobs.into()),
        ("cpu", cpu.into()),
        ("mem_mb", mem_mb.into()),
    ]
}

/// Only the budget has a period.
fn period(name: &str) -> Option<&'static str> {
    (name == "cpu_seconds").then_some("day")
}

fn budget(granted: i64, row: Option<&BalanceRow>) -> Value {
    let balance = row.map(|row| row.balance);
    let granted = balance.map_or(granted, |balance| balance.granted);
    let reserved = balance.map_or(0, |balance| balance.reserved);
    let used = balance.map_or(0, |balance| balance.used);
    json!({
        "quota_type": "cpu_seconds",
        "current_usage": reserved + used,
        "reserved": reserved,
        "used": used,
        "overrun": balance.map_or(0, |balance| balance.overrun),
        "free": balance.map_or(granted, |balance| balance.free),
        "limit": granted,
        "percentage": percentage(Some(reserved + used), Some(granted)),
    })
}

fn violation(row: &ViolationRow) -> Value {
    json!({
        "n": row.n,
        "at": row.at,
        "job_id": row.job_id,
        "module": row.module,
        "account": row.account,
        "code": row.code,
        "quota_type": row.quota,
        "current_usage": row.usage,
        "limit": row.limit,
        "requested": row.requested,
        "percentage": percentage(row.usage, row.limit),
        "retry_after": row.retry_after_s,
        "message": row.detail,
    })
}
