//! Answers from the rows. One statement a function; lists are paged by key and never counted.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use nox_contract::{
    Attempt, Capacity, EventNumber, JobError, JobId, JobState, Limits, Manifest, ModuleName,
    Positions, RawJson, Resources, SessionId, TenantId, Timestamp, UserId, WaitingCode, WorkerId,
    fact::ServedModule,
};
use nox_core::ledger::Balance;
use sqlx::{
    PgPool, Postgres, QueryBuilder, Row,
    postgres::{PgPoolOptions, PgRow},
    types::Json,
};

use crate::{
    batch::LogMessage,
    load::{self, decode},
    metrics::{self, Durations, MetricsSnapshot, Submitted},
    project::ReservedResources,
    rows::{self, Parked, WorkerState},
    schema::Database,
    segment::{self, DamagedSegment},
    sql::{Instant, big, count, is_unavailable, number},
};

/// How long a read waits for a connection: longer than any burst, shorter than a user's patience.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(2);

/// Longest time of one statement: each reads a page by its key, so one that takes so long takes room
/// from others and nobody waits for it any more.
const STATEMENT_WITHIN: (&str, &str) = ("statement_timeout", "10s");

/// Most rows of one page.
pub const PAGE_MAX: usize = 1_000;

/// Most events of one job in one answer: each may lie in a segment of its own, which is read whole.
pub const JOB_EVENTS_MAX: usize = 200;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Postgres is away, overloaded, or was not prepared yet. Try again.
    #[error("postgres is not available")]
    Unavailable(#[source] sqlx::Error),
    #[error("postgres does not answer as it must")]
    Broken(#[source] sqlx::Error),
    #[error(transparent)]
    Damaged(#[from] DamagedSegment),
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        if is_missing(&error) || is_unavailable(&error) {
            Self::Unavailable(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// No such table or schema: not prepared yet, or an old generation that was just dropped.
fn is_missing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|refusal| refusal.code());
    code.is_some_and(|code| matches!(&*code, "42P01" | "3F000"))
}

/// Reads the current generation. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

struct Shared {
    database: Database,
    connections_max: u32,
    /// The newest generation that was seen to be current, once one was.
    current: RwLock<Option<(u64, PgPool)>>,
}

/// How far the rows are: a fold of the log up to `n`, which had consumed the inputs up to `pos`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub n: EventNumber,
    pub pos: Positions,
}

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

/// Where a page ended: the number of the event that made its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(EventNumber);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|n| Self(EventNumber(n)))
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
    /// The newest event of the job.
    pub n: EventNumber,
    /// The worker of the newest attempt; kept after its end.
    pub worker_id: Option<WorkerId>,
    pub priority: u8,
    pub fingerprint: Option<String>,
    /// Why the row does not tell all.
    pub parked: Option<Parked>,
    /// The event that made the job.
    pub submitted_n: EventNumber,
}

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

/// A refusal that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationRow {
    pub n: EventNumber,
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
    pub n: EventNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsRow {
    /// The role that the limits come from; empty for a tenant.
    pub role: String,
    pub limits: Limits,
    pub n: EventNumber,
}

/// One event of a job, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    pub n: EventNumber,
    /// An [`nox_contract::Event`] as JSON.
    pub payload: bytes::Bytes,
}

impl Reader {
    /// Names the database; nothing is asked of it before the first read, so Postgres may be away.
    ///
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, QueryError> {
        let database = Database::new(url)?;
        Ok(Self(Arc::new(Shared { database, connections_max, current: RwLock::default() })))
    }

    /// How far the rows are. Also notices that another generation became the current one, so a
    /// process that reads for long must ask this now and then.
    pub async fn progress(&self) -> Result<Progress, QueryError> {
        loop {
            let (generation, pool) = self.current().await?;
            let row = sqlx::query(
                "select generation, n, pos_commands, pos_reports from nox.generation, projection",
            )
            .fetch_one(&pool)
            .await;
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    if is_missing(&error) {
                        self.forget(generation);
                    }
                    return Err(error.into());
                }
            };
            if count(row.try_get("generation")?) != generation {
                self.forget(generation);
                continue;
            }
            let pos = Positions {
                commands: count(row.try_get("pos_commands")?),
                reports: count(row.try_get("pos_reports")?),
            };
            return Ok(Progress { n: number(row.try_get("n")?), pos });
        }
    }

    pub async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Option<JobRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let mut query = select_jobs(tenant);
        query.push(" and id = ").push_bind(id.0);
        let row = query.build().fetch_optional(&pool).await?;
        Ok(row.as_ref().map(job).transpose()?)
    }

    /// A page of jobs, newest first. Jobs that come in meanwhile are before the first page; none is
    /// listed twice or missed by following `next`.
    pub async fn jobs(&self, filter: &Filter) -> Result<Page<JobRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let mut query = select_jobs(&filter.tenant);
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
            None => &mut query,
        };
        if let Some(module) = &filter.module {
            query.push(" and module = ").push_bind(module.as_str().to_owned());
        }
        if let Some(Cursor(before)) = filter.before {
            query.push(" and submitted_n < ").push_bind(big(before.0));
        }
        query.push(" order by submitted_n desc limit ").push_bind(limit as i64 + 1);

        let found = query.build().fetch_all(&pool).await?;
        let rows = found.iter().take(limit).map(job).collect::<sqlx::Result<Vec<_>>>()?;
        let more = found.len() > limit;
        let next = rows.last().filter(|_| more).map(|last| Cursor(last.submitted_n));
        Ok(Page { rows, next })
    }

    /// The events of a job after `after`, in order, at most [`JOB_EVENTS_MAX`]; `None` if there is
    /// no such job.
    pub async fn job_events(
        &self,
        tenant: &TenantId,
        id: JobId,
        after: EventNumber,
    ) -> Result<Option<Vec<RawEvent>>, QueryError> {
        let Some(mut numbers) = self.job_event_numbers(tenant, id).await? else { return Ok(None) };
        numbers.retain(|n| *n > after);
        numbers.truncate(JOB_EVENTS_MAX);
        let mut events = Vec::with_capacity(numbers.len());
        for (n_first, messages) in self.segments_with(&numbers).await? {
            for (n, message) in (n_first.0..).map(EventNumber).zip(messages) {
                if numbers.binary_search(&n).is_ok() {
                    events.push(RawEvent { n, payload: message.payload });
                }
            }
        }
        Ok(Some(events))
    }

    async fn job_event_numbers(
        &self,
        tenant: &TenantId,
        id: JobId,
    ) -> Result<Option<Vec<EventNumber>>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query("select submitted_n, events from jobs where tenant = $1 and id = $2")
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(&pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let first = number(row.try_get("submitted_n")?);
        Ok(Some(rows::event_numbers(first, row.try_get("events")?)))
    }

    /// The segments that hold any of `numbers`, by the number of their first message.
    async fn segments_with(
        &self,
        numbers: &[EventNumber],
    ) -> Result<Vec<(EventNumber, Vec<LogMessage>)>, QueryError> {
        let (_, pool) = self.current().await?;
        let numbers: Vec<i64> = numbers.iter().map(|n| big(n.0)).collect();
        let rows = sqlx::query(
            "select n_first, bytes, content
             from segments
             where n_first in (
                 select (select max(n_first) from segments where n_first <= n)
                 from unnest($1::bigint[]) as wanted (n)
             )
             order by n_first",
        )
        .bind(numbers)
        .fetch_all(&pool)
        .await?;
        rows.iter()
            .map(|row| {
                let n_first = number(row.try_get("n_first")?);
                let bytes = count(row.try_get("bytes")?) as usize;
                Ok((n_first, segment::decode(n_first, bytes, row.try_get("content")?)?))
            })
            .collect()
    }

    /// The messages after `after`, as they were written, whole segments at a time: the log's second
    /// copy. Empty at the end.
    pub async fn log(
        &self,
        after: EventNumber,
    ) -> Result<Vec<(EventNumber, LogMessage)>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query(
            "select n_first, bytes, content
             from segments
             where n_last > $1
             order by n_first
             limit 1",
        )
        .bind(big(after.0))
        .fetch_optional(&pool)
        .await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let n_first = number(row.try_get("n_first")?);
        let bytes = count(row.try_get("bytes")?) as usize;
        let messages = segment::decode(n_first, bytes, row.try_get("content")?)?;
        let numbered = (n_first.0..).map(EventNumber).zip(messages);
        Ok(numbered.filter(|(n, _)| *n > after).collect())
    }

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

    /// The newest refusals of a tenant, or of one of its users; at most `limit` and [`PAGE_MAX`].
    pub async fn violations(
        &self,
        tenant: &TenantId,
        user: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<ViolationRow>, QueryError> {
        let (_, pool) = self.current().await?;
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
        query.push(" order by n desc, part desc limit ").push_bind(limit);
        let rows = query.build().fetch_all(&pool).await?;
        Ok(rows.iter().map(violation).collect::<sqlx::Result<_>>()?)
    }

    /// The budgets of an account, newest period first; at most `limit` and [`PAGE_MAX`].
    pub async fn balances(
        &self,
        tenant: &TenantId,
        account: &str,
        limit: usize,
    ) -> Result<Vec<BalanceRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let rows = sqlx::query(
            "select period, granted, free, reserved, used, overrun, n
             from quota_balances
             where tenant = $1 and account = $2
             order by period desc
             limit $3",
        )
        .bind(tenant.as_str())
        .bind(account)
        .bind(limit.clamp(1, PAGE_MAX) as i64)
        .fetch_all(&pool)
        .await?;
        let balance = |row: &PgRow| {
            Ok(BalanceRow {
                period: row.try_get::<Instant, _>("period")?.0,
                balance: load::balance(row)?,
                n: number(row.try_get("n")?),
            })
        };
        Ok(rows.iter().map(balance).collect::<sqlx::Result<_>>()?)
    }

    /// The newest limits of an account.
    pub async fn limits(
        &self,
        tenant: &TenantId,
        account: &str,
    ) -> Result<Option<LimitsRow>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query(
            "select role, cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb, n
             from quota_limits
             where tenant = $1 and account = $2",
        )
        .bind(tenant.as_str())
        .bind(account)
        .fetch_optional(&pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let small = |column| {
            row.try_get::<i64, _>(column).map(|big| u32::try_from(big).unwrap_or_default())
        };
        Ok(Some(LimitsRow {
            role: row.try_get("role")?,
            limits: Limits {
                cpu_seconds: row.try_get("cpu_seconds")?,
                queued_jobs: small("queued_jobs")?,
                running_jobs: small("running_jobs")?,
                cpu: small("cpu")?,
                mem_mb: small("mem_mb")?,
            },
            n: number(row.try_get("n")?),
        }))
    }

    /// All metrics of jobs.
    pub async fn metrics(&self) -> Result<MetricsSnapshot, QueryError> {
        let (_, pool) = self.current().await?;
        let rows = sqlx::query("select name, labels, value from metrics order by name, labels")
            .fetch_all(&pool)
            .await?;
        let mut snapshot = MetricsSnapshot::default();
        for row in &rows {
            add_metric(&mut snapshot, row)?;
        }
        Ok(snapshot)
    }

    async fn current(&self) -> Result<(u64, PgPool), QueryError> {
        let known = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let asked = tokio::time::timeout(ACQUIRE_WITHIN, self.0.database.current()).await;
        let generation = asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let not_prepared = || QueryError::Unavailable(sqlx::Error::RowNotFound);
        let generation = generation.ok_or_else(not_prepared)?;

        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = current.as_ref().filter(|(known, _)| *known == generation) {
            return Ok(known.clone());
        }
        // The pool before this one closes its connections as its last queries end.
        let pool = PgPoolOptions::new()
            .max_connections(self.0.connections_max)
            .acquire_timeout(ACQUIRE_WITHIN)
            .connect_lazy_with(self.0.database.options(generation).options([STATEMENT_WITHIN]));
        Ok(current.insert((generation, pool)).clone())
    }

    fn forget(&self, generation: u64) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(known, _)| *known == generation) {
            *current = None;
        }
    }
}

fn select_jobs(tenant: &TenantId) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select id, tenant, user_id, module, status, attempt, waiting_code, inputs, outputs,
                requested_resources, reserved_resources, created_at, started_at, ended_at, due_at,
                error, n, worker_id, priority, fingerprint, parked, submitted_n
         from jobs
         where tenant = ",
    );
    query.push_bind(tenant.as_str().to_owned());
    query
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
    })
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

/// The labels of any metric; each has some of them.
#[derive(serde::Deserialize)]
struct Labels {
    tenant: Option<TenantId>,
    user_id: Option<UserId>,
    module: Option<ModuleName>,
    bucket: Option<usize>,
    code: Option<String>,
    reason: Option<String>,
}

fn add_metric(snapshot: &mut MetricsSnapshot, row: &PgRow) -> sqlx::Result<()> {
    let Json(labels): Json<Labels> = row.try_get("labels")?;
    let value: i64 = row.try_get("value")?;
    let Labels { tenant, user_id, module, bucket, code, reason } = labels;
    match (row.try_get("name")?, module) {
        (metrics::SUBMITTED, Some(module)) => {
            if let (Some(tenant), Some(user_id)) = (tenant, user_id) {
                let count = count(value);
                snapshot.submitted.push(Submitted { tenant, user_id, module, count });
            }
        }
        (metrics::RUNNING, Some(module)) => snapshot.running.push((module, value)),
        (metrics::FAILURES, Some(module)) => snapshot.failures.push((module, count(value))),
        (metrics::DURATION_BUCKET, Some(module)) => {
            let durations = durations_of(snapshot, module);
            durations.count += count(value);
            for bucket in durations.buckets.iter_mut().skip(bucket.unwrap_or(usize::MAX)) {
                *bucket += count(value);
            }
        }
        (metrics::DURATION_MICROS, Some(module)) => {
            durations_of(snapshot, module).sum_seconds = value as f64 / 1e6;
        }
        (metrics::VIOLATIONS, None) => snapshot.violations.extend(code.map(|c| (c, count(value)))),
        (metrics::PARKED, None) => snapshot.parked.extend(reason.map(|r| (r, count(value)))),
        // A newer version counts more.
        _ => {}
    }
    Ok(())
}

fn durations_of(snapshot: &mut MetricsSnapshot, module: ModuleName) -> &mut Durations {
    let known = snapshot.durations.iter().position(|durations| durations.module == module);
    let index = known.unwrap_or(snapshot.durations.len());
    if known.is_none() {
        let buckets = Default::default();
        snapshot.durations.push(Durations { module, buckets, count: 0, sum_seconds: 0.0 });
    }
    &mut snapshot.durations[index]
}
