//! What stands between a job and its start, as far as rows tell.

use nox_contract::{JobId, JobState, TenantId, UserId};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{At, JobRow, QueryError, Reader};
use crate::{load::decode, rows::Owner};

/// A job that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockingRow {
    pub id: JobId,
    pub user_id: UserId,
    pub status: JobState,
}

impl Reader {
    /// How jobs of a tenant stand, in the order of `ids`; those without a row are left out.
    pub async fn jobs_named(
        &self,
        tenant: &TenantId,
        ids: &[JobId],
    ) -> Result<At<Vec<BlockingRow>>, QueryError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut look = self.look().await?;
        let sql = look.sql(
            "select jobs.id, jobs.user_id, jobs.status
             from unnest($1::uuid[]) with ordinality as asked (id, place)
             join jobs on jobs.id = asked.id
             where jobs.tenant = $2
             order by asked.place",
        );
        let query = sqlx::query(sql).bind(ids).bind(tenant.as_str());
        let rows = query.fetch_all(look.connection()).await.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(blocking).collect::<sqlx::Result<_>>()?).await
    }

    /// Jobs of a tenant with a concurrency key that a worker runs, or has still to stop; the first to have been
    /// submitted before others, at most `max`. And the least of their limits.
    pub async fn holders_of_key(
        &self,
        tenant: &TenantId,
        key: &str,
        max: usize,
    ) -> Result<At<(Vec<BlockingRow>, Option<u32>)>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select id, user_id, status, (concurrency ->> 'limit')::bigint as most
             from jobs_live
             where tenant = $1 and status not in ('queued', 'draft') and held
                   and concurrency ->> 'key' = $2
             order by submitted
             limit $3",
        );
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(key).bind(max as i64);
        let rows = query.fetch_all(look.connection()).await.map_err(|error| look.failed(error))?;
        let limits = rows.iter().map(|row| row.try_get::<Option<i64>, _>("most"));
        let limits = limits.collect::<sqlx::Result<Vec<_>>>()?;
        let least = limits.into_iter().flatten().filter_map(|most| u32::try_from(most).ok()).min();
        let holders = rows.iter().map(blocking).collect::<sqlx::Result<_>>()?;
        look.end((holders, least)).await
    }

    /// Jobs of a tenant, or of one of its users, that a worker runs, or has still to stop; the first to have been
    /// submitted before others, at most `max`.
    pub async fn running_first(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        max: usize,
    ) -> Result<At<Vec<BlockingRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select id, user_id, status
             from jobs_live
             where tenant = $1 and status not in ('queued', 'draft') and held
                   and ($2::text is null or user_id = $2)
             order by submitted
             limit $3",
        );
        let query = sqlx::query(sql).bind(tenant.as_str());
        let query = query.bind(user.map(|user| user.as_str())).bind(max as i64);
        let rows = query.fetch_all(look.connection()).await.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(blocking).collect::<sqlx::Result<_>>()?).await
    }

    /// How many jobs of the same user and module are in the queue before `job`: of a higher priority, or of the same
    /// and submitted before it. Counted up to `max`, among the first `max` of its list that were
    /// submitted before it and as many of those that were submitted after it.
    pub async fn queued_ahead(&self, job: &JobRow, max: usize) -> Result<At<usize>, QueryError> {
        let JobRow { tenant, user_id, module, .. } = job;
        let run = Owner::new(tenant, Some(user_id)).run(module, None);
        let mut look = self.look().await?;
        let sql = look.sql(
            "select count(*) from (
                 (select priority, submitted from jobs_live
                  where user_run = $1 and submitted < $2 and status = 'queued' and work is null
                        and coalesce(waiting_code, '') not in ('scheduled', 'dependency', 'backoff')
                        and tenant = $3 and user_id = $4 and module = $5
                  order by submitted limit $7)
                 union all
                 (select priority, submitted from jobs_live
                  where user_run = $1 and submitted > $2 and status = 'queued' and work is null
                        and coalesce(waiting_code, '') not in ('scheduled', 'dependency', 'backoff')
                        and tenant = $3 and user_id = $4 and module = $5
                  order by submitted limit $7)
             ) as others
             where priority > $6 or (priority = $6 and submitted < $2)",
        );
        let row = sqlx::query(sql)
            .bind(run)
            .bind(job.submitted().packed())
            .bind(tenant.as_str())
            .bind(user_id.as_str())
            .bind(module.as_str())
            .bind(i16::from(job.priority))
            .bind(max as i64)
            .fetch_one(look.connection())
            .await;
        let row = row.map_err(|error| look.failed(error))?;
        let count: i64 = row.try_get("count")?;
        look.end(usize::try_from(count).unwrap_or_default().min(max)).await
    }
}

fn blocking(row: &PgRow) -> sqlx::Result<BlockingRow> {
    Ok(BlockingRow {
        id: JobId(row.try_get("id")?),
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        status: row.try_get::<&str, _>("status")?.parse().map_err(decode)?,
    })
}
