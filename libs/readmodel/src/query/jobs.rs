//! Jobs, one and many.

use std::{convert::Infallible, fmt, str::FromStr};

use nox_contract::{
    Attempt, FrameNumber, JobError, JobId, JobState, ModuleName, RawJson, Resources, TenantId,
    Timestamp, UserId, WaitingCode, WorkerId,
};
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow, types::Json};

use super::{At, PAGE_MAX, QueryError, Reader};
use crate::{
    batch::EntryPlace,
    load::decode,
    project::ReservedResources,
    rows::{self, Parked},
    sql::{Instant, big, number, small},
};

/// Which jobs to list, newest first.
#[derive(Debug, Clone)]
pub struct Filter {
    pub tenant: TenantId,
    pub user: Option<UserId>,
    pub status: Option<JobState>,
    pub module: Option<ModuleName>,
    /// At most [`PAGE_MAX`].
    pub limit: usize,
    /// Go on where the page before ended.
    pub before: Option<Cursor>,
}

impl Filter {
    /// The newest jobs of a tenant.
    pub fn of(tenant: TenantId, limit: usize) -> Self {
        Self { tenant, user: None, status: None, module: None, limit, before: None }
    }
}

/// Where a page ended: the place in the log of the entry that made its last row. As text, the frame and
/// the place of the entry in it with a dot between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(EntryPlace);

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
    pub fingerprint: Option<String>,
    /// Why the row does not tell all.
    pub parked: Option<Parked>,
    /// The frame whose entry made the job, and the place of that entry in it.
    pub submitted_n: FrameNumber,
    pub submitted_place: u32,
}

impl Reader {
    pub async fn job(
        &self,
        tenant: &TenantId,
        id: JobId,
    ) -> Result<At<Option<JobRow>>, QueryError> {
        let mut look = self.look().await?;
        let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
        query.push_bind(tenant.as_str().to_owned());
        query.push(" and id = ").push_bind(id.0).push(look.mark());
        let row = query.build().fetch_optional(look.connection()).await;
        let row = row.map_err(|error| look.failed(error))?;
        look.end(row.as_ref().map(job).transpose()?).await
    }

    /// A page of jobs, newest first. Jobs that come in meanwhile are before the first page; none is
    /// listed twice or missed by following `next`.
    pub async fn jobs(&self, filter: &Filter) -> Result<At<Page<JobRow>>, QueryError> {
        let At { progress, value } =
            self.jobs_within(filter, usize::MAX, |_| Ok::<(), Infallible>(())).await?;
        let Ok((page, ())) = value;
        Ok(At { progress, value: page })
    }

    /// The same, of at most `bytes_max` bytes, or of one row. Before they are read, `room` is asked for
    /// as many bytes as they have; what it gives comes with the page, and its refusal instead of it.
    pub async fn jobs_within<R, E>(
        &self,
        filter: &Filter,
        bytes_max: usize,
        room: impl FnOnce(usize) -> Result<R, E>,
    ) -> Result<At<Result<(Page<JobRow>, R), E>>, QueryError> {
        let mut look = self.look().await?;
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let mut query = QueryBuilder::new(SIZES);
        restrict(&mut query, filter);
        query
            .push(" order by submitted_n desc, submitted_place desc limit ")
            .push_bind(limit as i64 + 1);
        query.push(look.mark());
        let sizes = query.build().fetch_all(look.connection()).await;
        let sizes = sizes.map_err(|error| look.failed(error))?;
        let sizes = sizes.iter().map(size).collect::<sqlx::Result<Vec<_>>>()?;
        let (bytes, last) = fitting(&sizes[..limit.min(sizes.len())], bytes_max);
        let room = match room(bytes) {
            Ok(room) => room,
            Err(refused) => return look.end(Err(refused)).await,
        };
        let Some(last) = last else {
            return look.end(Ok((Page { rows: Vec::new(), next: None }, room))).await;
        };

        let mut query = QueryBuilder::new(COLUMNS);
        restrict(&mut query, filter);
        query.push(" and (submitted_n, submitted_place) >= (").push_bind(big(last.n.0));
        query.push(", ").push_bind(small(last.place)).push(")");
        query.push(" order by submitted_n desc, submitted_place desc").push(look.mark());
        let found = query.build().fetch_all(look.connection()).await;
        let found = found.map_err(|error| look.failed(error))?;
        let rows = found.iter().map(job).collect::<sqlx::Result<Vec<_>>>()?;
        let next = (rows.len() < sizes.len()).then_some(Cursor(last));
        look.end(Ok((Page { rows, next }, room))).await
    }
}

/// What a row takes up beside what is counted: names, ids and instants.
const ROW_BYTES: usize = 1024;

/// How many bytes each row has where that is not small, of the same snapshot as the rows.
const SIZES: &str = "select submitted_n, submitted_place,
        octet_length(coalesce(inputs::text, '')) + octet_length(coalesce(outputs::text, ''))
            + octet_length(coalesce(error::text, '')) as bytes
 from jobs
 where tenant = ";

const COLUMNS: &str = "select id, tenant, user_id, module, status, attempt, waiting_code, inputs,
        outputs, requested_resources, reserved_resources, created_at, started_at, ended_at, due_at,
        error, n, worker_id, priority, fingerprint, parked, submitted_n,
        submitted_place
 from jobs
 where tenant = ";

fn size(row: &PgRow) -> sqlx::Result<(EntryPlace, usize)> {
    let bytes: i32 = row.try_get("bytes")?;
    let place = EntryPlace {
        n: number(row.try_get("submitted_n")?),
        place: row.try_get::<i32, _>("submitted_place")?.unsigned_abs(),
    };
    Ok((place, bytes.unsigned_abs() as usize + ROW_BYTES))
}

/// The first rows that have at most `bytes_max` bytes, but at least one: their bytes, and the last.
fn fitting(sizes: &[(EntryPlace, usize)], bytes_max: usize) -> (usize, Option<EntryPlace>) {
    let (mut bytes, mut last) = (0, None);
    for (place, size) in sizes {
        if last.is_some() && bytes + size > bytes_max {
            break;
        }
        (bytes, last) = (bytes + size, Some(*place));
    }
    (bytes, last)
}

/// Which rows a filter lets through, behind `where tenant = `.
fn restrict(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push_bind(filter.tenant.as_str().to_owned());
    if let Some(user) = &filter.user {
        query.push(" and user_id = ").push_bind(user.as_str().to_owned());
    }
    // As words of the statement, so that the planner sees whether the partial index serves.
    match filter.status {
        Some(JobState::Draft) => query.push(" and status = 'draft'"),
        Some(JobState::Queued) => query.push(" and status = 'queued'"),
        Some(JobState::Running) => query.push(" and status = 'running'"),
        Some(JobState::Succeeded) => query.push(" and status = 'succeeded'"),
        Some(JobState::Failed) => query.push(" and status = 'failed'"),
        Some(JobState::Canceled) => query.push(" and status = 'canceled'"),
        None => &mut *query,
    };
    if let Some(module) = &filter.module {
        query.push(" and module = ").push_bind(module.as_str().to_owned());
    }
    if let Some(Cursor(EntryPlace { n, place })) = filter.before {
        query.push(" and (submitted_n, submitted_place) < (").push_bind(big(n.0));
        query.push(", ").push_bind(small(place)).push(")");
    }
}

fn job(row: &PgRow) -> sqlx::Result<JobRow> {
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let json = |column| row.try_get::<Option<Json<RawJson>>, _>(column).map(|j| j.map(|j| j.0));
    let waiting: Option<&str> = row.try_get("waiting_code")?;
    let worker: Option<&str> = row.try_get("worker_id")?;
    let parked: Option<&str> = row.try_get("parked")?;
    let Json(requested_resources) = row.try_get("requested_resources")?;
    let reserved_resources: Option<Json<_>> = row.try_get("reserved_resources")?;
    let error: Option<Json<_>> = row.try_get("error")?;
    Ok(JobRow {
        id: JobId(row.try_get("id")?),
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        status: row.try_get::<&str, _>("status")?.parse().map_err(decode)?,
        attempt: Attempt(row.try_get::<i32, _>("attempt")?.unsigned_abs()),
        waiting_code: waiting.map(rows::waiting_code).transpose().map_err(decode)?,
        inputs: json("inputs")?,
        outputs: json("outputs")?,
        requested_resources,
        reserved_resources: reserved_resources.map(|Json(reserved)| reserved),
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        started_at: instant("started_at")?,
        ended_at: instant("ended_at")?,
        due_at: instant("due_at")?,
        error: error.map(|Json(error)| error),
        n: number(row.try_get("n")?),
        worker_id: worker.map(WorkerId::new).transpose().map_err(decode)?,
        priority: row.try_get::<i16, _>("priority")? as u8,
        fingerprint: row.try_get("fingerprint")?,
        parked: parked.map(str::parse).transpose().map_err(decode)?,
        submitted_n: number(row.try_get("submitted_n")?),
        submitted_place: row.try_get::<i32, _>("submitted_place")?.unsigned_abs(),
    })
}
