//! Rows that were kept long enough: of ended jobs, of violations, of entries that were parked.

use nox_contract::{JobId, Timestamp};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::sql::Instant;

/// Rows of a table that one transaction may remove at least: so few that no reader waits for them. It may
/// remove twice as many as it has entries, each of which ends at most one job, records one violation and is
/// parked once: so that rows do not pile up, however much a transaction takes in.
const REMOVED_AT_LEAST: usize = 2_000;

/// Tables of which rows expire, each with the instant that counts, and which rows do. Each has an index of
/// just those.
const EXPIRING: [(&str, &str, &str); 3] = [
    ("jobs_ended", "ended_at", "true"),
    ("quota_violations", "at", "true"),
    ("parked", "at", "not rowless"),
];

/// Notes how many days rows are kept, and makes the indexes by which they are found. Where there are many
/// rows already, that takes a while, once.
pub(crate) async fn keep(connection: &mut PgConnection, days: Option<i32>) -> sqlx::Result<()> {
    sqlx::query("update projection set keep_days = $1 where keep_days is distinct from $1")
        .bind(days)
        .execute(&mut *connection)
        .await?;
    if days.is_none() {
        return Ok(());
    }
    for (table, instant, expiring) in EXPIRING {
        let sql = format!(
            "create index if not exists {table}_expiring on {table} ({instant}) where {expiring}"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes some rows of before then, in a transaction that has so many entries.
pub(crate) async fn remove_expired(
    connection: &mut PgConnection,
    before: Timestamp,
    entries: usize,
) -> sqlx::Result<()> {
    let limit = (2 * entries).max(REMOVED_AT_LEAST);
    for (table, instant, expiring) in EXPIRING {
        // Nobody else writes here, so that a row is still where it was found.
        let sql = format!(
            "delete from {table}
             where ctid = any(array(
                 select ctid from {table} where {instant} < $1 and {expiring}
                 order by {instant} limit $2))"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(Instant(before))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes the rows of jobs that are made once more.
pub(super) async fn begun_anew(connection: &mut PgConnection, ids: &[JobId]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    for table in
        ["delete from jobs_live where id = any($1)", "delete from jobs_ended where id = any($1)"]
    {
        sqlx::query(table).bind(&ids).execute(&mut *connection).await?;
    }
    Ok(())
}
