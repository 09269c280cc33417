//! What of the files in the artifact store is still needed.

use nox_contract::{Attempt, JobId, JobState, TenantId, Timestamp, UserId};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{QueryError, Reader};
use crate::{load::decode, sql::Instant};

/// How a job stands, as far as its files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStanding {
    pub id: JobId,
    /// The newest.
    pub attempt: Attempt,
    pub status: JobState,
    pub ended_at: Option<Timestamp>,
}

/// A SHA-256, or what looks like one, in the inputs of a job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedHash {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub sha256: String,
}

impl Reader {
    /// How jobs stand of any tenant, and the instant of the newest frame in the rows, if there is one. A job
    /// that is not there has expired, or is newer.
    pub async fn standings(
        &self,
        ids: &[JobId],
    ) -> Result<(Option<Timestamp>, Vec<JobStanding>), QueryError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut look = self.look().await?;
        let sql = look.sql("select at from projection");
        let at = sqlx::query(sql).fetch_one(look.connection()).await;
        let at = at.map_err(|error| look.failed(error))?.try_get::<Option<Instant>, _>("at")?;
        let sql = look.sql(
            "select id, attempt, status, ended_at from jobs_live where id = any($1)
             union all
             select id, attempt, status, ended_at from jobs_ended where id = any($1)",
        );
        let rows = sqlx::query(sql).bind(ids).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let standings = rows.iter().map(standing).collect::<sqlx::Result<_>>()?;
        look.end((at.map(|Instant(at)| at), standings)).await.map(|at| at.value)
    }

    /// All hashes that inputs of jobs name which have not ended, and perhaps some more.
    pub async fn hashes_in_live_inputs(&self) -> Result<Vec<NamedHash>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select distinct tenant, user_id, hash[1] as sha256
             from jobs_live, regexp_matches(inputs::text, '[0-9a-f]{64}', 'g') as hash
             where inputs::text ~ '[0-9a-f]{64}'",
        );
        let rows = sqlx::query(sql).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let named = rows.iter().map(named_hash).collect::<sqlx::Result<_>>()?;
        look.end(named).await.map(|at| at.value)
    }
}

fn standing(row: &PgRow) -> sqlx::Result<JobStanding> {
    Ok(JobStanding {
        id: JobId(row.try_get("id")?),
        attempt: Attempt(row.try_get::<i32, _>("attempt")?.unsigned_abs()),
        status: row.try_get::<&str, _>("status")?.parse().map_err(decode)?,
        ended_at: row.try_get::<Option<Instant>, _>("ended_at")?.map(|Instant(at)| at),
    })
}

fn named_hash(row: &PgRow) -> sqlx::Result<NamedHash> {
    Ok(NamedHash {
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        sha256: row.try_get("sha256")?,
    })
}
