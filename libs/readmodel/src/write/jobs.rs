//! Jobs: into the table of live ones or that of ended ones, and from one to the other.

use std::sync::LazyLock;

use nox_contract::Timestamp;
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres,
    postgres::{PgArguments, PgBindIterExt},
    query::Query,
};

use crate::{
    project::{JobChange, Stored},
    rows::{Parked, StoredJob},
    sql::{Instant, Jsonb, big, small},
    storable,
};

/// Columns and their types, in the order in which they are bound.
type Columns = &'static [(&'static str, &'static str)];

/// What may change as long as the row is there.
const CHANGING: Columns = &[
    ("id", "uuid"),
    ("status", "text"),
    ("attempt", "integer"),
    ("started_at", "timestamptz"),
    ("ended_at", "timestamptz"),
    ("error", "jsonb"),
    ("n", "bigint"),
    ("worker_id", "text"),
    ("failures", "integer"),
    ("crashes", "integer"),
    ("suspicions", "integer"),
    ("due_at", "timestamptz"),
    ("period", "timestamptz"),
    ("reservation", "bigint"),
    ("reserved", "bigint"),
    ("used", "bigint"),
    ("overrun", "bigint"),
    ("frames", "bytea"),
    ("parked", "text"),
];
/// What a live row has beside.
const LIVE: Columns = &[("waiting_code", "text"), ("work", "bigint"), ("held", "boolean")];
/// What an ended row has beside.
const ENDED: Columns = &[("outputs", "jsonb")];
/// What the first entry says of a job.
const FIXED: Columns = &[
    ("tenant", "text"),
    ("user_id", "text"),
    ("module", "text"),
    ("inputs", "jsonb"),
    ("cpu", "bigint"),
    ("mem_mb", "bigint"),
    ("wall_time_s", "bigint"),
    ("gpu", "bigint"),
    ("created_at", "timestamptz"),
    ("priority", "smallint"),
    ("fingerprint", "text"),
    ("submitted_n", "bigint"),
    ("submitted_place", "integer"),
];

static INSERT_LIVE: LazyLock<String> =
    LazyLock::new(|| insert("jobs_live", &[CHANGING, LIVE, FIXED].concat()));
static INSERT_ENDED: LazyLock<String> =
    LazyLock::new(|| insert("jobs_ended", &[CHANGING, ENDED, FIXED].concat()));
static UPDATE_LIVE: LazyLock<String> =
    LazyLock::new(|| update("jobs_live", &[CHANGING, LIVE].concat()));
static UPDATE_ENDED: LazyLock<String> = LazyLock::new(|| update("jobs_ended", CHANGING));
/// Takes rows out of one table and puts them into the other; what only passes through stays in Postgres.
static END: LazyLock<String> = LazyLock::new(|| {
    let given = [CHANGING, ENDED].concat();
    let (names, fixed) = (names("", &given), names("", FIXED));
    format!(
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
    )
});

fn names(of: &str, columns: &[(&str, &str)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("{of}{name}")).collect();
    names.join(", ")
}

fn unnest(columns: &[(&str, &str)]) -> String {
    let arrays = (1..).zip(columns).map(|(place, (_, of))| format!("${place}::{of}[]"));
    format!("unnest({})", arrays.collect::<Vec<_>>().join(", "))
}

fn insert(table: &str, columns: &[(&str, &str)]) -> String {
    format!("insert into {table} ({}) select * from {}", names("", columns), unnest(columns))
}

fn update(table: &str, columns: &[(&str, &str)]) -> String {
    let set: Vec<_> = columns[1..].iter().map(|(name, _)| format!("{name} = new.{name}")).collect();
    let (set, unnest, names) = (set.join(", "), unnest(columns), names("", columns));
    format!("update {table} set {set} from {unnest} as new ({names}) where {table}.id = new.id")
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
    if !new.is_empty() {
        let query = bind_fixed(bind_live(bind(&INSERT_LIVE, new), new), new);
        query.execute(&mut *connection).await?;
    }
    if !new_ended.is_empty() {
        let query = bind_fixed(bind_ended(bind(&INSERT_ENDED, new_ended), new_ended), new_ended);
        query.execute(&mut *connection).await?;
    }
    if !live.is_empty() {
        each(bind_live(bind(&UPDATE_LIVE, live), live), live, connection).await?;
    }
    if !ended_now.is_empty() {
        each(bind_ended(bind(&END, ended_now), ended_now), ended_now, connection).await?;
    }
    if !ended.is_empty() {
        each(bind(&UPDATE_ENDED, ended), ended, connection).await?;
    }
    Ok(())
}

/// Runs a statement that finds a row for each change.
async fn each(
    query: Bound<'_>,
    changes: &[&JobChange],
    connection: &mut PgConnection,
) -> sqlx::Result<()> {
    let found = query.execute(connection).await?.rows_affected();
    if found != changes.len() as u64 {
        let missing = format!("{found} of {} jobs have a row", changes.len());
        return Err(sqlx::Error::Protocol(missing));
    }
    Ok(())
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// Binds [`CHANGING`].
fn bind<'q>(sql: &'static str, changes: &[&JobChange]) -> Bound<'q> {
    macro_rules! column {
        ($change:ident => $value:expr) => {
            changes.iter().map(|$change| $value).bind_iter()
        };
    }
    sqlx::query(AssertSqlSafe(sql))
        .bind(column!(c => c.row.id.0))
        .bind(column!(c => c.row.job.state().as_str()))
        .bind(column!(c => small(c.row.job.attempt.0)))
        .bind(column!(c => c.row.job.started_at.map(Instant)))
        .bind(column!(c => c.row.job.ended_at.map(Instant)))
        .bind(column!(c => error(&c.row)))
        .bind(column!(c => big(c.row.n.0)))
        .bind(column!(c => c.row.worker_id.as_ref().map(|worker| worker.as_str())))
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
}

/// Binds [`LIVE`].
fn bind_live<'q>(query: Bound<'q>, changes: &[&JobChange]) -> Bound<'q> {
    query
        .bind(changes.iter().map(|c| c.row.job.waiting().map(|code| code.as_str())).bind_iter())
        .bind(changes.iter().map(|c| c.row.work().map(|work| big(work.0))).bind_iter())
        .bind(changes.iter().map(|c| c.row.held()).bind_iter())
}

/// Binds [`ENDED`].
fn bind_ended<'q>(query: Bound<'q>, changes: &[&JobChange]) -> Bound<'q> {
    query.bind(changes.iter().map(|c| c.outputs.as_ref().map(Jsonb::raw)).bind_iter())
}

/// Binds [`FIXED`].
fn bind_fixed<'q>(query: Bound<'q>, changes: &[&JobChange]) -> Bound<'q> {
    let resources = || changes.iter().map(|change| change.row.job.requested_resources);
    query
        .bind(changes.iter().map(|c| c.row.tenant.as_str()).bind_iter())
        .bind(changes.iter().map(|c| c.row.user_id.as_str()).bind_iter())
        .bind(changes.iter().map(|c| c.row.module.as_str()).bind_iter())
        .bind(changes.iter().map(|c| c.created.inputs.as_ref().map(Jsonb::raw)).bind_iter())
        .bind(resources().map(|r| i64::from(r.cpu)).bind_iter())
        .bind(resources().map(|r| i64::from(r.mem_mb)).bind_iter())
        .bind(resources().map(|r| i64::from(r.wall_time_s)).bind_iter())
        .bind(resources().map(|r| i64::from(r.gpu)).bind_iter())
        .bind(changes.iter().map(|c| Instant(c.row.job.created_at)).bind_iter())
        .bind(changes.iter().map(|c| i16::from(c.row.job.priority)).bind_iter())
        .bind(changes.iter().map(|c| c.created.fingerprint.as_deref()).bind_iter())
        .bind(changes.iter().map(|c| big(c.row.job.submitted_n.0)).bind_iter())
        .bind(changes.iter().map(|c| small(c.row.submitted_place)).bind_iter())
}

/// Why the job or its last attempt failed, unless that cannot be stored.
fn error(row: &StoredJob) -> Option<Jsonb<'static>> {
    let error = row.job.error.as_ref()?;
    storable::job_error(error).is_ok().then(|| Jsonb::of(error))
}
