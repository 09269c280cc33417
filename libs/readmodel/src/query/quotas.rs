//! What accounts may, have, and were refused.

use nox_contract::{FrameNumber, JobId, Limits, ModuleName, TenantId, Timestamp, UserId};
use nox_core::ledger::Balance;
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};

use super::{At, PAGE_MAX, QueryError, Reader};
use crate::{
    load::{self, decode},
    sql::{Instant, number},
};

/// A refusal that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationRow {
    pub n: FrameNumber,
    pub account: String,
    pub user_id: UserId,
    pub job_id: JobId,
    pub module: ModuleName,
    /// The word of a [`nox_contract::ProblemCode`].
    pub code: String,
    pub quota: Option<String>,
    pub usage: Option<i64>,
    pub limit: Option<i64>,
    pub requested: Option<i64>,
    pub retry_after_s: Option<i64>,
    pub detail: String,
    pub at: Timestamp,
}

/// An account's budget of one period; free + reserved + used = granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceRow {
    /// The first instant of the UTC day.
    pub period: Timestamp,
    pub balance: Balance,
    pub n: FrameNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsRow {
    /// The role that the limits come from; empty for a tenant.
    pub role: String,
    pub limits: Limits,
    pub n: FrameNumber,
}

impl Reader {
    /// The newest refusals of a tenant, or of one of its users; at most `limit` and [`PAGE_MAX`].
    pub async fn violations(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        limit: usize,
    ) -> Result<At<Vec<ViolationRow>>, QueryError> {
        let mut look = self.look().await?;
        let mut query = QueryBuilder::<Postgres>::new(
            "select n, account, user_id, job_id, module, code, quota, usage, quota_limit, requested,
                    retry_after_s, detail, at
             from quota_violations
             where tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(user) = user {
            query.push(" and user_id = ").push_bind(user.as_str().to_owned());
        }
        let limit = limit.clamp(1, PAGE_MAX) as i64;
        query.push(" order by n desc, part desc limit ").push_bind(limit).push(look.mark());
        let rows = query.build().fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(violation).collect::<sqlx::Result<_>>()?).await
    }

    /// The budgets of an account, newest period first; at most `limit` and [`PAGE_MAX`].
    pub async fn balances(
        &self,
        tenant: &TenantId,
        account: &str,
        limit: usize,
    ) -> Result<At<Vec<BalanceRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select period, granted, free, reserved, used, overrun, n
             from quota_balances
             where tenant = $1 and account = $2
             order by period desc
             limit $3",
        );
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(account)
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let balance = |row: &PgRow| {
            Ok(BalanceRow {
                period: row.try_get::<Instant, _>("period")?.0,
                balance: load::balance(row)?,
                n: number(row.try_get("n")?),
            })
        };
        look.end(rows.iter().map(balance).collect::<sqlx::Result<_>>()?).await
    }

    /// The newest limits of an account.
    pub async fn limits(
        &self,
        tenant: &TenantId,
        account: &str,
    ) -> Result<At<Option<LimitsRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select role, cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb, drafts,
                    starts_per_minute, n
             from quota_limits
             where tenant = $1 and account = $2",
        );
        let row = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(account)
            .fetch_optional(look.connection())
            .await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(limits).transpose()?).await
    }
}

fn limits(row: &PgRow) -> sqlx::Result<LimitsRow> {
    let small =
        |column| row.try_get::<i64, _>(column).map(|big| u32::try_from(big).unwrap_or_default());
    Ok(LimitsRow {
        role: row.try_get("role")?,
        limits: Limits {
            cpu_seconds: row.try_get("cpu_seconds")?,
            queued_jobs: small("queued_jobs")?,
            running_jobs: small("running_jobs")?,
            cpu: small("cpu")?,
            mem_mb: small("mem_mb")?,
            drafts: small("drafts")?,
            starts_per_minute: small("starts_per_minute")?,
        },
        n: number(row.try_get("n")?),
    })
}

fn violation(row: &PgRow) -> sqlx::Result<ViolationRow> {
    Ok(ViolationRow {
        n: number(row.try_get("n")?),
        account: row.try_get("account")?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        job_id: JobId(row.try_get("job_id")?),
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        code: row.try_get("code")?,
        quota: row.try_get("quota")?,
        usage: row.try_get("usage")?,
        limit: row.try_get("quota_limit")?,
        requested: row.try_get("requested")?,
        retry_after_s: row.try_get("retry_after_s")?,
        detail: row.try_get("detail")?,
        at: row.try_get::<Instant, _>("at")?.0,
    })
}
