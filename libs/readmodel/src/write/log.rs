//! What was written: all messages, and the entries that rows could not take in.

use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::Changes,
    segment::Segment,
    sql::{big, small},
};

pub(super) async fn parked(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.parked;
    sqlx::query(
        "insert into parked (n, place, tenant, job_id, reason, detail, payload)
         select *
         from unnest(
             $1::bigint[], $2::integer[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bytea[])",
    )
    .bind(rows.iter().map(|row| big(row.n.0)).bind_iter())
    .bind(rows.iter().map(|row| small(row.place)).bind_iter())
    .bind(rows.iter().map(|row| row.tenant.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.job_id.map(|id| id.0)).bind_iter())
    .bind(rows.iter().map(|row| row.reason.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.detail.as_str()).bind_iter())
    .bind(rows.iter().map(|row| &*row.payload).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn segments(
    connection: &mut PgConnection,
    segments: &[Segment],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into segments (n_first, n_last, chain, bytes, content)
         select *
         from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[])",
    )
    .bind(segments.iter().map(|segment| big(segment.n_first.0)).bind_iter())
    .bind(segments.iter().map(|segment| big(segment.n_last.0)).bind_iter())
    .bind(segments.iter().map(|segment| segment.chain.to_string()).bind_iter())
    .bind(segments.iter().map(|segment| big(segment.bytes as u64)).bind_iter())
    .bind(segments.iter().map(|segment| segment.content.as_slice()).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
