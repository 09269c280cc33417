//! Modules and workers.

use std::collections::BTreeMap;

use nox_contract::{
    Capacity, Claimant, FrameNumber, JobId, ModuleName, RawJson, SessionId, TenantId, Timestamp,
    UserId, WorkerId, fact::ServedModule,
};
use nox_core::versions::Versions;
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{At, QueryError, Reader};
use crate::{
    load::{self, decode},
    rows::{Registered, StoredWorker, WorkerState},
    sql::{Instant, number},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRow {
    pub name: ModuleName,
    pub version: String,
    pub caps: RawJson,
    /// JSON Schemas, as `{"inputs": …, "outputs": …}`.
    pub schema: RawJson,
    pub enabled: bool,
    pub versions: Versions,
    /// Those of them that an admin registered.
    pub registered: BTreeMap<String, Registered>,
    /// The newest frame with an entry of the module.
    pub n: FrameNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    pub worker_id: WorkerId,
    pub session: SessionId,
    pub state: WorkerState,
    pub capacity: Capacity,
    pub modules: Vec<ServedModule>,
    pub labels: Vec<String>,
    pub claimant: Option<Claimant>,
    /// Who took it out of service, while it is.
    pub drained_by: Option<UserId>,
    pub joined_at: Timestamp,
    /// When the log heard of it last, to ten seconds.
    pub seen_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub n: FrameNumber,
}

impl Reader {
    /// All modules, by name.
    pub async fn modules(&self) -> Result<At<Vec<ModuleRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select name, version, caps, schema, enabled, manifest, others, registered, n from modules order by name",
        );
        let rows = sqlx::query(sql).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(module).collect::<sqlx::Result<_>>()?).await
    }

    pub async fn module(&self, name: &ModuleName) -> Result<At<Option<ModuleRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select name, version, caps, schema, enabled, manifest, others, registered, n from modules where name = $1",
        );
        let row = sqlx::query(sql).bind(name.as_str()).fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(module).transpose()?).await
    }

    /// The most that live workers which serve `module` have, each resource by itself.
    pub async fn largest_worker(
        &self,
        module: &ModuleName,
    ) -> Result<At<Option<Capacity>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select max((capacity ->> 'slots')::bigint) as slots,
                    max((capacity ->> 'cpu')::bigint) as cpu,
                    max((capacity ->> 'mem_mb')::bigint) as mem_mb,
                    max(coalesce((capacity ->> 'gpu')::bigint, 0)) as gpu
             from workers
             where state in ('joined', 'paused')
                   and modules @> jsonb_build_array(jsonb_build_object('name', $1::text))",
        );
        let row = sqlx::query(sql).bind(module.as_str()).fetch_one(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        let most = |column| -> sqlx::Result<Option<u32>> {
            let most: Option<i64> = row.try_get(column)?;
            Ok(most.map(|most| u32::try_from(most).unwrap_or(u32::MAX)))
        };
        let largest = match (most("slots")?, most("cpu")?, most("mem_mb")?, most("gpu")?) {
            (Some(slots), Some(cpu), Some(mem_mb), Some(gpu)) => {
                Some(Capacity { slots, cpu, mem_mb, gpu })
            }
            _ => None,
        };
        look.end(largest).await
    }

    /// All workers that ever joined, by name.
    pub async fn workers(&self) -> Result<At<Vec<WorkerRow>>, QueryError> {
        let mut look = self.look().await?;
        let workers = load::workers(look.connection()).await;
        let workers = workers.map_err(|error| look.failed(error))?;
        let workers = workers.into_iter().map(WorkerRow::from).collect();
        look.end(workers).await
    }

    /// One worker, whether it is still there or not.
    pub async fn worker(&self, id: &WorkerId) -> Result<At<Option<WorkerRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select worker_id, session, state, capacity, modules, labels, claimant, drained_by, joined_at,
                    seen_at, left_at, n
             from workers where worker_id = $1",
        );
        let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        let worker = row.as_ref().map(load::worker).transpose()?;
        look.end(worker.map(WorkerRow::from)).await
    }
}

/// What a worker runs, as far as whoever asks may know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRow {
    pub worker_id: WorkerId,
    pub job_id: JobId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub started_at: Option<Timestamp>,
}

/// Most of what runs that one answer tells, over all workers.
pub const RUNNING_MAX: usize = 1_000;

impl Reader {
    /// What workers run of a tenant's jobs, or of one of its users': the newest first, at most
    /// [`RUNNING_MAX`].
    pub async fn running(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        worker: Option<&WorkerId>,
    ) -> Result<At<Vec<RunningRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select worker_id, id, user_id, module, started_at
             from jobs_live
             where status <> 'queued' and tenant = $1 and held and worker_id is not null
                   and ($2::text is null or user_id = $2)
                   and ($3::text is null or worker_id = $3)
             order by submitted desc
             limit $4",
        );
        let rows = sqlx::query(sql)
            .bind(tenant.as_str())
            .bind(user.map(|user| user.as_str()))
            .bind(worker.map(|worker| worker.as_str()))
            .bind(RUNNING_MAX as i64)
            .fetch_all(look.connection())
            .await;
        let rows = rows.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(running).collect::<sqlx::Result<_>>()?).await
    }

    /// How many attempts each worker runs, whoever they belong to.
    pub async fn running_counts(&self) -> Result<At<BTreeMap<WorkerId, i64>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select worker_id, count(*) as running
             from jobs_live
             where status <> 'queued' and held and worker_id is not null
             group by worker_id",
        );
        let rows = sqlx::query(sql).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let count = |row: &PgRow| {
            let id = WorkerId::new(row.try_get::<&str, _>("worker_id")?).map_err(decode)?;
            Ok((id, row.try_get("running")?))
        };
        look.end(rows.iter().map(count).collect::<sqlx::Result<_>>()?).await
    }
}

fn running(row: &PgRow) -> sqlx::Result<RunningRow> {
    let started_at: Option<Instant> = row.try_get("started_at")?;
    Ok(RunningRow {
        worker_id: WorkerId::new(row.try_get::<&str, _>("worker_id")?).map_err(decode)?,
        job_id: JobId(row.try_get("id")?),
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        started_at: started_at.map(|instant| instant.0),
    })
}

impl From<(WorkerId, StoredWorker)> for WorkerRow {
    fn from((worker_id, worker): (WorkerId, StoredWorker)) -> Self {
        Self {
            worker_id,
            session: worker.session,
            state: worker.state,
            capacity: worker.capacity,
            modules: worker.modules,
            labels: worker.labels,
            claimant: worker.claimant,
            drained_by: worker.drained_by,
            joined_at: worker.joined_at,
            seen_at: worker.seen_at,
            left_at: worker.left_at,
            n: worker.n,
        }
    }
}

fn module(row: &PgRow) -> sqlx::Result<ModuleRow> {
    let Json(caps) = row.try_get("caps")?;
    let Json(schema) = row.try_get("schema")?;
    let Json(present) = row.try_get("manifest")?;
    let Json(others) = row.try_get("others")?;
    let Json(registered) = row.try_get("registered")?;
    Ok(ModuleRow {
        name: ModuleName::new(row.try_get::<&str, _>("name")?).map_err(decode)?,
        version: row.try_get("version")?,
        caps,
        schema,
        enabled: row.try_get("enabled")?,
        versions: Versions { present, others },
        registered,
        n: number(row.try_get("n")?),
    })
}
