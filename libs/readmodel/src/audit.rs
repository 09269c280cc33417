//! Whether the rows are what they should be: the ledger's balance, and a hash over all of them.

use futures_util::TryStreamExt;
use nox_contract::FrameNumber;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow};

use crate::{
    rows::JobCounts,
    schema::{Database, scope},
    sql::{Instant, number},
};

/// All rows of one generation in a few bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHash {
    pub generation: u64,
    /// The place in the log that the rows are a fold of.
    pub n: FrameNumber,
    /// BLAKE3, as hex digits. Depends on the log up to `n` and on this version's fold alone: neither on
    /// the generation nor on how the frames were batched.
    pub hash: String,
}

/// Each table in the order of its key, as Postgres prints rows. The chain in `projection` stands for
/// every byte of the log. Left out is what does not depend on that: the incarnation, and rows that were kept
/// long enough, for when each is removed depends on the commits.
const TABLES: [(&str, &str); 14] = [
    (
        "projection",
        "select row(n, chain, commands_seq, commands_part, commands_incarnation, reports_seq,
                    reports_part, reports_incarnation, at)::text
         from projection",
    ),
    ("jobs_live", "select jobs_live::text from jobs_live order by id"),
    (
        "jobs_ended",
        "select jobs_ended::text from jobs_ended
         where $1::timestamptz is null or ended_at >= $1
         order by id",
    ),
    (
        "quota_balances",
        "select quota_balances::text from quota_balances
         order by tenant collate \"C\", account collate \"C\", period",
    ),
    (
        "quota_limits",
        "select quota_limits::text from quota_limits
         order by tenant collate \"C\", account collate \"C\"",
    ),
    (
        "quota_usage",
        // Whether there is a row of an account that has none depends on the batches.
        "select quota_usage::text from quota_usage
         where queued_jobs <> 0 or running_jobs <> 0
         order by tenant collate \"C\", account collate \"C\"",
    ),
    (
        "quota_violations",
        "select quota_violations::text from quota_violations
         where $1::timestamptz is null or at >= $1
         order by n, part",
    ),
    ("modules", "select modules::text from modules order by name collate \"C\""),
    ("workers", "select workers::text from workers order by worker_id collate \"C\""),
    ("api_keys", "select api_keys::text from api_keys order by key_id"),
    ("schedules", "select schedules::text from schedules order by schedule_id"),
    ("webhooks", "select webhooks::text from webhooks order by webhook_id"),
    ("metrics", "select metrics::text from metrics order by name collate \"C\", labels"),
    (
        "parked",
        "select parked::text from parked
         where $1::timestamptz is null or at >= $1 or rowless
         order by n, place",
    ),
];

/// Hashes the rows of `generation`, or of the current one, at one moment.
///
/// # Errors
/// Postgres is away, or there is no such generation.
pub async fn content_hash(url: &str, generation: Option<u64>) -> sqlx::Result<ContentHash> {
    let database = Database::new(url)?;
    let generation = match generation {
        Some(generation) => generation,
        None => database.current().await?.ok_or(sqlx::Error::RowNotFound)?,
    };
    let mut connection = database.connect().await?;
    let mut snapshot = begin_snapshot(&mut connection, generation).await?;
    let expired_before = expired_before(&mut snapshot).await?;
    content_hash_of(&mut snapshot, generation, expired_before).await
}

/// Begins a transaction that sees one moment of one generation, and prints values in one way.
pub(crate) async fn begin_snapshot(
    connection: &mut PgConnection,
    generation: u64,
) -> sqlx::Result<sqlx::Transaction<'_, sqlx::Postgres>> {
    let begin = format!(
        "begin isolation level repeatable read read only; {}; set local timezone = 'UTC';
         set local datestyle = 'ISO, YMD'; set local bytea_output = 'hex'",
        scope(generation),
    );
    connection.begin_with(AssertSqlSafe(begin)).await
}

pub(crate) async fn content_hash_of(
    snapshot: &mut PgConnection,
    generation: u64,
    expired_before: Option<Instant>,
) -> sqlx::Result<ContentHash> {
    let n = place(snapshot).await?;
    let mut hasher = blake3::Hasher::new();
    for (table, statement) in TABLES {
        hasher.update(&[0xff]);
        hasher.update(table.as_bytes());
        let mut rows = sqlx::query_scalar::<_, String>(statement);
        if statement.contains("$1") {
            rows = rows.bind(expired_before);
        }
        let mut rows = rows.fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            hasher.update(&(row.len() as u64).to_le_bytes());
            hasher.update(row.as_bytes());
        }
    }
    Ok(ContentHash { generation, n, hash: hasher.finalize().to_hex().to_string() })
}

pub(crate) async fn place(connection: &mut PgConnection) -> sqlx::Result<FrameNumber> {
    sqlx::query_scalar("select n from projection").fetch_one(connection).await.map(number)
}

/// Rows of before do not count any more.
pub(crate) async fn expired_before(connection: &mut PgConnection) -> sqlx::Result<Option<Instant>> {
    sqlx::query_scalar("select expired_before from projection").fetch_one(connection).await
}

/// How many days rows of ended jobs are kept.
pub(crate) async fn keep_days(connection: &mut PgConnection) -> sqlx::Result<Option<u32>> {
    let days: Option<i32> =
        sqlx::query_scalar("select keep_days from projection").fetch_one(connection).await?;
    Ok(days.map(i32::unsigned_abs))
}

/// An account whose balance is not what its jobs say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDifference {
    pub tenant: String,
    pub account: String,
    pub reserved: i64,
    pub reserved_by_jobs: i64,
    pub used: i64,
    pub used_by_jobs: i64,
}

/// Compares every balance with the sum of the ledger's lines; empty if all agree. Reads every job. What
/// was used in a period of which rows may have expired is not compared.
///
/// That free + reserved + used = granted holds in each balance is a constraint of the table.
pub async fn ledger_differences(url: &str) -> sqlx::Result<Vec<LedgerDifference>> {
    let database = Database::new(url)?;
    let generation = database.current().await?.ok_or(sqlx::Error::RowNotFound)?;
    let mut connection = database.connect().await?;
    let mut snapshot = begin_snapshot(&mut connection, generation).await?;
    let rows = sqlx::query(
        "with lines as (
             select tenant, account, period, sum(reserved)::bigint as reserved,
                    sum(used)::bigint as used
             from quota_ledger
             group by tenant, account, period
         ),
         accounts as (
             select * from lines
             union all
             select tenant, 'tenant', period, sum(reserved)::bigint, sum(used)::bigint
             from lines
             group by tenant, period
         )
         select coalesce(b.tenant, a.tenant) as tenant, coalesce(b.account, a.account) as account,
                coalesce(b.reserved, 0) as reserved, coalesce(a.reserved, 0) as reserved_by_jobs,
                coalesce(b.used, 0) as used, coalesce(a.used, 0) as used_by_jobs
         from quota_balances b
         full join accounts a using (tenant, account, period)
         where coalesce(b.reserved, 0) <> coalesce(a.reserved, 0)
            or coalesce(b.used, 0) <> coalesce(a.used, 0)
               -- Whatever was reserved in a period ended in it or later.
               and period >= (select coalesce(expired_before, '-infinity') from projection)
         order by 1, 2",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LedgerDifference {
                tenant: row.try_get("tenant")?,
                account: row.try_get("account")?,
                reserved: row.try_get("reserved")?,
                reserved_by_jobs: row.try_get("reserved_by_jobs")?,
                used: row.try_get("used")?,
                used_by_jobs: row.try_get("used_by_jobs")?,
            })
        })
        .collect()
}

/// An account whose counts of jobs are not what its rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDifference {
    pub tenant: String,
    pub account: String,
    pub counted: JobCounts,
    pub by_jobs: JobCounts,
}

/// Compares the counts of every account with its jobs; empty if all agree. Reads every live job.
pub async fn usage_differences(url: &str) -> sqlx::Result<Vec<UsageDifference>> {
    let database = Database::new(url)?;
    let generation = database.current().await?.ok_or(sqlx::Error::RowNotFound)?;
    let mut connection = database.connect().await?;
    let mut snapshot = begin_snapshot(&mut connection, generation).await?;
    let rows = sqlx::query(
        "with jobs as (
             select tenant, 'user/' || user_id as account,
                    count(*) filter (where status in ('queued', 'running')) as queued,
                    count(*) filter (where held) as running
             from jobs_live
             group by tenant, user_id
         ),
         accounts as (
             select * from jobs
             union all
             select tenant, 'tenant', sum(queued)::bigint, sum(running)::bigint
             from jobs
             group by tenant
         )
         select coalesce(u.tenant, a.tenant) as tenant, coalesce(u.account, a.account) as account,
                coalesce(u.queued_jobs, 0) as queued, coalesce(a.queued, 0) as queued_by_jobs,
                coalesce(u.running_jobs, 0) as running, coalesce(a.running, 0) as running_by_jobs
         from quota_usage u
         full join accounts a using (tenant, account)
         where coalesce(u.queued_jobs, 0) <> coalesce(a.queued, 0)
            or coalesce(u.running_jobs, 0) <> coalesce(a.running, 0)
         order by 1, 2",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let counts = |row: &PgRow, queued, running| -> sqlx::Result<JobCounts> {
        Ok(JobCounts { queued_jobs: row.try_get(queued)?, running_jobs: row.try_get(running)? })
    };
    rows.iter()
        .map(|row| {
            Ok(UsageDifference {
                tenant: row.try_get("tenant")?,
                account: row.try_get("account")?,
                counted: counts(row, "queued", "running")?,
                by_jobs: counts(row, "queued_by_jobs", "running_by_jobs")?,
            })
        })
        .collect()
}
