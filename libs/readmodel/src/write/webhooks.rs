//! Webhooks.

use nox_contract::DisableReason;
use sqlx::{PgConnection, postgres::PgBindIterExt, types::Json};

use crate::{
    project::Changes,
    sql::{Instant, big},
};

/// Removes those that were deleted, and writes the others.
pub(super) async fn write(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let deleted = changes.webhooks.iter().filter(|(_, row)| row.is_none());
    sqlx::query("delete from webhooks where webhook_id = any($1::uuid[])")
        .bind(deleted.map(|(id, _)| id.0).bind_iter())
        .execute(&mut *connection)
        .await?;
    let rows = || changes.webhooks.iter().filter_map(|(id, row)| Some((id, row.as_ref()?)));
    sqlx::query(
        "insert into webhooks
             (webhook_id, tenant, user_id, spec, key_id, expires_at, rotation, previous_until, disabled,
              created_at, set_in, n)
         select *
         from unnest(
             $1::uuid[], $2::text[], $3::text[], $4::json[], $5::uuid[], $6::timestamptz[],
             $7::integer[], $8::timestamptz[], $9::text[], $10::timestamptz[], $11::bigint[],
             $12::bigint[])
         on conflict (webhook_id) do update
         set spec = excluded.spec,
             key_id = excluded.key_id,
             expires_at = excluded.expires_at,
             rotation = excluded.rotation,
             previous_until = excluded.previous_until,
             disabled = excluded.disabled,
             set_in = excluded.set_in,
             n = excluded.n",
    )
    .bind(rows().map(|(id, _)| id.0).bind_iter())
    .bind(rows().map(|(_, row)| row.tenant.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.owner.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| Json(&row.spec)).bind_iter())
    .bind(rows().map(|(_, row)| row.key_id.map(|key| key.0)).bind_iter())
    .bind(rows().map(|(_, row)| row.expires_at.map(Instant)).bind_iter())
    .bind(rows().map(|(_, row)| i32::try_from(row.rotation).unwrap_or(i32::MAX)).bind_iter())
    .bind(rows().map(|(_, row)| row.previous_until.map(Instant)).bind_iter())
    .bind(rows().map(|(_, row)| row.disabled.map(DisableReason::as_str)).bind_iter())
    .bind(rows().map(|(_, row)| Instant(row.created_at)).bind_iter())
    .bind(rows().map(|(_, row)| big(row.set_in.0)).bind_iter())
    .bind(rows().map(|(_, row)| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
