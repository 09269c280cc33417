//! Jobs: into the table of live ones or that of ended ones, and from one to the other.

use std::{collections::HashMap, sync::LazyLock};

use nox_contract::{Metadata, RawJson, Timestamp};
use sqlx::{PgConnection, Row, types};
use uuid::Uuid;

use super::columns::{Column, Kind::*, copied, each_in_arrays};
use crate::{
    load,
    project::{Created, JobChange, Stored},
    rows::{Parked, StoredJob},
    sql::{Instant, Jsonb, big, small},
    storable,
};

type Columns = &'static [Column<JobChange>];

/// A column of a type by a name, and what it has of a change `c`.
macro_rules! columns {
    ($($kind:ident $name:ident: $c:ident => $value:expr;)*) => {
        &[$(Column {
            name: stringify!($name),
            kind: $kind,
            write: |$c, buffer| super::columns::write($value, buffer),
        }),*]
    };
}

/// What may change as long as the row is there.
const CHANGING: Columns = columns! {
    Uuid id: c => c.row.id.0;
    Text status: c => c.row.job.state().as_str();
    Integer attempt: c => small(c.row.job.attempt.0);
    Timestamptz started_at: c => c.row.job.started_at.map(Instant);
    Timestamptz ended_at: c => c.row.job.ended_at.map(Instant);
    Jsonb error: c => error(&c.row);
    Bigint n: c => big(c.row.n.0);
    Text worker_id: c => c.row.worker_id.as_ref().map(|worker| worker.as_str());
    Integer failures: c => small(c.row.job.failures);
    Integer crashes: c => small(c.row.job.crashes);
    Integer suspicions: c => small(c.row.job.suspicions);
    Timestamptz due_at: c => c.row.job.due_at.map(Instant);
    Timestamptz period: c => c.row.ledger.period.map(Instant);
    Bigint reservation: c => c.row.ledger.reservation;
    Bigint reserved: c => c.row.ledger.reserved;
    Bigint used: c => c.row.ledger.used;
    Bigint overrun: c => c.row.ledger.overrun;
    Bytea frames: c => c.row.frames.as_slice();
    Text parked: c => c.row.parked.map(Parked::as_str);
    Jsonb raised_resources: c => c.row.job.raised_resources.as_ref().map(Jsonb::of);
    Jsonb progress: c => c.row.progress.as_ref().map(Jsonb::of);
};
/// What a live row has beside.
const LIVE: Columns = columns! {
    Text waiting_code: c => c.row.job.waiting().map(|code| code.as_str());
    Bigint work: c => c.row.work().map(|work| big(work.0));
    Boolean held: c => c.row.held();
};
/// What an ended row has beside.
const ENDED: Columns = columns! {
    Json outputs: c => c.outputs.as_ref().map(RawJson::get);
};
/// What the first entry says of a job.
const FIXED: Columns = columns! {
    Text tenant: c => c.row.tenant.as_str();
    Text user_id: c => c.row.user_id.as_str();
    Text module: c => c.row.module.as_str();
    Json inputs: c => c.created.inputs.as_ref().map(RawJson::get);
    Bigint cpu: c => i64::from(c.row.job.requested_resources.cpu);
    Bigint mem_mb: c => i64::from(c.row.job.requested_resources.mem_mb);
    Bigint wall_time_s: c => i64::from(c.row.job.requested_resources.wall_time_s);
    Bigint gpu: c => i64::from(c.row.job.requested_resources.gpu);
    Timestamptz created_at: c => Instant(c.row.job.created_at);
    Smallint priority: c => i16::from(c.row.job.priority);
    Text fingerprint: c => c.created.fingerprint.as_deref();
    Text module_version: c => c.created.module_version.as_deref();
    Jsonb worker_labels: c => worker_labels(&c.created);
    Text topic: c => c.created.task.as_ref().map(|task| task.topic.as_str());
    Text room: c => c.created.task.as_ref().map(|task| task.room.as_str());
    Jsonb labels: c => labels(&c.created);
    Text release_id: c => metadata(&c.created).and_then(|of| of.release_id.as_deref());
    Uuid retry_of: c => metadata(&c.created).and_then(|of| of.retry_of).map(|job| job.0);
    Jsonb concurrency: c => c.created.concurrency.as_ref().map(Jsonb::of);
    Bigint submitted: c => c.row.submitted().packed();
};
/// By what lists find it.
const RUNS: Columns = columns! {
    Bigint tenant_run: c => c.row.tenant_run();
    Bigint user_run: c => c.row.user_run();
};

static NEW_LIVE: LazyLock<Statement> =
    LazyLock::new(|| copy("jobs_live", &[CHANGING, LIVE, FIXED, RUNS]));
static NEW_ENDED: LazyLock<Statement> =
    LazyLock::new(|| copy("jobs_ended", &[CHANGING, ENDED, FIXED, RUNS]));
static UPDATE_LIVE: LazyLock<Statement> = LazyLock::new(|| update("jobs_live", &[CHANGING, LIVE]));
static UPDATE_ENDED: LazyLock<Statement> = LazyLock::new(|| update("jobs_ended", &[CHANGING]));
/// A statement, and what it is given of each change.
struct Statement {
    sql: String,
    columns: Vec<Column<JobChange>>,
}

fn names(of: &str, columns: &[Column<JobChange>]) -> String {
    let names: Vec<_> = columns.iter().map(|column| format!("{of}{}", column.name)).collect();
    names.join(", ")
}

fn unnest(columns: &[Column<JobChange>]) -> String {
    let arrays =
        (1..).zip(columns).map(|(place, column)| format!("${place}::{}[]", column.kind.sql()));
    format!("unnest({})", arrays.collect::<Vec<_>>().join(", "))
}

/// New rows are copied in, which takes a quarter less of Postgres than gathering them from arrays does.
fn copy(table: &str, columns: &[Columns]) -> Statement {
    let columns = columns.concat();
    let sql = format!("copy {table} ({}) from stdin (format binary)", names("", &columns));
    Statement { sql, columns }
}

fn update(table: &str, columns: &[Columns]) -> Statement {
    let columns = columns.concat();
    let set: Vec<_> =
        columns[1..].iter().map(|Column { name, .. }| format!("{name} = new.{name}")).collect();
    let (set, unnest, names) = (set.join(", "), unnest(&columns), names("", &columns));
    // A plain `=` may be turned round, and is where the table was small when it was last looked at: all of it
    // is read in the order of its key, and all that is new gone through for each row.
    let sql = format!(
        "update {table} set {set} from {unnest} as new ({names})
         where {table}.id = any (array[new.id])"
    );
    Statement { sql, columns }
}

/// Rows that are taken out of a table at once: so many inputs are in memory meanwhile.
const MOVED_AT_ONCE: usize = 500;

/// Writes every change once, into the one table where its row belongs now. Jobs that ended before
/// `expired_before` get no row if they have none yet.
pub(super) async fn write(
    connection: &mut PgConnection,
    changes: &mut [JobChange],
    expired_before: Option<Timestamp>,
) -> sqlx::Result<()> {
    let mut of: [Vec<&JobChange>; 4] = Default::default();
    let [new, new_ended, live, ended] = &mut of;
    let mut ended_now = Vec::new();
    for change in changes {
        match (change.stored, change.row.is_over()) {
            (Stored::Not, false) => new.push(change),
            (Stored::Not, true) if change.row.is_expired(expired_before) => {}
            (Stored::Not, true) => new_ended.push(change),
            (Stored::Live, false) => live.push(change),
            (Stored::Live, true) => ended_now.push(change),
            (Stored::Ended, _) => ended.push(change),
        }
    }
    insert(&NEW_LIVE, new, connection).await?;
    insert(&NEW_ENDED, new_ended, connection).await?;
    each(&UPDATE_LIVE, live, connection).await?;
    for some in ended_now.chunks_mut(MOVED_AT_ONCE) {
        end(some, connection).await?;
    }
    each(&UPDATE_ENDED, ended, connection).await
}

/// Takes rows out of the table of live ones and puts them into that of ended ones, where they are copied
/// in as new ones are. To leave all of that to Postgres, from arrays of what has changed, costs it more than
/// to hand out what only the rows have.
async fn end(changes: &mut [&mut JobChange], connection: &mut PgConnection) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = changes.iter().map(|change| change.row.id.0).collect();
    let rows = sqlx::query(
        "delete from jobs_live where id = any($1)
         returning id, inputs, fingerprint, module_version, worker_labels, topic, room,
                   labels, release_id, retry_of, concurrency",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    found_all(rows.len(), changes.len())?;
    let mut kept = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id: Uuid = row.try_get("id")?;
        let inputs: Option<types::Json<RawJson>> = row.try_get("inputs")?;
        let labels: Option<types::Json<_>> = row.try_get("worker_labels")?;
        let created = Created {
            task: load::task(row)?,
            metadata: load::metadata(row)?.boxed(),
            concurrency: load::concurrency(row)?,
            inputs: inputs.map(|json| json.0),
            fingerprint: row.try_get("fingerprint")?,
            module_version: row.try_get("module_version")?,
            worker_labels: labels.map(|json| json.0).unwrap_or_default(),
        };
        kept.insert(id, created);
    }
    for change in &mut *changes {
        change.created = kept.remove(&change.row.id.0).unwrap_or_default();
    }
    let ended: Vec<&JobChange> = changes.iter().map(|change| &**change).collect();
    insert(&NEW_ENDED, &ended, connection).await?;
    for change in changes {
        change.created = Created::default();
    }
    Ok(())
}

/// Adds a row for each change.
async fn insert(
    statement: &Statement,
    changes: &[&JobChange],
    connection: &mut PgConnection,
) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut copy = connection.copy_in_raw(&statement.sql).await?;
    copy.send(copied(&statement.columns, changes)?).await?;
    copy.finish().await?;
    Ok(())
}

/// Runs a statement that finds a row for each change.
async fn each(
    statement: &'static Statement,
    changes: &[&JobChange],
    connection: &mut PgConnection,
) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let query = each_in_arrays(&statement.sql, &statement.columns, changes);
    let found = query.execute(connection).await?.rows_affected();
    found_all(found as usize, changes.len())
}

fn found_all(found: usize, count: usize) -> sqlx::Result<()> {
    if found == count {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("{found} of {count} jobs have a row")))
}

/// The labels that its worker must have, where there are any.
fn worker_labels(created: &Created) -> Option<Jsonb> {
    let labels = &created.worker_labels;
    (!labels.is_empty()).then(|| Jsonb::of(labels))
}

fn metadata(created: &Created) -> Option<&Metadata> {
    created.metadata.as_deref()
}

/// The labels that it is found by, where there are any.
fn labels(created: &Created) -> Option<Jsonb> {
    let labels = &metadata(created)?.labels;
    (!labels.is_empty()).then(|| Jsonb::of(labels))
}

/// Why the job or its last attempt failed, unless that cannot be stored.
fn error(row: &StoredJob) -> Option<Jsonb> {
    let error = row.job.error.as_ref()?;
    storable::job_error(error).is_ok().then(|| Jsonb::of(error))
}
