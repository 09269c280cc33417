//! `/quotas/my`: what the asker may have, has, and was refused.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, Limits, ModuleName, TenantId, Timestamp, UserId};
use nox_readmodel::{
    Cursor,
    query::{AccountRow, LedgerRow, ViolationRow},
    rows::{Balance, JobCounts},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract,
    identity::auth::Caller,
    problem::{ApiError, FieldError, percentage},
    read::required::Required,
    use_cases::quotas,
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
            ("get_my_usage", "What the asker has of today's budget, and of jobs."),
            usage,
        )
        .answer(Answer::json::<Usage>(
            200,
            "What is used of each limit; nothing before the first submit.",
        )),
        Endpoint::new(
            Method::Get,
            "/quotas/my/ledger",
            Access::OWN,
            ("list_my_ledger", "What the asker's jobs reserved and used, newest first."),
            ledger,
        )
        .query::<AskedLedger>()
        .answer(Answer::json::<Ledger>(200, "A page.")),
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
    usage: Vec<UsageOf>,
}

/// What is used of a limit.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaUsage")]
pub struct UsageOf {
    /// `cpu_seconds` of the period, `queued_jobs` or `running_jobs`.
    quota_type: &'static str,
    /// Of core seconds, `reserved` and `used` together.
    current_usage: i64,
    limit: i64,
    percentage: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
}

/// Core seconds of a period.
#[derive(Serialize, JsonSchema)]
struct Budget {
    reserved: i64,
    used: i64,
    /// What was used beyond reservations, which no budget paid.
    overrun: i64,
    free: i64,
}

#[derive(Serialize, JsonSchema)]
struct Ledger {
    ledger: Vec<Line>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// What one job reserved and used, in core seconds of its period.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LedgerLine")]
struct Line {
    job_id: JobId,
    period: Timestamp,
    /// `reserved`, `used` and `released` together.
    reservation: i64,
    reserved: i64,
    used: i64,
    released: i64,
    /// Used beyond the reservation.
    overrun: i64,
    n: FrameNumber,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskedLedger {
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
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

/// `GET /quotas/my/usage`: today's budget.
pub async fn usage(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let row = quotas::own(&app, &caller).await?;
    // A period begins with its first submit; until then nothing of it is used.
    let today = app.runtime.clock.wall().start_of_day();
    let usage = row.iter().flat_map(|row| usage_of(row, today)).collect();
    let usage = Usage { tenant: caller.tenant, user_id: caller.user, period: today, usage };
    Ok(Json(usage).into_response())
}

/// `GET /quotas/my/ledger`: what jobs reserved and used, the newest first.
pub async fn ledger(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    let AskedLedger { limit, cursor } = extract::query(&uri)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let mut errors = Vec::new();
    if !(1..=LIMIT_MAX).contains(&limit) {
        errors.push(FieldError::new("?limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let before = match cursor.as_deref().map(str::parse).transpose() {
        Ok(before) => before,
        Err(error) => {
            errors.push(FieldError::new("?cursor", format!("{error}")));
            None
        }
    };
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let page = quotas::ledger(&app, &caller, before, limit).await?;
    let line = |row: LedgerRow| Line {
        job_id: row.job_id,
        period: row.period,
        reservation: row.reservation,
        reserved: row.reserved,
        used: row.used,
        released: row.released,
        overrun: row.overrun,
        n: row.n,
    };
    let ledger = page.rows.into_iter().map(line).collect();
    let next = page.next.map(|next: Cursor| next.to_string());
    Ok(Json(Ledger { ledger, next }).into_response())
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

/// What an account uses of what it may, on the day that begins so.
pub fn usage_of(row: &AccountRow, today: Timestamp) -> Vec<UsageOf> {
    let limits = &row.limits.limits;
    let balance = row.balance.filter(|balance| balance.period == today).map(|row| row.balance);
    let granted = balance.map_or(limits.cpu_seconds, |balance| balance.granted);
    let balance = balance.unwrap_or(Balance { granted, free: granted, ..Balance::default() });
    let usage = |quota_type, current_usage, limit, budget| UsageOf {
        quota_type,
        current_usage,
        limit,
        percentage: percentage(Some(current_usage), Some(limit)),
        budget,
    };
    let Balance { free, reserved, used, overrun, .. } = balance;
    let budget = Some(Budget { reserved, used, overrun, free });
    let JobCounts { queued_jobs, running_jobs } = row.counts;
    vec![
        usage("cpu_seconds", reserved + used, granted, budget),
        usage("queued_jobs", queued_jobs, limits.queued_jobs.into(), None),
        usage("running_jobs", running_jobs, limits.running_jobs.into(), None),
    ]
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
