//! API keys.

use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::Changes,
    sql::{Instant, Jsonb, big},
};

/// Removes those that were revoked, and adds the new ones: a key never changes.
pub(super) async fn write(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let revoked = changes.keys.iter().filter(|(_, row)| row.is_none());
    sqlx::query("delete from api_keys where key_id = any($1::uuid[])")
        .bind(revoked.map(|(id, _)| id.0).bind_iter())
        .execute(&mut *connection)
        .await?;
    let rows = || changes.keys.iter().filter_map(|(id, row)| Some((id, row.as_ref()?)));
    sqlx::query(
        "insert into api_keys
             (key_id, tenant, name, user_id, role, scopes, expires_at, hash, created_by, created_at, n)
         select *
         from unnest(
             $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[],
             $7::timestamptz[], $8::text[], $9::text[], $10::timestamptz[], $11::bigint[])",
    )
    .bind(rows().map(|(id, _)| id.0).bind_iter())
    .bind(rows().map(|(_, row)| row.tenant.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.key.name.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.key.user_id.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.key.role.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| Jsonb::of(&row.key.scopes)).bind_iter())
    .bind(rows().map(|(_, row)| row.key.expires_at.map(Instant)).bind_iter())
    .bind(rows().map(|(_, row)| row.key.hash.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| row.by.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| Instant(row.created_at)).bind_iter())
    .bind(rows().map(|(_, row)| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
