//! Jobs: new ones, and ones that have a row.

use sqlx::{PgConnection, postgres::PgBindIterExt};

use crate::{
    project::JobChange,
    rows::{Parked, StoredJob},
    sql::{Instant, Jsonb, big, small},
    storable,
};

/// Binds what both statements about jobs take, in the order of `$1` to `$24`.
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
            .bind(column!(c => small(c.row.job.suspicions)))
            .bind(column!(c => c.row.job.due_at.map(Instant)))
            .bind(column!(c => c.row.ledger.period.map(Instant)))
            .bind(column!(c => c.row.ledger.reservation))
            .bind(column!(c => c.row.ledger.reserved))
            .bind(column!(c => c.row.ledger.used))
            .bind(column!(c => c.row.ledger.overrun))
            .bind(column!(c => c.row.frames.as_slice()))
            .bind(column!(c => c.row.parked.map(Parked::as_str)))
    }};
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    changes: &[&JobChange],
) -> sqlx::Result<()> {
    let query = sqlx::query(
        "insert into jobs
             (id, status, attempt, waiting_code, outputs, reserved_resources, started_at, ended_at,
              error, n, worker_id, work, held, failures, crashes, suspicions, due_at, period,
              reservation, reserved, used, overrun, frames, parked, tenant, user_id, module, inputs,
              requested_resources, created_at, priority, fingerprint, submitted_n, submitted_place)
         select *
         from unnest(
             $1::uuid[], $2::text[], $3::integer[], $4::text[], $5::jsonb[], $6::jsonb[],
             $7::timestamptz[], $8::timestamptz[], $9::jsonb[], $10::bigint[], $11::text[],
             $12::bigint[], $13::boolean[], $14::integer[], $15::integer[], $16::integer[],
             $17::timestamptz[], $18::timestamptz[], $19::bigint[], $20::bigint[], $21::bigint[],
             $22::bigint[], $23::bytea[], $24::text[], $25::text[], $26::text[], $27::text[],
             $28::jsonb[], $29::jsonb[], $30::timestamptz[], $31::smallint[], $32::text[],
             $33::bigint[], $34::integer[])",
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
        .bind(changes.iter().map(|c| small(c.row.submitted_place)).bind_iter())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    changes: &[&JobChange],
) -> sqlx::Result<()> {
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
             suspicions = new.suspicions,
             due_at = new.due_at,
             period = new.period,
             reservation = new.reservation,
             reserved = new.reserved,
             used = new.used,
             overrun = new.overrun,
             frames = new.frames,
             parked = new.parked
         from unnest(
             $1::uuid[], $2::text[], $3::integer[], $4::text[], $5::jsonb[], $6::jsonb[],
             $7::timestamptz[], $8::timestamptz[], $9::jsonb[], $10::bigint[], $11::text[],
             $12::bigint[], $13::boolean[], $14::integer[], $15::integer[], $16::integer[],
             $17::timestamptz[], $18::timestamptz[], $19::bigint[], $20::bigint[], $21::bigint[],
             $22::bigint[], $23::bytea[], $24::text[]) as new
             (id, status, attempt, waiting_code, outputs, reserved_resources, started_at, ended_at,
              error, n, worker_id, work, held, failures, crashes, suspicions, due_at, period,
              reservation, reserved, used, overrun, frames, parked)
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
