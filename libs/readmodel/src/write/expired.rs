//! Rows of ended jobs that were kept long enough.

use nox_contract::{JobId, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::sql::Instant;

/// Most rows that one transaction removes: more than come in with one, so that nothing piles up, and few
/// enough that no reader waits for them.
const REMOVED_MAX: i64 = 2_000;

/// Notes how many days rows are kept, and makes the index by which they are found. Where there are many
/// rows already, that takes a while, once.
pub(crate) async fn keep(connection: &mut PgConnection, days: Option<i32>) -> sqlx::Result<()> {
    sqlx::query("update projection set keep_days = $1 where keep_days is distinct from $1")
        .bind(days)
        .execute(&mut *connection)
        .await?;
    if days.is_some() {
        sqlx::raw_sql("create index if not exists jobs_ended_by_end on jobs_ended (ended_at)")
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Removes some rows of jobs that ended before then.
pub(crate) async fn remove_expired(
    connection: &mut PgConnection,
    before: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from jobs_ended
         where id = any(array(
             select id from jobs_ended where ended_at < $1 order by ended_at limit $2))",
    )
    .bind(Instant(before))
    .bind(REMOVED_MAX)
    .execute(connection)
    .await?;
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
