//! `/quotas/my`: what the asker may have, has, and was refused.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, Limits, ModuleName, TenantId, Timestamp, UserId, subject};
use nox_readmodel::query::{BalanceRow, ViolationRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract,
    identity::auth::Caller,
    problem::{ApiError, FieldError, percentage},
    read::required::Required,
    use_cases::quotas::limits,
};

/// Violations in an answer that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::Get,
            "/quotas/my/quotas",
            Access::OWN,
            ("get_my_quotas", "What the asker may have."),
            quotas,
        )
        .answer(Answer::json::<Quotas>(200, "The limits; none before the first submit.")),
        Endpoint::new(
            Method::Get,
            "/quotas/my/usage",
            Access::OWN,
            ("get_my_usage", "What the asker has of today's budget."),
            usage,
        )
        .answer(Answer::json::<Usage>(200, "The budget.")),
        Endpoint::new(
            Method::Get,
            "/quotas/my/violations",
            Access::OWN,
            ("list_my_violations", "What the asker was refused, newest first."),
            violations,
        )
        .query::<Asked>()
        .answer(Answer::json::<Violations>(200, "The newest refusals.")),
    ]
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

#[derive(Serialize, JsonSchema)]
struct Usage {
    tenant: TenantId,
    user_id: UserId,
    /// Its first instant.
    period: Timestamp,
    usage: Vec<Budget>,
}

/// Core seconds of a period.
#[derive(Serialize, JsonSchema)]
struct Budget {
    quota_type: &'static str,
    /// `reserved` and `used` together.
    current_usage: i64,
    reserved: i64,
    used: i64,
    /// What was used beyond reservations, which no budget paid.
    overrun: i64,
    free: i64,
    limit: i64,
    percentage: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct Violations {
    violations: Vec<Violation>,
}

#[derive(Serialize, JsonSchema)]
struct Violation {
    n: FrameNumber,
    at: Timestamp,
    job_id: JobId,
    module: ModuleName,
    account: String,
    code: String,
    quota_type: Option<String>,
    current_usage: Option<i64>,
    limit: Option<i64>,
    requested: Option<i64>,
    percentage: Option<f64>,
    retry_after: Option<i64>,
    message: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
}

/// `GET /quotas/my/quotas`: the limits. Nobody has any before the first submit.
pub async fn quotas(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let account = subject::user_account(&caller.user);
    let limits = limits(&app, &caller, &account).await?;
    let quotas = limits.iter().flat_map(named).map(|(name, limit)| Quota {
        quota_type: name,
        limit,
        period: period(name),
    });
    let quotas: Vec<_> = quotas.collect();
    Ok(Json(Quotas { tenant: caller.tenant, user_id: caller.user, quotas }).into_response())
}

/// `GET /quotas/my/usage`: today's budget.
pub async fn usage(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let account = subject::user_account(&caller.user);
    let limits = limits(&app, &caller, &account).await?;
    let read = || app.reader.balances(&caller.tenant, &account, 1);
    let balances = app.barrier.read(&Required::default(), read).await?.value;
    // A period begins with its first submit; until then nothing of it is used.
    let today = app.runtime.clock.wall().start_of_day();
    let balance = balances.into_iter().find(|row| row.period == today);
    let usage: Vec<_> =
        limits.iter().map(|limits| budget(limits.cpu_seconds, balance.as_ref())).collect();
    let usage = Usage { tenant: caller.tenant, user_id: caller.user, period: today, usage };
    Ok(Json(usage).into_response())
}

/// `GET /quotas/my/violations`: the newest refusals.
pub async fn violations(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Asked { limit } = extract::query(&uri)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be from 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?limit", detail)]));
    }
    let read = || app.reader.violations(&caller.tenant, Some(&caller.user), limit);
    let rows = app.barrier.read(&Required::default(), read).await?.value;
    let violations = rows.into_iter().map(violation).collect();
    Ok(Json(Violations { violations }).into_response())
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

fn budget(granted: i64, row: Option<&BalanceRow>) -> Budget {
    let balance = row.map(|row| row.balance);
    let granted = balance.map_or(granted, |balance| balance.granted);
    let reserved = balance.map_or(0, |balance| balance.reserved);
    let used = balance.map_or(0, |balance| balance.used);
    Budget {
        quota_type: "cpu_seconds",
        current_usage: reserved + used,
        reserved,
        used,
        overrun: balance.map_or(0, |balance| balance.overrun),
        free: balance.map_or(granted, |balance| balance.free),
        limit: granted,
        percentage: percentage(Some(reserved + used), Some(granted)),
    }
}

fn violation(row: ViolationRow) -> Violation {
    Violation {
        n: row.n,
        at: row.at,
        job_id: row.job_id,
        module: row.module,
        account: row.account,
        code: row.code,
        percentage: percentage(row.usage, row.limit),
        quota_type: row.quota,
        current_usage: row.usage,
        limit: row.limit,
        requested: row.requested,
        retry_after: row.retry_after_s,
        message: row.detail,
    }
}
