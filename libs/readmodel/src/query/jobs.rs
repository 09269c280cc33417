//! Jobs: one, and how a row becomes one. Many are in `list.rs`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use nox_contract::{
    Attempt, Concurrency, FrameNumber, JobError, JobId, JobState, Metadata, ModuleName, Progress,
    RawJson, Resources, Task, TenantId, Timestamp, UserId, WaitingCode, WorkerId,
};
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{At, Condition, QueryError, Reader};
use crate::{
    batch::EntryPlace,
    load::{concurrency, decode, metadata, resources, task},
    project::ReservedResources,
    rows::{self as stored, Parked},
    sql::{Instant, number},
};

/// Which jobs to list, newest first.
#[derive(Debug, Clone)]
pub struct Filter {
    pub tenant: TenantId,
    pub user: Option<UserId>,
    pub status: Option<JobState>,
    pub module: Option<ModuleName>,
    /// Only those that were made for it.
    pub release: Option<String>,
    /// What else they have to be, all of it.
    pub conditions: Vec<Condition>,
    pub oldest_first: bool,
    /// Rows without outputs, and of inputs with their member `kind` alone.
    pub brief: bool,
    /// At most [`PAGE_MAX`](super::PAGE_MAX).
    pub limit: usize,
    /// Go on where the page before ended.
    pub before: Option<Cursor>,
}

impl Filter {
    /// The newest jobs of a tenant.
    pub fn of(tenant: TenantId, limit: usize) -> Self {
        Self {
            tenant,
            user: None,
            status: None,
            module: None,
            release: None,
            conditions: Vec::new(),
            oldest_first: false,
            brief: false,
            limit,
            before: None,
        }
    }
}

/// Where a page ended: the place in the log of the entry that made its last row. As text, the frame and
/// the place of the entry in it with a dot between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) EntryPlace);

/// Text that is no [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the cursor of a page")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.n, self.0.place)
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (n, place) = text.split_once('.').ok_or(NoCursor)?;
        let n = n.parse().map(FrameNumber).map_err(|_| NoCursor)?;
        let place = place.parse().map_err(|_| NoCursor)?;
        Ok(Self(EntryPlace { n, place }))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// `None` on the last page.
    pub next: Option<Cursor>,
}

/// A job as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    pub id: JobId,
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    /// `None` of a job that was refused, and of a task.
    pub module_version: Option<String>,
    pub worker_labels: BTreeSet<String>,
    pub status: JobState,
    /// The newest attempt; 0 before the first.
    pub attempt: Attempt,
    /// Why it does not run, while it is queued.
    pub waiting_code: Option<WaitingCode>,
    /// `None` where Postgres cannot store them; `parked` says so.
    pub inputs: Option<RawJson>,
    pub outputs: Option<RawJson>,
    pub requested_resources: Resources,
    pub reserved_resources: Option<ReservedResources>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Not before then, while that is in the future.
    pub due_at: Option<Timestamp>,
    pub error: Option<JobError>,
    /// The newest frame with an entry of the job.
    pub n: FrameNumber,
    /// The worker of the newest attempt; kept after its end.
    pub worker_id: Option<WorkerId>,
    pub priority: u8,
    /// What makes it a task.
    pub task: Option<Task>,
    /// What its submitter says of it.
    pub metadata: Metadata,
    /// How many of its key run at a time.
    pub concurrency: Option<Concurrency>,
    /// How far the newest attempt is, by its worker's word.
    pub progress: Option<Progress>,
    pub fingerprint: Option<String>,
    /// Why the row does not tell all.
    pub parked: Option<Parked>,
    /// The frame whose entry made the job, and the place of that entry in it.
    pub submitted_n: FrameNumber,
    pub submitted_place: u32,
}

impl JobRow {
    /// Where the entry that made the job stands.
    pub(crate) fn submitted(&self) -> EntryPlace {
        EntryPlace { n: self.submitted_n, place: self.submitted_place }
    }
}

impl Reader {
    pub async fn job(
        &self,
        tenant: &TenantId,
        id: JobId,
    ) -> Result<At<Option<JobRow>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(&rows_where("tenant = $1 and id = $2"));
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(id.0);
        let row = query.fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(job).transpose()?).await
    }

    /// As [`job`](Self::job), of several in one snapshot, in whatever order; those without a row are left out.
    pub async fn jobs_of(
        &self,
        tenant: &TenantId,
        ids: &[JobId],
    ) -> Result<At<Vec<JobRow>>, QueryError> {
        let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        let mut look = self.look().await?;
        let sql = look.sql(&rows_where("tenant = $1 and id = any($2)"));
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(ids);
        let rows = query.fetch_all(look.connection()).await.map_err(|error| look.failed(error))?;
        look.end(rows.iter().map(job).collect::<Result<_, _>>()?).await
    }
}

/// Rows of jobs that `condition` lets through, of both tables.
pub(super) fn rows_where(condition: &str) -> String {
    rows(condition, "inputs", "outputs")
}

/// The same, without what may be large.
pub(super) fn rows_without_outputs(condition: &str) -> String {
    rows(condition, "inputs", "null::json")
}

/// The same, of inputs with what says of which kind a job is, and nothing else.
pub(super) fn brief_rows_where(condition: &str) -> String {
    rows(condition, "json_build_object('kind', inputs->'kind') as inputs", "null::json")
}

fn rows(condition: &str, inputs: &str, outputs: &str) -> String {
    format!(
        "select id, tenant, user_id, module, status, attempt, waiting_code, {inputs}, null::json as outputs,
                cpu, mem_mb, wall_time_s, gpu, period, reservation, created_at, started_at, ended_at,
                due_at, error, n, worker_id, priority, fingerprint, parked, submitted,
                raised_resources, module_version, worker_labels, topic, room, progress,
                labels, release_id, retry_of, concurrency
         from jobs_live
         where {condition}
         union all
         select id, tenant, user_id, module, status, attempt, null, {inputs}, {outputs},
                cpu, mem_mb, wall_time_s, gpu, period, reservation, created_at, started_at, ended_at,
                due_at, error, n, worker_id, priority, fingerprint, parked, submitted,
                raised_resources, module_version, worker_labels, topic, room, progress,
                labels, release_id, retry_of, concurrency
         from jobs_ended
         where {condition}"
    )
}

pub(super) fn job(row: &PgRow) -> sqlx::Result<JobRow> {
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let json = |column| row.try_get::<Option<Json<RawJson>>, _>(column).map(|j| j.map(|j| j.0));
    let waiting: Option<&str> = row.try_get("waiting_code")?;
    let worker: Option<&str> = row.try_get("worker_id")?;
    let parked: Option<&str> = row.try_get("parked")?;
    let requested_resources = resources(row)?;
    let (period, reservation) = (instant("period")?, row.try_get("reservation")?);
    let labels: Option<Json<_>> = row.try_get("worker_labels")?;
    let raised: Option<Json<Resources>> = row.try_get("raised_resources")?;
    let given = raised.map_or(requested_resources, |Json(raised)| raised);
    let error: Option<Json<_>> = row.try_get("error")?;
    let progress: Option<Json<_>> = row.try_get("progress")?;
    let submitted = EntryPlace::unpacked(row.try_get("submitted")?);
    Ok(JobRow {
        id: JobId(row.try_get("id")?),
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        module_version: row.try_get("module_version")?,
        worker_labels: labels.map(|Json(labels)| labels).unwrap_or_default(),
        status: row.try_get::<&str, _>("status")?.parse().map_err(decode)?,
        attempt: Attempt(row.try_get::<i32, _>("attempt")?.unsigned_abs()),
        waiting_code: waiting.map(stored::waiting_code).transpose().map_err(decode)?,
        inputs: json("inputs")?,
        outputs: json("outputs")?,
        requested_resources,
        reserved_resources: period.map(|_| ReservedResources::new(given, reservation)),
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        started_at: instant("started_at")?,
        ended_at: instant("ended_at")?,
        due_at: instant("due_at")?,
        error: error.map(|Json(error)| error),
        n: number(row.try_get("n")?),
        worker_id: worker.map(WorkerId::new).transpose().map_err(decode)?,
        priority: row.try_get::<i16, _>("priority")? as u8,
        task: task(row)?,
        metadata: metadata(row)?,
        concurrency: concurrency(row)?.map(|of| *of),
        progress: progress.map(|Json(progress)| progress),
        fingerprint: row.try_get("fingerprint")?,
        parked: parked.map(str::parse).transpose().map_err(decode)?,
        submitted_n: submitted.n,
        submitted_place: submitted.place,
    })
}
