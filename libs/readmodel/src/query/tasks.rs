//! Topics and their tasks, and who claims them.

use nox_contract::{JobId, JobState, RawJson, TenantId, Timestamp, TopicName, UserId, WorkerId};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{
    At, JobRow, QueryError, Reader,
    jobs::{job, rows_without_outputs},
};
use crate::{
    load::{self, decode},
    sql::Instant,
};

/// A topic, and the workers that claim tasks of it now.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicRow {
    pub topic: TopicName,
    /// Not in lists.
    pub schema: Option<RawJson>,
    /// Who registered it first.
    pub user_id: UserId,
    pub registered_at: Timestamp,
    pub workers: Vec<WorkerId>,
}

/// Which tasks to list, newest first.
#[derive(Debug, Clone)]
pub struct TaskFilter {
    pub tenant: TenantId,
    pub room: String,
    pub topic: Option<TopicName>,
    pub status: Option<JobState>,
    /// Of queued ones, those that a worker has claimed, or those that none has.
    pub claimed: Option<bool>,
    pub limit: u32,
    pub offset: u32,
}

/// Most tasks whose place in front of another one is counted, and most tasks of a room that are.
const COUNTED_MAX: i64 = 10_000;

const TOPIC: &str = "select topic, schema, user_id, registered_at, 0::bigint as total, workers
 from topics";

/// Without schemas, which may be large.
const TOPICS: &str =
    "select topic, null::json as schema, user_id, registered_at, count(*) over () as total, workers
     from topics";

const WORKERS: &str = "cross join lateral (select array(
            select worker_id from workers
            where claimant is not null and labels @> jsonb_build_array(topics.topic)
                  and claimant ->> 'tenant' = topics.tenant
            order by worker_id
            limit 1000
        ) as workers) as claiming";

impl Reader {
    pub async fn topic(
        &self,
        tenant: &TenantId,
        topic: &TopicName,
    ) -> Result<At<Option<TopicRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!("{TOPIC} {WORKERS} where tenant = $1 and topic = $2"));
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(topic.as_str());
        let row = query.fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(topic_row).transpose()?).await
    }

    /// Topics of these rooms, by name, without their schemas, and how many there are.
    pub async fn topics(
        &self,
        tenant: &TenantId,
        rooms: &[&str],
        (limit, offset): (u32, u32),
    ) -> Result<At<(Vec<TopicRow>, usize)>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&format!(
            "{TOPICS} {WORKERS} where tenant = $1 and room = any($2)
             order by topic limit $3 offset $4"
        ));
        let query = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(rooms)
            .bind(i64::from(limit))
            .bind(i64::from(offset));
        let rows = query.fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let total = rows.first().map(|row| row.try_get::<i64, _>("total")).transpose()?;
        let total = usize::try_from(total.unwrap_or(0)).unwrap_or(0);
        let rows = rows.iter().map(topic_row).collect::<sqlx::Result<_>>()?;
        look.end((rows, total)).await
    }

    /// Topics of any tenant that no worker registers and no open task is of; some of them.
    pub async fn orphan_topics(&self) -> Result<At<Vec<(TenantId, TopicName)>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select tenant, topic from topics
             where not exists (
                 select from workers
                 where claimant is not null and labels @> jsonb_build_array(topics.topic)
                       and claimant ->> 'tenant' = topics.tenant
             ) and not exists (
                 select from jobs_live
                 where jobs_live.topic = topics.topic and jobs_live.tenant = topics.tenant
             )
             limit 1000",
        );
        let rows = sqlx::query(sql).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let orphan = |row: &PgRow| -> sqlx::Result<_> {
            let tenant = TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?;
            let topic = TopicName::new(row.try_get::<&str, _>("topic")?).map_err(decode)?;
            Ok((tenant, topic))
        };
        look.end(rows.iter().map(orphan).collect::<sqlx::Result<_>>()?).await
    }

    /// Whether any task waits to be claimed by `worker`.
    pub async fn has_claimable(&self, worker: &WorkerId) -> Result<At<bool>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select exists (
                 select
                 from workers, jsonb_array_elements_text(labels) as claimed (topic)
                 where worker_id = $1 and claimant is not null
                       and exists (
                           select from jobs_live
                           where jobs_live.topic = claimed.topic
                                 and jobs_live.tenant = claimant ->> 'tenant'
                                 and status = 'queued' and not held
                       )
             )",
        );
        let found = sqlx::query_scalar(sql).bind(worker.as_str()).fetch_one(look.connection());
        let found = found.await;
        let found = found.map_err(|error| look.failed(error))?;
        look.end(found).await
    }

    /// How many tasks of its topic are claimed before this one, counted up to some thousands; `None` if it does
    /// not wait.
    pub async fn queue_position(&self, id: JobId) -> Result<At<Option<u32>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select count(ahead.id) as ahead
             from jobs_live as task
             left join lateral (
                 select id from jobs_live
                 where topic = task.topic and tenant = task.tenant
                       and submitted < task.submitted and status = 'queued' and not held
                 limit $2
             ) as ahead on true
             where task.id = $1 and task.topic is not null and task.status = 'queued'
                   and not task.held
             group by task.id",
        );
        let query = sqlx::query_scalar(sql).bind(id.0).bind(COUNTED_MAX);
        let ahead: Option<i64> =
            query.fetch_optional(look.connection()).await.map_err(|error| look.failed(error))?;
        look.end(ahead.map(|ahead| u32::try_from(ahead).unwrap_or(u32::MAX))).await
    }

    /// Tasks that were submitted in a room, newest first, without their results, and how many there are, counted up
    /// to some thousands.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<At<(Vec<JobRow>, u32)>, QueryError> {
        let mut look = self.look().await?;
        let status = filter.status.map(JobState::as_str);
        let topic = filter.topic.as_ref().map(TopicName::as_str);
        let of_room = |table: &str, held: &str| {
            format!(
                "select id, submitted from {table}
                 where room = $1 and tenant = $2 and ($3::text is null or topic = $3)
                       and ($4::text is null or status = $4)
                       and ($8::boolean is null or {held} = $8)"
            )
        };
        let (live, ended) = (of_room("jobs_live", "held"), of_room("jobs_ended", "false"));
        let sql = look.sql(&format!(
            "with found as (({live}) union all ({ended}) order by submitted desc limit $5)
             select id, (select count(*) from found) as total
             from found order by submitted desc offset $6 limit $7"
        ));
        let query = sqlx::query(sql)
            .bind(&filter.room)
            .bind(filter.tenant.as_str())
            .bind(topic)
            .bind(status)
            .bind(COUNTED_MAX)
            .bind(i64::from(filter.offset))
            .bind(i64::from(filter.limit))
            .bind(filter.claimed);
        let rows = query.fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let total = rows.first().map(|row| row.try_get::<i64, _>("total")).transpose()?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        let sql = look.sql(&rows_without_outputs("id = any($1)"));
        let rows = sqlx::query(sql).bind(ids).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let mut rows = rows.iter().map(job).collect::<sqlx::Result<Vec<_>>>()?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.submitted_n, row.submitted_place)));
        look.end((rows, u32::try_from(total.unwrap_or(0)).unwrap_or(u32::MAX))).await
    }

    /// Which of these jobs have ended, or have no row any more.
    pub async fn ended_of(&self, ids: &[JobId]) -> Result<At<Vec<JobId>>, QueryError> {
        let mut look = self.look().await?;
        let all: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let sql = look.sql(
            "select id from unnest($1::uuid[]) as asked (id)
             where not exists (
                 select from jobs_live
                 where jobs_live.id = asked.id and status in ('queued', 'running', 'draft')
             )",
        );
        let ended: Vec<Uuid> = sqlx::query_scalar(sql)
            .bind(all)
            .fetch_all(look.connection())
            .await
            .map_err(|error| look.failed(error))?;
        look.end(ended.into_iter().map(JobId).collect()).await
    }

    /// The workers of a tenant that claim their work, of one user or of all.
    pub async fn claimants(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
    ) -> Result<At<Vec<super::WorkerRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select worker_id, session, state, capacity, modules, labels, claimant, drained_by, joined_at,
                    seen_at, left_at, n
             from workers
             where claimant is not null and claimant ->> 'tenant' = $1
                   and ($2::text is null or claimant ->> 'user_id' = $2)
             order by worker_id
             limit $3",
        );
        let query =
            sqlx::query(sql).bind(tenant.as_str()).bind(user.map(UserId::as_str)).bind(COUNTED_MAX);
        let rows = query.fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let workers = rows.iter().map(load::worker).collect::<sqlx::Result<Vec<_>>>()?;
        look.end(workers.into_iter().map(Into::into).collect()).await
    }
}

fn topic_row(row: &PgRow) -> sqlx::Result<TopicRow> {
    let schema: Option<Json<RawJson>> = row.try_get("schema")?;
    let workers: Vec<String> = row.try_get("workers")?;
    Ok(TopicRow {
        topic: TopicName::new(row.try_get::<&str, _>("topic")?).map_err(decode)?,
        schema: schema.map(|Json(schema)| schema),
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        registered_at: row.try_get::<Instant, _>("registered_at")?.0,
        workers: workers
            .into_iter()
            .map(|id| WorkerId::new(id).map_err(decode))
            .collect::<sqlx::Result<_>>()?,
    })
}
