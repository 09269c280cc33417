//! Schedules.

use nox_contract::PauseReason;
use sqlx::{PgConnection, postgres::PgBindIterExt, types::Json};

use crate::{
    project::Changes,
    sql::{Instant, Jsonb, big},
};

/// Removes those that were deleted, and writes the others.
pub(super) async fn write(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let deleted = changes.schedules.iter().filter(|(_, row)| row.is_none());
    sqlx::query("delete from schedules where schedule_id = any($1::uuid[])")
        .bind(deleted.map(|(id, _)| id.0).bind_iter())
        .execute(&mut *connection)
        .await?;
    let rows = || changes.schedules.iter().filter_map(|(id, row)| Some((id, row.as_ref()?)));
    sqlx::query(
        "insert into schedules
             (schedule_id, tenant, user_id, role, name, spec, key_id, paused, planned, next_due_at, last,
              last_job_id, created_at, n)
         select *
         from unnest(
             $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::json[], $7::uuid[], $8::text[],
             $9::boolean[], $10::timestamptz[], $11::jsonb[], $12::uuid[], $13::timestamptz[],
             $14::bigint[])
         on conflict (schedule_id) do update
         set role = excluded.role,
             name = excluded.name,
             spec = excluded.spec,
             key_id = excluded.key_id,
             paused = excluded.paused,
             planned = excluded.planned,
             next_due_at = excluded.next_due_at,
             last = excluded.last,
             last_job_id = excluded.last_job_id,
             n = excluded.n",
    )
    .bind(rows().map(|(id, _)| id.0).bind_iter())
    .bind(rows().map(|(_, row)| row.tenant.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.owner.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.role.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.spec.name.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| Json(&row.spec)).bind_iter())
    .bind(rows().map(|(_, row)| row.key_id.map(|key| key.0)).bind_iter())
    .bind(rows().map(|(_, row)| row.paused.map(PauseReason::as_str)).bind_iter())
    .bind(rows().map(|(_, row)| row.planned).bind_iter())
    .bind(rows().map(|(_, row)| row.next_due_at.map(Instant)).bind_iter())
    .bind(rows().map(|(_, row)| row.last.as_ref().map(Jsonb::of)).bind_iter())
    .bind(rows().map(|(_, row)| row.last_job.map(|job| job.0)).bind_iter())
    .bind(rows().map(|(_, row)| Instant(row.created_at)).bind_iter())
    .bind(rows().map(|(_, row)| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
