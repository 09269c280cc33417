//! Rows out: one statement a function, each of them takes a whole batch.

use nox_contract::{EventNumber, Incarnation, Positions, Timestamp, event::Chain};
use serde_json::json;
use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::{Changes, JobChange},
    rows::{Parked, StoredJob},
    segment::Segment,
    sql::{Instant, Jsonb, big},
    storable,
};

/// Where the log is folded in, and what is known of the place.
pub(crate) struct Place {
    pub n: EventNumber,
    pub chain: Chain,
}

/// Moves the checkpoint if it is at `from`, and says whether it was. The first statement of a
/// transaction: it takes the row's lock, so a second projector waits here and then finds it moved.
///
/// `current` is given when the rows are those of the current generation, which they must still be.
pub(crate) async fn checkpoint(
    connection: &mut PgConnection,
    from: &Place,
    to: &Place,
    progress: Option<(Positions, Timestamp)>,
    current: Option<u64>,
) -> sqlx::Result<bool> {
    let (pos, at) = progress.unzip();
    let moved = sqlx::query(
        "update projection
         set n = $3,
             chain = $4,
             pos_commands = coalesce($5, pos_commands),
             pos_reports = coalesce($6, pos_reports),
             at = coalesce($7, at)
         where n = $1
           and chain = $2
           and ($8::bigint is null or $8 = (select generation from nox.generation))",
    )
    .bind(big(from.n.0))
    .bind(from.chain.to_string())
    .bind(big(to.n.0))
    .bind(to.chain.to_string())
    .bind(pos.map(|pos| big(pos.commands)))
    .bind(pos.map(|pos| big(pos.reports)))
    .bind(at.map(Instant))
    .bind(current.map(big))
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Records which life of the log the checkpoint counts in, if that is not recorded yet.
pub(crate) async fn incarnation(
    connection: &mut PgConnection,
    incarnation: &Incarnation,
) -> sqlx::Result<()> {
    sqlx::query("update projection set incarnation = $1 where incarnation is null")
        .bind(&incarnation.0)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn changes(
    connection: &mut PgConnection,
    changes: &Changes,
    segments: &[Segment],
) -> sqlx::Result<()> {
    let (new, known): (Vec<_>, Vec<_>) =
        changes.jobs.iter().partition(|change| change.created.is_some());
    if !new.is_empty() {
        insert_jobs(connection, &new).await?;
    }
    if !known.is_empty() {
        update_jobs(connection, &known).await?;
    }
    if !changes.balances.is_empty() {
        balances(connection, changes).await?;
    }
    if !changes.limits.is_empty() {
        limits(connection, changes).await?;
    }
    if !changes.violations.is_empty() {
        violations(connection, changes).await?;
    }
    if !changes.modules.is_empty() {
        modules(connection, changes).await?;
    }
    if !changes.workers.is_empty() {
        workers(connection, changes).await?;
    }
    if !changes.metrics.is_empty() {
        metrics(connection, changes).await?;
    }
    if !changes.parked.is_empty() {
        parked(connection, changes).await?;
    }
    if !segments.is_empty() {
        insert_segments(connection, segments).await?;
    }
    Ok(())
}

/// Binds what both statements about jobs take, in the order of `$1` to `$21`.
macro_rules! bind_job {
    ($query:expr, $changes:expr) => {{
        let changes: &[&JobChange] = $changes;
        macro_rules! column {
            ($change:ident => $value:expr) => {
                changes.iter().map(|$change| $value).bind_iter()
            };
        }
        $query
            .bind(column!(c => c.row.id.0))
            .bind(column!(c => c.row.job.state().as_str()))
            .bind(column!(c => small(c.row.job.attempt.0)))
            .bind(column!(c => c.row.job.waiting().map(|code| code.as_str())))
            .bind(column!(c => c.outputs.as_ref().map(Jsonb::raw)))
            .bind(column!(c => c.reserved_resources.as_ref().map(Jsonb::of)))
            .bind(column!(c => c.row.job.started_at.map(Instant)))
            .bind(column!(c => c.row.job.ended_at.map(Instant)))
            .bind(column!(c => error(&c.row)))
            .bind(column!(c => big(c.row.n.0)))
            .bind(column!(c => c.row.worker_id.as_ref().map(|worker| worker.as_str())))
            .bind(column!(c => c.row.work().map(|work| big(work.0))))
            .bind(column!(c => c.row.held()))
            .bind(column!(c => small(c.row.job.failures)))
            .bind(column!(c => small(c.row.job.crashes)))
            .bind(column!(c => c.row.job.due_at.map(Instant)))
            .bind(column!(c => c.row.ledger.period.map(Instant)))
            .bind(column!(c => c.row.ledger.reservation))
            .bind(column!(c => c.row.ledger.reserved))
            .bind(column!(c => c.row.ledger.used))
            .bind(column!(c => c.row.ledger.overrun))
            .bind(column!(c => c.row.events.as_slice()))
            .bind(column!(c => c.row.parked.map(Parked::as_str)))
    }};
}

async fn insert_jobs(connection: &mut PgConnection, changes: &[&JobChange]) -> sqlx::Result<()> {
    let query = sqlx::query(
        "insert into jobs
             (id, status, attempt, waiting_code, outputs, reserved_resources, started_at, ended_at,
              error, n, worker_id, work, held, failures, crashes, due_at, period, reservation,
              reserved, used, overrun, events, parked, tenant, user_id, module, inputs,
              requested_resources, created_at, priority, fingerprint, submitted_n)
         select *
         from unnest(
             $1::uuid[], $2::text[], $3::integer[], $4::text[], $5::jsonb[], $6::jsonb[],
             $7::timestamptz[], $8::timestamptz[], $9::jsonb[], $10::bigint[], $11::text[],
             $12::bigint[], $13::boolean[], $14::integer[], $15::integer[], $16::timestamptz[],
             $17::timestamptz[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],
             $22::bytea[], $23::text[], $24::text[], $25::text[], $26::text[], $27::jsonb[],
             $28::jsonb[], $29::timestamptz[], $30::smallint[], $31::text[], $32::bigint[])",
    );
    let created = || changes.iter().map(|change| change.created.as_ref());
    bind_job!(query, changes)
        .bind(changes.iter().map(|c| c.row.tenant.as_str()).bind_iter())
        .bind(changes.iter().map(|c| c.row.user_id.as_str()).bind_iter())
        .bind(changes.iter().map(|c| c.row.module.as_str()).bind_iter())
        .bind(created().map(|c| c.and_then(|c| c.inputs.as_ref()).map(Jsonb::raw)).bind_iter())
        .bind(changes.iter().map(|c| Jsonb::of(&c.row.job.requested_resources)).bind_iter())
        .bind(changes.iter().map(|c| Instant(c.row.job.created_at)).bind_iter())
        .bind(changes.iter().map(|c| i16::from(c.row.job.priority)).bind_iter())
        .bind(created().map(|c| c.and_then(|c| c.fingerprint.as_deref())).bind_iter())
        .bind(changes.iter().map(|c| big(c.row.job.submitted_n.0)).bind_iter())
        .execute(connection)
        .await?;
    Ok(())
}

async fn update_jobs(connection: &mut PgConnection, changes: &[&JobChange]) -> sqlx::Result<()> {
    let query = sqlx::query(
        "update jobs
         set status = new.status,
             attempt = new.attempt,
             waiting_code = new.waiting_code,
             outputs = coalesce(new.outputs, jobs.outputs),
             reserved_resources = coalesce(new.reserved_resources, jobs.reserved_resources),
             started_at = new.started_at,
             ended_at = new.ended_at,
             error = new.error,
             n = new.n,
             worker_id = new.worker_id,
             work = new.work,
             held = new.held,
             failures = new.failures,
             crashes = new.crashes,
             due_at = new.due_at,
             period = new.period,
             reservation = new.reservation,
             reserved = new.reserved,
             used = new.used,
             overrun = new.overrun,
             events = new.events,
             parked = new.parked
         from unnest(
             $1::uuid[], $2::text[], $3::integer[], $4::text[], $5::jsonb[], $6::jsonb[],
             $7::timestamptz[], $8::timestamptz[], $9::jsonb[], $10::bigint[], $11::text[],
             $12::bigint[], $13::boolean[], $14::integer[], $15::integer[], $16::timestamptz[],
             $17::timestamptz[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],
             $22::bytea[], $23::text[]) as new
             (id, status, attempt, waiting_code, outputs, reserved_resources, started_at, ended_at,
              error, n, worker_id, work, held, failures, crashes, due_at, period, reservation,
              reserved, used, overrun, events, parked)
         where jobs.id = new.id",
    );
    let updated = bind_job!(query, changes).execute(connection).await?.rows_affected();
    if updated != changes.len() as u64 {
        let missing = format!("{updated} of {} jobs have a row", changes.len());
        return Err(sqlx::Error::Protocol(missing));
    }
    Ok(())
}

/// Why the job or its last attempt failed, unless that cannot be stored.
fn error(row: &StoredJob) -> Option<Jsonb<'static>> {
    let error = row.job.error.as_ref()?;
    storable::job_error(error).is_ok().then(|| Jsonb::of(error))
}

/// A small count as `integer`.
fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

async fn balances(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.balances;
    sqlx::query(
        "insert into quota_balances
             (tenant, account, period, granted, free, reserved, used, overrun, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[])
         on conflict (tenant, account, period) do update
         set granted = excluded.granted,
             free = excluded.free,
             reserved = excluded.reserved,
             used = excluded.used,
             overrun = excluded.overrun,
             n = excluded.n",
    )
    .bind(rows.keys().map(|key| key.tenant.as_str()).bind_iter())
    .bind(rows.keys().map(|key| key.account.as_str()).bind_iter())
    .bind(rows.keys().map(|key| Instant(key.period)).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.granted).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.free).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.reserved).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.used).bind_iter())
    .bind(rows.values().map(|(balance, _)| balance.overrun).bind_iter())
    .bind(rows.values().map(|(_, n)| big(n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

async fn limits(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.limits;
    sqlx::query(
        "insert into quota_limits
             (tenant, account, role, cpu_seconds, queued_jobs, running_jobs, cpu, mem_mb, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[])
         on conflict (tenant, account) do update
         set role = excluded.role,
             cpu_seconds = excluded.cpu_seconds,
             queued_jobs = excluded.queued_jobs,
             running_jobs = excluded.running_jobs,
             cpu = excluded.cpu,
             mem_mb = excluded.mem_mb,
             n = excluded.n",
    )
    .bind(rows.keys().map(|(tenant, _)| tenant.as_str()).bind_iter())
    .bind(rows.keys().map(|(_, account)| account.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.role.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.limits.cpu_seconds).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.queued_jobs)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.running_jobs)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.cpu)).bind_iter())
    .bind(rows.values().map(|row| i64::from(row.limits.mem_mb)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

async fn violations(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.violations;
    sqlx::query(
        "insert into quota_violations
             (n, part, tenant, account, user_id, job_id, module, code, quota, usage, quota_limit,
              requested, retry_after_s, detail, at)
         select *
         from unnest(
             $1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
             $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
             $14::text[], $15::timestamptz[])",
    )
    .bind(rows.iter().map(|row| big(row.n.0)).bind_iter())
    .bind(rows.iter().map(|row| i32::try_from(row.part).unwrap_or(i32::MAX)).bind_iter())
    .bind(rows.iter().map(|row| row.tenant.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.account.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.user_id.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.job_id.0).bind_iter())
    .bind(rows.iter().map(|row| row.module.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.code.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.quota.as_deref()).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.usage).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.limit).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.requested).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.retry_after_s.map(i64::from)).bind_iter())
    .bind(rows.iter().map(|row| row.refusal.detail.as_str()).bind_iter())
    .bind(rows.iter().map(|row| Instant(row.at)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

async fn modules(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.modules;
    sqlx::query(
        "insert into modules (name, version, caps, schema, enabled, manifest, n)
         select *
         from unnest(
             $1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::jsonb[],
             $7::bigint[])
         on conflict (name) do update
         set version = excluded.version,
             caps = excluded.caps,
             schema = excluded.schema,
             enabled = excluded.enabled,
             manifest = excluded.manifest,
             n = excluded.n",
    )
    .bind(rows.keys().map(|name| name.as_str()).bind_iter())
    .bind(rows.values().map(|row| row.manifest.version.as_str()).bind_iter())
    .bind(
        rows.values()
            .map(|row| {
                let manifest = &row.manifest;
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
    .bind(rows.values().map(|row| Jsonb::of(&row.manifest)).bind_iter())
    .bind(rows.values().map(|row| big(row.n.0)).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

/// The schemas of a module as one document, without parsing them.
fn schemas(row: &crate::rows::StoredModule) -> impl serde::Serialize + '_ {
    std::collections::BTreeMap::from([
        ("inputs", &row.manifest.input_schema),
        ("outputs", &row.manifest.output_schema),
    ])
}

async fn workers(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
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

async fn metrics(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
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

async fn parked(connection: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
    let rows = &changes.parked;
    sqlx::query(
        "insert into parked (n, subject, tenant, job_id, reason, detail, payload)
         select *
         from unnest(
             $1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bytea[])",
    )
    .bind(rows.iter().map(|row| big(row.n.0)).bind_iter())
    .bind(rows.iter().map(|row| row.subject.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.tenant.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.job_id.map(|id| id.0)).bind_iter())
    .bind(rows.iter().map(|row| row.reason.as_str()).bind_iter())
    .bind(rows.iter().map(|row| row.detail.as_str()).bind_iter())
    .bind(rows.iter().map(|row| &*row.payload).bind_iter())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_segments(connection: &mut PgConnection, segments: &[Segment]) -> sqlx::Result<()> {
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
