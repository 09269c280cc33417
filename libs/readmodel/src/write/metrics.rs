//! The metrics of jobs: differences, added to what is there.

use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{project::Changes, sql::Jsonb};

pub(super) async fn add(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.metrics;
    sqlx::query(
        "insert into metrics (name, labels, value)
         select *
         from unnest($1::text[], $2::jsonb[], $3::bigint[])
         on conflict (name, labels) do update
         set value = metrics.value + excluded.value",
    )
    .bind(rows.keys().map(|key| key.name()).bind_iter())
    .bind(rows.keys().map(|key| Jsonb::of(&key.labels())).bind_iter())
    .bind(rows.values().copied().bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
