//! Modules and workers.

use nox_contract::{
    Capacity, EventNumber, Manifest, ModuleName, RawJson, SessionId, Timestamp, WorkerId,
    fact::ServedModule,
};
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{QueryError, Reader};
use crate::{
    load::{self, decode},
    rows::WorkerState,
    sql::number,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRow {
    pub name: ModuleName,
    pub version: String,
    pub caps: RawJson,
    /// JSON Schemas, as `{"inputs": …, "outputs": …}`.
    pub schema: RawJson,
    pub enabled: bool,
    pub manifest: Manifest,
    /// The newest event of the module.
    pub n: EventNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    pub worker_id: WorkerId,
    pub session: SessionId,
    pub state: WorkerState,
    pub capacity: Capacity,
    pub modules: Vec<ServedModule>,
    pub labels: Vec<String>,
    pub joined_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub n: EventNumber,
}

impl Reader {
    /// All modules, by name.
    pub async fn modules(&self) -> Result<Vec<ModuleRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let rows = sqlx::query(
            "select name, version, caps, schema, enabled, manifest, n from modules order by name",
        )
        .fetch_all(&pool)
        .await?;
        Ok(rows.iter().map(module).collect::<sqlx::Result<_>>()?)
    }

    pub async fn module(&self, name: &ModuleName) -> Result<Option<ModuleRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query(
            "select name, version, caps, schema, enabled, manifest, n from modules where name = $1",
        )
        .bind(name.as_str())
        .fetch_optional(&pool)
        .await?;
        Ok(row.as_ref().map(module).transpose()?)
    }

    /// All workers that ever joined, by name.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let mut connection = pool.acquire().await?;
        let workers = load::workers(&mut connection).await?;
        Ok(workers
            .into_iter()
            .map(|(worker_id, worker)| WorkerRow {
                worker_id,
                session: worker.session,
                state: worker.state,
                capacity: worker.capacity,
                modules: worker.modules,
                labels: worker.labels,
                joined_at: worker.joined_at,
                left_at: worker.left_at,
                n: worker.n,
            })
            .collect())
    }
}

fn module(row: &PgRow) -> sqlx::Result<ModuleRow> {
    let Json(caps) = row.try_get("caps")?;
    let Json(schema) = row.try_get("schema")?;
    let Json(manifest) = row.try_get("manifest")?;
    Ok(ModuleRow {
        name: ModuleName::new(row.try_get::<&str, _>("name")?).map_err(decode)?,
        version: row.try_get("version")?,
        caps,
        schema,
        enabled: row.try_get("enabled")?,
        manifest,
        n: number(row.try_get("n")?),
    })
}
