//! Entries that rows could not take in, as they were written.

use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::Changes,
    sql::{Instant, big, small},
};

pub(super) async fn insert(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.parked;
    sqlx::query(
        "insert into parked (n, place, tenant, job_id, at, rowless, reason, detail, payload)
         select *
         from unnest(
             $1::bigint[], $2::integer[], $3::text[], $4::uuid[], $5::timestamptz[], $6::boolean[],
             $7::text[], $8::text[], $9::bytea[])",
    )
    .bind(rows.iter().map(|row| big(row.n.0)).bind_iter())
    .bind(rows.iter().map(|row| small(row.place)).bind_iter())
    .bind(rows.iter().map(|row| row.tenant.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.job_id.map(|id| id.0)).bind_iter())
    .bind(rows.iter().map(|row| Instant(row.at)).bind_iter())
    .bind(rows.iter().map(|row| row.rowless).bind_iter())
    .bind(rows.iter().map(|row| row.reason.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.detail.as_str()).bind_iter())
    .bind(rows.iter().map(|row| &*row.payload).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
