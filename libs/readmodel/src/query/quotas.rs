//! What accounts may and have.

use nox_contract::{FrameNumber, JobId, Limits, LimitsChange, TenantId, Timestamp, UserId};
use nox_core::ledger::Balance;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{At, Cursor, Filter, PAGE_MAX, Page, QueryError, Reader, list};
use crate::{
    load::{self, decode},
    rows::JobCounts,
    sql::{Instant, number},
};

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
    /// The admin's word that they are, or are again, what they are; `None` of a role's.
    pub change: Option<LimitsChange>,
    pub set_at: Timestamp,
    pub n: FrameNumber,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// `tenant` or `user/<id>`.
    pub account: String,
    pub limits: LimitsRow,
    /// Of the newest period.
    pub balance: Option<BalanceRow>,
    pub counts: JobCounts,
}

/// What one job reserved and used, in core seconds; reserved + used + released = reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    pub account: String,
    pub period: Timestamp,
    pub job_id: JobId,
    pub reservation: i64,
    pub reserved: i64,
    pub used: i64,
    pub released: i64,
    /// Used beyond the reservation.
    pub overrun: i64,
    pub n: FrameNumber,
}

impl Reader {
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

    /// Accounts of a tenant by their names, its own among them; at most `limit` and [`PAGE_MAX`], those behind
    /// `after`.
    pub async fn accounts(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<At<Vec<AccountRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&accounts_where(
            "l.tenant = $1 and ($2::text is null or l.account > $2) order by l.account limit $3",
        ));
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(after)
            .bind(limit.clamp(1, PAGE_MAX) as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(account).collect::<sqlx::Result<_>>()?).await
    }

    /// What one account may, has and uses; `None` of one that never asked for anything.
    pub async fn account(
        &self,
        tenant: &TenantId,
        name: &str,
    ) -> Result<At<Option<AccountRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&accounts_where("l.tenant = $1 and l.account = $2"));
        let row = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(name)
            .fetch_optional(look.connection())
            .await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(account).transpose()?).await
    }

    /// The lines of the ledger that jobs of a tenant, or of one of its users, have: the newest job first, at
    /// most `limit` and [`PAGE_MAX`]. A page may have fewer lines and not be the last, for refused jobs have
    /// none.
    pub async fn ledger(&self, filter: &Filter) -> Result<At<Page<LedgerRow>>, QueryError> {
        let mut look = self.look().await?;
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let mark = look.mark();
        let page = list::page(look.connection(), filter, limit, &mark).await;
        let found = page.map_err(|error| look.failed(error))?.found;
        let shown = &found[..limit.min(found.len())];
        let next = shown.last().filter(|_| found.len() > limit).map(|last| Cursor(last.place));
        let ids: Vec<Uuid> = shown.iter().map(|found| found.id).collect();
        let sql = look.sql(
            "select ledger.account, ledger.period, ledger.job_id, ledger.reservation,
                    ledger.reserved, ledger.used, ledger.released, ledger.overrun, ledger.n
             from unnest($1::uuid[]) with ordinality as page (job_id, place)
             join quota_ledger as ledger on ledger.job_id = page.job_id
             order by page.place",
        );
        let rows = sqlx::query(sql).bind(ids).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let rows = rows.iter().map(ledger_line).collect::<sqlx::Result<_>>()?;
        look.end(Page { rows, next }).await
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
                    starts_per_minute, changed_by, reason, fixed, set_at, n
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
        change: change(row)?,
        set_at: row.try_get::<Instant, _>("set_at")?.0,
        n: number(row.try_get("n")?),
    })
}

fn change(row: &PgRow) -> sqlx::Result<Option<LimitsChange>> {
    let by: Option<&str> = row.try_get("changed_by")?;
    let Some(by) = by else { return Ok(None) };
    let by = UserId::new(by).map_err(decode)?;
    let fixed: bool = row.try_get("fixed")?;
    Ok(Some(LimitsChange { by, reason: row.try_get("reason")?, reset: !fixed }))
}

/// Accounts that `condition` lets through, with what else is said of them.
fn accounts_where(condition: &str) -> String {
    format!(
        "select l.account, l.role, l.cpu_seconds, l.queued_jobs, l.running_jobs, l.cpu, l.mem_mb,
                l.drafts, l.starts_per_minute,
                l.changed_by, l.reason, l.fixed, l.set_at, l.n,
                coalesce(u.queued_jobs, 0) as queued, coalesce(u.running_jobs, 0) as running,
                b.period, b.granted, b.free, b.reserved, b.used, b.overrun, b.n as balance_n
         from quota_limits as l
         left join quota_usage as u on u.tenant = l.tenant and u.account = l.account
         left join lateral (
             select * from quota_balances as of_account
             where of_account.tenant = l.tenant and of_account.account = l.account
             order by of_account.period desc
             limit 1
         ) as b on true
         where {condition}"
    )
}

fn account(row: &PgRow) -> sqlx::Result<AccountRow> {
    let period: Option<Instant> = row.try_get("period")?;
    let balance = |period: Instant| -> sqlx::Result<_> {
        let n = number(row.try_get("balance_n")?);
        Ok(BalanceRow { period: period.0, balance: load::balance(row)?, n })
    };
    Ok(AccountRow {
        account: row.try_get("account")?,
        limits: limits(row)?,
        balance: period.map(balance).transpose()?,
        counts: JobCounts {
            queued_jobs: row.try_get("queued")?,
            running_jobs: row.try_get("running")?,
        },
    })
}

fn ledger_line(row: &PgRow) -> sqlx::Result<LedgerRow> {
    Ok(LedgerRow {
        account: row.try_get("account")?,
        period: row.try_get::<Instant, _>("period")?.0,
        job_id: JobId(row.try_get("job_id")?),
        reservation: row.try_get("reservation")?,
        reserved: row.try_get("reserved")?,
        used: row.try_get("used")?,
        released: row.try_get("released")?,
        overrun: row.try_get("overrun")?,
        n: number(row.try_get("n")?),
    })
}
