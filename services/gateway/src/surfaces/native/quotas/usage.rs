//! `GET /quotas/my/usage`: what the asker has of today's budget, and of jobs.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::{Limits, TenantId, Timestamp, UserId};
use nox_readmodel::{
    query::AccountRow,
    rows::{Balance, JobCounts},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::Reading,
    problem::{ApiError, percentage},
    surfaces::native::as_of::{self, AskedOf},
    use_cases::{
        quotas,
        then::{self, accounts::AccountThen},
    },
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_my_usage", "What the asker has of today's budget, and of jobs.");
    let told = "What is used of each limit; nothing before the first submit.";
    Endpoint::new(Method::Get, "/quotas/my/usage", Access::OWN, (id, summary), get)
        .query::<AskedOf>()
        .answer(Answer::json::<Usage>(200, told))
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

async fn get(Reading { app, caller, uri, .. }: Reading) -> Result<Response, ApiError> {
    let (as_of, fold) = as_of::state(&app, &uri).await?;
    if let Some(fold) = fold {
        let today = as_of::day(as_of, &fold);
        let usage = then::accounts::own(&fold, &caller);
        let usage = usage.iter().flat_map(|then| usage_then(then, today)).collect();
        let usage = Usage { tenant: caller.tenant, user_id: caller.user, period: today, usage };
        return Ok(Json(usage).into_response());
    }
    let row = quotas::own(&app, &caller).await?;
    // A period begins with its first submit; until then nothing of it is used.
    let today = app.runtime.clock.wall().start_of_day();
    let usage = row.iter().flat_map(|row| usage_of(row, today)).collect();
    let usage = Usage { tenant: caller.tenant, user_id: caller.user, period: today, usage };
    Ok(Json(usage).into_response())
}

/// What an account uses of what it may, on the day that begins so.
pub fn usage_of(row: &AccountRow, today: Timestamp) -> Vec<UsageOf> {
    let balance = row.balance.map(|row| (row.period, row.balance));
    usage(&row.limits.limits, balance, row.counts, today)
}

/// The same of an account as it was.
pub fn usage_then(then: &AccountThen, today: Timestamp) -> Vec<UsageOf> {
    usage(&then.limits, then.balance, then.counts, today)
}

fn usage(
    limits: &Limits,
    balance: Option<(Timestamp, Balance)>,
    counts: JobCounts,
    today: Timestamp,
) -> Vec<UsageOf> {
    let balance = balance.filter(|(period, _)| *period == today).map(|(_, balance)| balance);
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
    let JobCounts { queued_jobs, running_jobs } = counts;
    vec![
        usage("cpu_seconds", reserved + used, granted, budget),
        usage("queued_jobs", queued_jobs, limits.queued_jobs.into(), None),
        usage("running_jobs", running_jobs, limits.running_jobs.into(), None),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nox_contract::FrameNumber;
    use nox_readmodel::query::{BalanceRow, LimitsRow};
    use serde_json::{Value, json};

    use super::*;

    fn told(row: &AccountRow, today: Timestamp) -> Value {
        serde_json::to_value(usage_of(row, today)).unwrap()
    }

    #[test]
    fn of_a_day_that_has_not_begun_nothing_is_used() {
        let day: Timestamp = "2026-11-28T00:00:00Z".parse().unwrap();
        let limits = Limits {
            cpu_seconds: 500,
            queued_jobs: 10,
            running_jobs: 2,
            cpu: 4,
            mem_mb: 1_024,
            drafts: 5,
            starts_per_minute: 60,
        };
        let n = FrameNumber(1);
        let balance =
            Balance { granted: 400, free: 300, reserved: 40, used: 60, ..Balance::default() };
        let row = AccountRow {
            account: "user/ada".to_owned(),
            limits: LimitsRow { role: "user".to_owned(), limits, change: None, set_at: day, n },
            balance: Some(BalanceRow { period: day, balance, n }),
            counts: JobCounts { queued_jobs: 5, running_jobs: 2 },
        };
        let today = told(&row, day);
        assert_eq!((&today[0]["current_usage"], &today[0]["limit"]), (&json!(100), &json!(400)));
        assert_eq!(today[1]["percentage"], json!(50.0));
        let tomorrow = told(&row, day + Duration::from_secs(86_400));
        assert_eq!((&tomorrow[0]["current_usage"], &tomorrow[0]["free"]), (&json!(0), &json!(500)));
        assert_eq!(tomorrow[2]["current_usage"], 2);
    }
}
