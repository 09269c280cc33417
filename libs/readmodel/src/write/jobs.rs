//! Jobs: into the table of live ones or that of ended ones, and from one to the other.

use std::sync::LazyLock;

use nox_contract::Timestamp;
use sqlx::PgConnection;

use super::columns::{Column, Kind::*, copied, each_in_arrays};
use crate::{
    project::{JobChange, Stored},
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
};
/// What a live row has beside.
const LIVE: Columns = columns! {
    Text waiting_code: c => c.row.job.waiting().map(|code| code.as_str());
    Bigint work: c => c.row.work().map(|work| big(work.0));
    Boolean held: c => c.row.held();
};
/// What an ended row has beside.
const ENDED: Columns = columns! {
    Jsonb outputs: c => c.outputs.as_ref().map(Jsonb::raw);
};
/// What the first entry says of a job.
const FIXED: Columns = columns! {
    Text tenant: c => c.row.tenant.as_str();
    Text user_id: c => c.row.user_id.as_str();
    Text module: c => c.row.module.as_str();
    Jsonb inputs: c => c.created.inputs.as_ref().map(Jsonb::raw);
    Bigint cpu: c => i64::from(c.row.job.requested_resources.cpu);
    Bigint mem_mb: c => i64::from(c.row.job.requested_resources.mem_mb);
    Bigint wall_time_s: c => i64::from(c.row.job.requested_resources.wall_time_s);
    Bigint gpu: c => i64::from(c.row.job.requested_resources.gpu);
    Timestamptz created_at: c => Instant(c.row.job.created_at);
    Smallint priority: c => i16::from(c.row.job.priority);
    Text fingerprint: c => c.created.fingerprint.as_deref();
    Bigint submitted_n: c => big(c.row.job.submitted_n.0);
    Integer submitted_place: c => small(c.row.submitted_place);
};

static NEW_LIVE: LazyLock<Statement> =
    LazyLock::new(|| copy("jobs_live", &[CHANGING, LIVE, FIXED]));
static NEW_ENDED: LazyLock<Statement> =
    LazyLock::new(|| copy("jobs_ended", &[CHANGING, ENDED, FIXED]));
static UPDATE_LIVE: LazyLock<Statement> = LazyLock::new(|| update("jobs_live", &[CHANGING, LIVE]));
static UPDATE_ENDED: LazyLock<Statement> = LazyLock::new(|| update("jobs_ended", &[CHANGING]));
/// Takes rows out of one table and puts them into the other; what only passes through stays in Postgres.
static END: LazyLock<Statement> = LazyLock::new(|| {
    let given = [CHANGING, ENDED].concat();
    let (names, fixed) = (names("", &given), names("", FIXED));
    let sql = format!(
        "with moved as (
             delete from jobs_live
             using {} as new ({names})
             where jobs_live.id = new.id
             returning {}, {}
         )
         insert into jobs_ended ({names}, {fixed})
         select * from moved",
        unnest(&given),
        self::names("new.", &given),
        self::names("jobs_live.", FIXED),
    );
    Statement { sql, columns: given }
});

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
    let sql = format!(
        "update {table} set {set} from {unnest} as new ({names}) where {table}.id = new.id"
    );
    Statement { sql, columns }
}

/// Writes every change once, into the one table where its row belongs now. Jobs that ended before
/// `expired_before` get no row if they have none yet.
pub(super) async fn write(
    connection: &mut PgConnection,
    changes: &[JobChange],
    expired_before: Option<Timestamp>,
) -> sqlx::Result<()> {
    let mut of: [Vec<&JobChange>; 5] = Default::default();
    let [new, new_ended, live, ended, ended_now] = &mut of;
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
    each(&END, ended_now, connection).await?;
    each(&UPDATE_ENDED, ended, connection).await
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
    if found != changes.len() as u64 {
        let missing = format!("{found} of {} jobs have a row", changes.len());
        return Err(sqlx::Error::Protocol(missing));
    }
    Ok(())
}

/// Why the job or its last attempt failed, unless that cannot be stored.
fn error(row: &StoredJob) -> Option<Jsonb<'static>> {
    let error = row.job.error.as_ref()?;
    storable::job_error(error).is_ok().then(|| Jsonb::of(error))
}
