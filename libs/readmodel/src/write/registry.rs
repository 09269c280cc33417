//! Modules and workers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::Changes,
    rows::StoredModule,
    sql::{Instant, Jsonb, big},
};

pub(super) async fn modules(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.modules;
    sqlx::query(
        "insert into modules (name, version, caps, schema, enabled, manifest, others, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::jsonb[],
             $7::jsonb[], $8::bigint[])
         on conflict (name) do update
         set version = excluded.version,
             caps = excluded.caps,
             schema = excluded.schema,
             enabled = excluded.enabled,
             manifest = excluded.manifest,
             others = excluded.others,
             n = excluded.n",
    )
    .bind(rows.keys().map(|name| name.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.versions.present.version.as_str()).bind_iter())
    .bind(
        rows.values()
            .map(|row| {
                let manifest = &row.versions.present;
                Jsonb::of(&json!({
                    "title": manifest.title,
                    "resources": manifest.resources,
                    "retry": manifest.retry,
                    "running_max": manifest.running_max,
                }))
            })
            .bind_iter(),
    )
    .bind(rows.values().map(|row| Jsonb::of(&schemas(row))).bind_iter())
    .bind(rows.values().map(|row| row.enabled).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.versions.present)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.versions.others)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

/// The schemas of a module as one document, without parsing them.
fn schemas(row: &StoredModule) -> impl Serialize + '_ {
    BTreeMap::from([
        ("inputs", &row.versions.present.input_schema),
        ("outputs", &row.versions.present.output_schema),
    ])
}

pub(super) async fn workers(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.workers;
    sqlx::query(
        "insert into workers
             (worker_id, session, state, capacity, modules, labels, joined_at, left_at, n)
         select *
         from unnest(
             $1::text[], $2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
             $7::timestamptz[], $8::timestamptz[], $9::bigint[])
         on conflict (worker_id) do update
         set session = excluded.session,
             state = excluded.state,
             capacity = excluded.capacity,
             modules = excluded.modules,
             labels = excluded.labels,
             joined_at = excluded.joined_at,
             left_at = excluded.left_at,
             n = excluded.n",
    )
    .bind(rows.keys().map(|id| id.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.session.0).bind_iter())
    .bind(rows.values().map(|row| row.state.as_str()).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.capacity)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.modules)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.labels)).bind_iter())
    .bind(rows.values().map(|row| Instant(row.joined_at)).bind_iter())
    .bind(rows.values().map(|row| row.left_at.map(Instant)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
