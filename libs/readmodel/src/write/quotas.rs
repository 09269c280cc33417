//! What accounts may, have, and were refused.

use nox_contract::{UserId, subject};
use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::Changes,
    sql::{Instant, big, small},
};

pub(super) async fn balances(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.balances;
    sqlx::query(
        "insert into quota_balances
             (tenant, account, period, granted, free, reserved, used, overrun, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[])
         on conflict (tenant, account, period) do update
         set granted = excluded.granted,
             free = excluded.free,
             reserved = excluded.reserved,
             used = excluded.used,
             overrun = excluded.overrun,
             n = excluded.n",
    )
    .bind(rows.keys().map(|key| key.tenant.as_str()).bind_iter())
    .bind(rows.keys().map(|key| key.account.as_str()).bind_iter())
    .bind(rows.keys().map(|key| Instant(key.period)).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.granted).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.free).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.reserved).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.used).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.overrun).bind_iter())
    .bind(rows.values().map(|(_, n)| big(n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn limits(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.limits;
    sqlx::query(
        "insert into quota_limits
             (tenant, account, role, cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb, drafts,
              starts_per_minute, changed_by, reason, fixed, set_at, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
             $13::boolean[], $14::timestamptz[], $15::bigint[])
         on conflict (tenant, account) do update
         set role = excluded.role,
             cpu_seconds = excluded.cpu_seconds,
             queued_jobs = excluded.queued_jobs,
             running_jobs = excluded.running_jobs,
             cpu = excluded.cpu,
             mem_mb = excluded.mem_mb,
             drafts = excluded.drafts,
             starts_per_minute = excluded.starts_per_minute,
             changed_by = excluded.changed_by,
             reason = excluded.reason,
             fixed = excluded.fixed,
             set_at = excluded.set_at,
             n = excluded.n",
    )
    .bind(rows.keys().map(|(tenant, _)| tenant.as_str()).bind_iter())
    .bind(rows.keys().map(|(_, account)| account.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.role.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.limits.cpu_seconds).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.queued_jobs)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.running_jobs)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.cpu)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.mem_mb)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.drafts)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.starts_per_minute)).bind_iter())
    .bind(rows.values().map(|row| row.change.as_ref().map(|of| of.by.as_str())).bind_iter())
    .bind(rows.values().map(|row| row.change.as_ref().map(|of| of.reason.as_str())).bind_iter())
    .bind(rows.values().map(|row| row.change.as_ref().is_some_and(|of| !of.reset)).bind_iter())
    .bind(rows.values().map(|row| Instant(row.set_at)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds to what accounts have of jobs.
pub(super) async fn usage(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.usage;
    let account = |user: &Option<UserId>| match user {
        Some(user) => subject::user_account(user),
        None => subject::TENANT_ACCOUNT.to_owned(),
    };
    sqlx::query(
        "insert into quota_usage (tenant, account, queued_jobs, running_jobs)
         select *
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
         on conflict (tenant, account) do update
         set queued_jobs = quota_usage.queued_jobs + excluded.queued_jobs,
             running_jobs = quota_usage.running_jobs + excluded.running_jobs",
    )
    .bind(rows.keys().map(|(tenant, _)| tenant.as_str()).bind_iter())
    .bind(rows.keys().map(|(_, user)| account(user)).bind_iter())
    .bind(rows.values().map(|counts| counts.queued_jobs).bind_iter())
    .bind(rows.values().map(|counts| counts.running_jobs).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn violations(
    connection: &mut PgConnection,
    changes: &Changes,
) -> sqlx::Result<()> {
    let rows = &changes.violations;
    sqlx::query(
        "insert into quota_violations
             (n, part, tenant, account, user_id, job_id, module, code, quota, usage, quota_limit,
              requested, retry_after_s, detail, at)
         select *
         from unnest(
             $1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
             $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
             $14::text[], $15::timestamptz[])",
    )
    .bind(rows.iter().map(|row| big(row.n.0)).bind_iter())
    .bind(rows.iter().map(|row| small(row.part)).bind_iter())
    .bind(rows.iter().map(|row| row.tenant.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.account.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.user_id.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.job_id.0).bind_iter())
    .bind(rows.iter().map(|row| row.module.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.code.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.quota.as_deref()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.usage).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.limit).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.requested).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.retry_after_s.map(i64::from)).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.detail.as_str()).bind_iter())
    .bind(rows.iter().map(|row| Instant(row.at)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
