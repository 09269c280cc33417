//! Modules, workers and topics.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, postgres::PgBindIterExt, types::Json};

use crate::{
    project::Changes,
    rows::StoredModule,
    sql::{Instant, Jsonb, big},
};

pub(super) async fn modules(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.modules;
    sqlx::query(
        "insert into modules (name, version, caps, schema, enabled, manifest, others, registered, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::jsonb[],
             $7::jsonb[], $8::jsonb[], $9::bigint[])
         on conflict (name) do update
         set version = excluded.version,
             caps = excluded.caps,
             schema = excluded.schema,
             enabled = excluded.enabled,
             manifest = excluded.manifest,
             others = excluded.others,
             registered = excluded.registered,
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
                    "starts_per_minute": manifest.starts_per_minute,
                }))
            })
            .bind_iter(),
    )
    .bind(rows.values().map(|row| Jsonb::of(&schemas(row))).bind_iter())
    .bind(rows.values().map(|row| row.enabled).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.versions.present)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.versions.others)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.registered)).bind_iter())
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
             (worker_id, session, state, capacity, modules, labels, claimant, drained_by, joined_at,
              seen_at, left_at, n)
         select *
         from unnest(
             $1::text[], $2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
             $7::jsonb[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
             $12::bigint[])
         on conflict (worker_id) do update
         set session = excluded.session,
             state = excluded.state,
             capacity = excluded.capacity,
             modules = excluded.modules,
             labels = excluded.labels,
             claimant = excluded.claimant,
             drained_by = excluded.drained_by,
             joined_at = excluded.joined_at,
             seen_at = excluded.seen_at,
             left_at = excluded.left_at,
             n = excluded.n",
    )
    .bind(rows.keys().map(|id| id.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.session.0).bind_iter())
    .bind(rows.values().map(|row| row.state.as_str()).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.capacity)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.modules)).bind_iter())
    .bind(rows.values().map(|row| Jsonb::of(&row.labels)).bind_iter())
    .bind(rows.values().map(|row| row.claimant.as_ref().map(Jsonb::of)).bind_iter())
    .bind(rows.values().map(|row| row.drained_by.as_ref().map(|by| by.as_str())).bind_iter())
    .bind(rows.values().map(|row| Instant(row.joined_at)).bind_iter())
    .bind(rows.values().map(|row| Instant(row.seen_at)).bind_iter())
    .bind(rows.values().map(|row| row.left_at.map(Instant)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

/// Workers that claimed their work and have gone.
pub(super) async fn gone(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    sqlx::query("delete from workers where worker_id = any($1::text[])")
        .bind(changes.gone.iter().map(|id| id.as_str()).bind_iter())
        .execute(connection)
        .await?;
    Ok(())
}

/// Topics that were registered.
pub(super) async fn topics(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = || changes.topics.iter().filter_map(|(key, row)| Some((key, row.as_ref()?)));
    sqlx::query(
        "insert into topics (tenant, topic, room, schema, user_id, registered_at, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::text[], $4::json[], $5::text[], $6::timestamptz[],
             $7::bigint[])
         on conflict (tenant, topic) do update
         set schema = excluded.schema,
             user_id = excluded.user_id,
             registered_at = excluded.registered_at,
             n = excluded.n",
    )
    .bind(rows().map(|((tenant, _), _)| tenant.as_str()).bind_iter())
    .bind(rows().map(|((_, topic), _)| topic.as_str()).bind_iter())
    .bind(rows().map(|((_, topic), _)| topic.parts().0).bind_iter())
    .bind(rows().map(|(_, row)| Json(&row.schema)).bind_iter())
    .bind(rows().map(|(_, row)| row.user_id.as_str()).bind_iter())
    .bind(rows().map(|(_, row)| Instant(row.registered_at)).bind_iter())
    .bind(rows().map(|(_, row)| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

/// Topics that were removed.
pub(super) async fn removed_topics(
    connection: &mut PgConnection,
    changes: &Changes,
) -> sqlx::Result<()> {
    let removed = || changes.topics.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key);
    sqlx::query(
        "delete from topics
         using unnest($1::text[], $2::text[]) as removed (tenant, topic)
         where topics.tenant = removed.tenant and topics.topic = removed.topic",
    )
    .bind(removed().map(|(tenant, _)| tenant.as_str()).bind_iter())
    .bind(removed().map(|(_, topic)| topic.as_str()).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}
