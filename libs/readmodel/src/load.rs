//! Rows in: one statement a function.

use std::collections::BTreeMap;

use nox_contract::{
    Attempt, Claimant, Concurrency, DisableReason, JobError, JobId, KeyId, Manifest, Metadata,
    ModuleName, PauseReason, Progress, Resources, ScheduleId, SessionId, Task, TenantId, TopicName,
    UserId, WebhookId, WorkerId, fact::ServedModule,
};
use nox_core::{job::Job, ledger::Balance, versions::Versions};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    batch::EntryPlace,
    rows::{
        self, BalanceKey, JobLedger, LastOccurrence, PhaseColumns, StoredJob, StoredModule,
        StoredSchedule, StoredWebhook, StoredWorker, UnknownWord,
    },
    sql::{Instant, number},
};

pub(crate) async fn jobs(
    connection: &mut PgConnection,
    ids: &[JobId],
) -> sqlx::Result<Vec<StoredJob>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "select id, tenant, user_id, module, status, attempt, waiting_code, cpu, mem_mb, wall_time_s, gpu,
                created_at, started_at, ended_at, error, n, worker_id, priority, parked, submitted,
                due_at, work, held, failures, crashes, suspicions, period, reservation, reserved,
                used, overrun, frames, raised_resources, progress
         from jobs_live
         where id = any($1)
         union all
         select id, tenant, user_id, module, status, attempt, null, cpu, mem_mb, wall_time_s, gpu,
                created_at, started_at, ended_at, error, n, worker_id, priority, parked, submitted,
                due_at, null, false, failures, crashes, suspicions, period, reservation, reserved,
                used, overrun, frames, raised_resources, progress
         from jobs_ended
         where id = any($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.iter().map(job).collect()
}

fn job(row: &PgRow) -> sqlx::Result<StoredJob> {
    let worker_id: Option<&str> = row.try_get("worker_id")?;
    let columns = PhaseColumns {
        status: row.try_get("status")?,
        waiting_code: row.try_get("waiting_code")?,
        worker_id,
        work: row.try_get("work")?,
        held: row.try_get("held")?,
    };
    let error: Option<Json<JobError>> = row.try_get("error")?;
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let small = |column| row.try_get::<i32, _>(column).map(|count| count.unsigned_abs());
    let parked: Option<&str> = row.try_get("parked")?;
    let raised: Option<Json<Resources>> = row.try_get("raised_resources")?;
    let submitted = EntryPlace::unpacked(row.try_get("submitted")?);
    let progress: Option<Json<Progress>> = row.try_get("progress")?;
    Ok(StoredJob {
        id: JobId(row.try_get("id")?),
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        user_id: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        module: ModuleName::new(row.try_get::<&str, _>("module")?).map_err(decode)?,
        job: Job {
            phase: rows::phase(&columns).map_err(decode)?,
            attempt: Attempt(small("attempt")?),
            failures: small("failures")?,
            crashes: small("crashes")?,
            suspicions: small("suspicions")?,
            submitted_n: submitted.n,
            requested_resources: resources(row)?,
            raised_resources: raised.map(|Json(raised)| Box::new(raised)),
            priority: row.try_get::<i16, _>("priority")? as u8,
            created_at: row.try_get::<Instant, _>("created_at")?.0,
            started_at: instant("started_at")?,
            ended_at: instant("ended_at")?,
            due_at: instant("due_at")?,
            error: error.map(|Json(error)| Box::new(error)),
        },
        n: number(row.try_get("n")?),
        submitted_place: submitted.place,
        worker_id: worker_id.map(WorkerId::new).transpose().map_err(decode)?,
        ledger: JobLedger {
            period: instant("period")?,
            reservation: row.try_get("reservation")?,
            reserved: row.try_get("reserved")?,
            used: row.try_get("used")?,
            overrun: row.try_get("overrun")?,
        },
        progress: progress.map(|Json(progress)| progress),
        frames: row.try_get("frames")?,
        parked: parked.map(str::parse).transpose().map_err(decode)?,
    })
}

/// What makes a job a task, of either table.
pub(crate) fn task(row: &PgRow) -> sqlx::Result<Option<Task>> {
    let topic: Option<&str> = row.try_get("topic")?;
    let room: Option<String> = row.try_get("room")?;
    let topic = topic.map(TopicName::new).transpose().map_err(decode)?;
    Ok(topic.zip(room).map(|(topic, room)| Task { topic, room }))
}

/// What a job is found by, of either table.
pub(crate) fn metadata(row: &PgRow) -> sqlx::Result<Metadata> {
    let labels: Option<Json<BTreeMap<String, String>>> = row.try_get("labels")?;
    let retry_of: Option<Uuid> = row.try_get("retry_of")?;
    Ok(Metadata {
        labels: labels.map(|Json(labels)| labels).unwrap_or_default(),
        release_id: row.try_get("release_id")?,
        retry_of: retry_of.map(JobId),
    })
}

/// How many of its key run at a time, of either table.
pub(crate) fn concurrency(row: &PgRow) -> sqlx::Result<Option<Box<Concurrency>>> {
    let concurrency: Option<Json<Concurrency>> = row.try_get("concurrency")?;
    Ok(concurrency.map(|Json(concurrency)| Box::new(concurrency)))
}

/// What a job asks for, of either table.
pub(crate) fn resources(row: &PgRow) -> sqlx::Result<Resources> {
    let number =
        |column| row.try_get::<i64, _>(column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Resources {
        cpu: number("cpu")?,
        mem_mb: number("mem_mb")?,
        wall_time_s: number("wall_time_s")?,
        gpu: number("gpu")?,
    })
}

/// Which of `ids` have a row.
pub(crate) async fn known(
    connection: &mut PgConnection,
    ids: &[JobId],
) -> sqlx::Result<Vec<JobId>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from jobs_live where id = any($1)
         union all
         select id from jobs_ended where id = any($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// Which of `ids` have parked entries in place of a row.
pub(crate) async fn parked_jobs(
    connection: &mut PgConnection,
    ids: &[JobId],
) -> sqlx::Result<Vec<JobId>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select distinct job_id from parked where job_id = any($1) and rowless")
            .bind(ids)
            .fetch_all(connection)
            .await?;
    Ok(ids.into_iter().map(JobId).collect())
}

pub(crate) async fn balances(
    connection: &mut PgConnection,
    keys: &[BalanceKey],
) -> sqlx::Result<Vec<(BalanceKey, Balance)>> {
    let tenants: Vec<&str> = keys.iter().map(|key| key.tenant.as_str()).collect();
    let accounts: Vec<&str> = keys.iter().map(|key| key.account.as_str()).collect();
    let periods: Vec<Instant> = keys.iter().map(|key| Instant(key.period)).collect();
    let rows = sqlx::query(
        "select place, granted, free, reserved, used, overrun
         from unnest($1::text[], $2::text[], $3::timestamptz[])
              with ordinality as key (tenant, account, period, place)
         -- As arrays of one, so that each is looked up, whatever the table's size is thought to be.
         join quota_balances as balance
           on balance.tenant = any (array[key.tenant])
          and balance.account = any (array[key.account])
          and balance.period = any (array[key.period])",
    )
    .bind(tenants)
    .bind(accounts)
    .bind(periods)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.try_get("place")?;
            let key = keys[place.unsigned_abs() as usize - 1].clone();
            Ok((key, balance(row)?))
        })
        .collect()
}

pub(crate) fn balance(row: &PgRow) -> sqlx::Result<Balance> {
    Ok(Balance {
        granted: row.try_get("granted")?,
        free: row.try_get("free")?,
        reserved: row.try_get("reserved")?,
        used: row.try_get("used")?,
        overrun: row.try_get("overrun")?,
    })
}

pub(crate) async fn modules(
    connection: &mut PgConnection,
) -> sqlx::Result<BTreeMap<ModuleName, StoredModule>> {
    let rows = sqlx::query("select name, manifest, others, registered, enabled, n from modules")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let name = ModuleName::new(row.try_get::<&str, _>("name")?).map_err(decode)?;
            let Json(present): Json<Manifest> = row.try_get("manifest")?;
            let Json(others): Json<Vec<Manifest>> = row.try_get("others")?;
            let versions = Versions { present, others };
            let Json(registered) = row.try_get("registered")?;
            let (enabled, n) = (row.try_get("enabled")?, number(row.try_get("n")?));
            Ok((name, StoredModule { versions, registered, enabled, n }))
        })
        .collect()
}

pub(crate) async fn workers(
    connection: &mut PgConnection,
) -> sqlx::Result<BTreeMap<WorkerId, StoredWorker>> {
    let rows = sqlx::query(
        "select worker_id, session, state, capacity, modules, labels, claimant, drained_by, joined_at,
                seen_at, left_at, n
         from workers",
    )
    // Readers ask this as well, and they keep no name that is not bound to a server process.
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter().map(worker).collect()
}

pub(crate) fn worker(row: &PgRow) -> sqlx::Result<(WorkerId, StoredWorker)> {
    let id = WorkerId::new(row.try_get::<&str, _>("worker_id")?).map_err(decode)?;
    let Json(modules): Json<Vec<ServedModule>> = row.try_get("modules")?;
    let Json(labels) = row.try_get("labels")?;
    let Json(capacity) = row.try_get("capacity")?;
    let claimant: Option<Json<Claimant>> = row.try_get("claimant")?;
    let drained_by: Option<&str> = row.try_get("drained_by")?;
    let worker = StoredWorker {
        session: SessionId(row.try_get("session")?),
        state: row.try_get::<&str, _>("state")?.parse().map_err(decode)?,
        capacity,
        modules,
        labels,
        claimant: claimant.map(|Json(claimant)| claimant),
        drained_by: drained_by.map(UserId::new).transpose().map_err(decode)?,
        joined_at: row.try_get::<Instant, _>("joined_at")?.0,
        seen_at: row.try_get::<Instant, _>("seen_at")?.0,
        left_at: row.try_get::<Option<Instant>, _>("left_at")?.map(|instant| instant.0),
        n: number(row.try_get("n")?),
    };
    Ok((id, worker))
}

/// A schedule's columns, in the order in which [`schedule`] names them.
pub(crate) const SCHEDULE: &str = "schedule_id, tenant, user_id, role, spec, key_id, paused, planned, \
                                   next_due_at, last, last_job_id, created_at, n";

pub(crate) async fn schedules(
    connection: &mut PgConnection,
) -> sqlx::Result<BTreeMap<ScheduleId, StoredSchedule>> {
    let sql = format!("select {SCHEDULE} from schedules");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(schedule).collect()
}

pub(crate) fn schedule(row: &PgRow) -> sqlx::Result<(ScheduleId, StoredSchedule)> {
    let Json(spec) = row.try_get("spec")?;
    let last: Option<Json<LastOccurrence>> = row.try_get("last")?;
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let last_job: Option<Uuid> = row.try_get("last_job_id")?;
    let key_id: Option<Uuid> = row.try_get("key_id")?;
    let paused: Option<&str> = row.try_get("paused")?;
    let schedule = StoredSchedule {
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        owner: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        role: row.try_get("role")?,
        spec,
        key_id: key_id.map(KeyId),
        paused: paused.map(pause_reason).transpose().map_err(decode)?,
        planned: row.try_get("planned")?,
        next_due_at: instant("next_due_at")?,
        last: last.map(|Json(last)| last),
        last_job: last_job.map(JobId),
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        n: number(row.try_get("n")?),
    };
    Ok((ScheduleId(row.try_get("schedule_id")?), schedule))
}

/// A webhook's columns, in the order in which [`webhook`] names them.
pub(crate) const WEBHOOK: &str = "webhook_id, tenant, user_id, spec, key_id, expires_at, rotation, \
                                  previous_until, disabled, created_at, set_in, n";

pub(crate) async fn webhooks(
    connection: &mut PgConnection,
) -> sqlx::Result<BTreeMap<WebhookId, StoredWebhook>> {
    let sql = format!("select {WEBHOOK} from webhooks");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(webhook).collect()
}

pub(crate) fn webhook(row: &PgRow) -> sqlx::Result<(WebhookId, StoredWebhook)> {
    let Json(spec) = row.try_get("spec")?;
    let instant = |column| row.try_get::<Option<Instant>, _>(column).map(|i| i.map(|i| i.0));
    let key_id: Option<Uuid> = row.try_get("key_id")?;
    let disabled: Option<&str> = row.try_get("disabled")?;
    let rotation: i32 = row.try_get("rotation")?;
    let webhook = StoredWebhook {
        tenant: TenantId::new(row.try_get::<&str, _>("tenant")?).map_err(decode)?,
        owner: UserId::new(row.try_get::<&str, _>("user_id")?).map_err(decode)?,
        spec,
        key_id: key_id.map(KeyId),
        expires_at: instant("expires_at")?,
        rotation: rotation.unsigned_abs(),
        previous_until: instant("previous_until")?,
        disabled: disabled.map(disable_reason).transpose().map_err(decode)?,
        created_at: row.try_get::<Instant, _>("created_at")?.0,
        set_in: number(row.try_get("set_in")?),
        n: number(row.try_get("n")?),
    };
    Ok((WebhookId(row.try_get("webhook_id")?), webhook))
}

fn disable_reason(text: &str) -> Result<DisableReason, UnknownWord> {
    let known = DisableReason::ALL.into_iter().find(|reason| reason.as_str() == text);
    known.ok_or_else(|| UnknownWord { column: "disabled", found: text.to_owned() })
}

fn pause_reason(text: &str) -> Result<PauseReason, UnknownWord> {
    let known = PauseReason::ALL.into_iter().find(|reason| reason.as_str() == text);
    known.ok_or_else(|| UnknownWord { column: "paused", found: text.to_owned() })
}

/// A row that does not read as what this version writes.
pub(crate) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
