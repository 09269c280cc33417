//! What a job's row costs Postgres in several layouts of tables and indexes. Run by hand:
//! `cargo test -p nox-readmodel --test it layouts -- --ignored --nocapture`;
//! `LAYOUTS=once` takes only those whose name has that word.

use std::{fs, time::Duration};

use nox_devkit::{Postgres, PostgresOptions};
use nox_readmodel::sql::Jsonb;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres as Pg, postgres::PgArguments, query::Query,
};

const JOBS: u64 = 40_000;
const QUEUED: u64 = 4_000;
const BATCH: u64 = 400;

/// Columns of all layouts but for the resources, with their types.
const COLUMNS: [(&str, &str); 32] = [
    ("id", "uuid"),
    ("tenant", "text"),
    ("user_id", "text"),
    ("module", "text"),
    ("status", "text"),
    ("attempt", "integer"),
    ("waiting_code", "text"),
    ("inputs", "jsonb"),
    ("outputs", "jsonb"),
    ("created_at", "timestamptz"),
    ("started_at", "timestamptz"),
    ("ended_at", "timestamptz"),
    ("error", "jsonb"),
    ("n", "bigint"),
    ("worker_id", "text"),
    ("priority", "smallint"),
    ("fingerprint", "text"),
    ("parked", "text"),
    ("submitted_n", "bigint"),
    ("submitted_place", "integer"),
    ("due_at", "timestamptz"),
    ("work", "bigint"),
    ("held", "boolean"),
    ("failures", "integer"),
    ("crashes", "integer"),
    ("suspicions", "integer"),
    ("period", "timestamptz"),
    ("reservation", "bigint"),
    ("reserved", "bigint"),
    ("used", "bigint"),
    ("overrun", "bigint"),
    ("frames", "bytea"),
];
const AS_JSON: [(&str, &str); 2] =
    [("requested_resources", "jsonb"), ("reserved_resources", "jsonb")];
const AS_NUMBERS: [(&str, &str); 4] =
    [("cpu", "integer"), ("mem_mb", "integer"), ("wall_time_s", "integer"), ("gpu", "integer")];
/// What never changes after a job's first entry.
const FIXED: [&str; 14] = [
    "tenant",
    "user_id",
    "module",
    "inputs",
    "created_at",
    "priority",
    "fingerprint",
    "submitted_n",
    "submitted_place",
    "requested_resources",
    "cpu",
    "mem_mb",
    "wall_time_s",
    "gpu",
];
const CHECKS: &str = ",
    check (status in ('draft', 'queued', 'running', 'succeeded', 'failed', 'canceled')),
    check (attempt >= 0), check (waiting_code is null or status = 'queued'),
    check (outputs is null or status = 'succeeded'), check (priority between 0 and 9),
    check (parked in ('unstorable', 'unknown_fact', 'refused')),
    check (submitted_n between 1 and n), check (submitted_place >= 0),
    check (failures >= 0), check (crashes >= 0), check (suspicions >= 0),
    check (reservation >= 0), check (reserved >= 0), check (used >= 0), check (overrun >= 0),
    check (reserved + used <= reservation), check (reservation = 0 or period is not null),
    check ((status in ('succeeded', 'failed', 'canceled')) = (ended_at is not null)),
    check (not held or worker_id is not null)";

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Queued,
    Assigned,
    Succeeded,
}

struct Step {
    sql: String,
    columns: Vec<(&'static str, &'static str)>,
    stage: Stage,
}

struct Layout {
    name: &'static str,
    tables: String,
    steps: Vec<Step>,
}

fn columns(resources: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    COLUMNS.iter().chain(resources).copied().collect()
}

fn table(name: &str, columns: &[(&str, &str)], checks: &str, fill: u32) -> String {
    let mut lines: Vec<_> = columns.iter().map(|(name, of)| format!("{name} {of}")).collect();
    lines[0].push_str(" primary key");
    format!("create table {name} ({}{checks}) with (fillfactor = {fill});", lines.join(", "))
}

fn names(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn unnest(columns: &[(&str, &str)]) -> String {
    let arrays: Vec<_> =
        (1..).zip(columns).map(|(place, (_, of))| format!("${place}::{of}[]")).collect();
    format!("unnest({})", arrays.join(", "))
}

fn insert(table: &str, columns: &[(&'static str, &'static str)], stage: Stage) -> Step {
    let names = names(columns);
    let sql = format!("insert into {table} ({names}) select * from {}", unnest(columns));
    Step { sql, columns: columns.to_vec(), stage }
}

fn changing(columns: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    columns.iter().filter(|(name, _)| !FIXED.contains(name)).copied().collect()
}

fn update(table: &str, columns: &[(&'static str, &'static str)], stage: Stage) -> Step {
    let columns = changing(columns);
    let sets: Vec<_> =
        columns[1..].iter().map(|(name, _)| format!("{name} = new.{name}")).collect();
    let (sets, unnest, names) = (sets.join(", "), unnest(&columns), names(&columns));
    let sql = format!(
        "update {table} set {sets} from {unnest} as new ({names}) where {table}.id = new.id"
    );
    Step { sql, columns, stage }
}

/// Takes the row out of one table and puts it into the other, in one statement.
fn moved(columns: &[(&'static str, &'static str)]) -> Step {
    let given = changing(columns);
    let fixed: Vec<_> =
        columns.iter().filter(|(name, _)| FIXED.contains(name)).map(|(name, _)| *name).collect();
    let fixed = fixed.join(", ");
    let (names, unnest) = (names(&given), unnest(&given));
    let list = |of: &str, names: &str| {
        names.split(", ").map(|name| format!("{of}.{name}")).collect::<Vec<_>>().join(", ")
    };
    let sql = format!(
        "with moved as (
             delete from live using {unnest} as new ({names}) where live.id = new.id
             returning {}, {}
         )
         insert into ended ({names}, {fixed}) select * from moved",
        list("new", &names),
        list("live", &fixed),
    );
    Step { sql, columns: given, stage: Stage::Succeeded }
}

const FIVE: &str = "create index on jobs (tenant, submitted_n, submitted_place);
    create index on jobs (tenant, user_id, submitted_n, submitted_place);
    create index on jobs (tenant, module, submitted_n, submitted_place);
    create index on jobs (tenant, status, submitted_n, submitted_place) where status <> 'succeeded'";
const ONE: &str = "create index on jobs (tenant, user_id, submitted_n, submitted_place)";
const TWO: &str = "create index on jobs (tenant, user_id, module, submitted_n, submitted_place);
    create index on jobs (tenant, module, submitted_n, submitted_place)";
const LIVE: &str = "create index on live (tenant, user_id, module, submitted_n, submitted_place);
    create index on live (tenant, module, submitted_n, submitted_place);
    create index on live (tenant, submitted_n, submitted_place) where status <> 'queued';";
const ENDED: &str =
    "create index on ended (tenant, user_id, module, status, submitted_n, submitted_place);
    create index on ended (tenant, module, status, submitted_n, submitted_place);";
const BY_END: &str = "create index on ended (ended_at);";
const NUMBERS: &str = "create index on live (attempt, submitted_n, submitted_place);
    create index on live (gpu, submitted_n, submitted_place);
    create index on ended (attempt, submitted_n, submitted_place);
    create index on ended (gpu, submitted_n, submitted_place);";

fn layouts() -> Vec<Layout> {
    use Stage::{Assigned, Queued, Succeeded};
    let (json, numbers) = (columns(&AS_JSON), columns(&AS_NUMBERS));
    let one = |name, columns: &Vec<_>, fill, indexes: &str, stages: &[Stage]| {
        let mut steps = vec![insert("jobs", columns, stages[0])];
        steps.extend(stages[1..].iter().map(|stage| update("jobs", columns, *stage)));
        Layout { name, tables: table("jobs", columns, CHECKS, fill) + indexes, steps }
    };
    let two = |name, columns: &Vec<_>, checks: &str, indexes: &[&str], stages: &[Stage]| {
        let tables = table("live", columns, checks, 70) + &table("ended", columns, checks, 100);
        let steps = match stages {
            [Queued, Assigned, ..] => {
                vec![
                    insert("live", columns, Queued),
                    update("live", columns, Assigned),
                    moved(columns),
                ]
            }
            [Queued, ..] => vec![insert("live", columns, Queued), moved(columns)],
            _ => vec![insert("ended", columns, Succeeded)],
        };
        Layout { name, tables: tables + &indexes.concat(), steps }
    };
    let (thrice, twice, once): (&[Stage], &[Stage], &[Stage]) =
        (&[Queued, Assigned, Succeeded], &[Queued, Succeeded], &[Succeeded]);
    let lists = &[LIVE, ENDED];
    vec![
        one("one table, five indexes, thrice", &json, 100, FIVE, thrice),
        one("one table, five indexes, twice", &json, 100, FIVE, twice),
        one("one table, five indexes, once", &json, 100, FIVE, once),
        one("one table, HOT, 1 list index, thrice", &numbers, 50, ONE, thrice),
        one("one table, HOT, 1 list index, twice", &numbers, 50, ONE, twice),
        one("one table, HOT, 2 list indexes, thrice", &numbers, 50, TWO, thrice),
        one("one table, HOT, 2 list indexes, twice", &numbers, 50, TWO, twice),
        one("one table, HOT, fill 80, twice", &numbers, 80, TWO, twice),
        two("two tables, thrice", &numbers, CHECKS, lists, thrice),
        two("two tables, twice", &numbers, CHECKS, lists, twice),
        two("two tables, once", &numbers, CHECKS, lists, once),
        two("two tables, and by end, once", &numbers, CHECKS, &[ENDED, BY_END], once),
        two("two tables, indexes of numbers, twice", &numbers, CHECKS, &[NUMBERS], twice),
        two("two tables, indexes of numbers, once", &numbers, CHECKS, &[NUMBERS], once),
        two("two tables, no lists, twice", &numbers, CHECKS, &[], twice),
        two("two tables, no lists, once", &numbers, CHECKS, &[], once),
        two("two tables, no lists, no checks, once", &numbers, "", &[], once),
        two("two tables, no lists, resources as JSON, once", &json, CHECKS, &[], once),
    ]
}

fn bind<'q>(
    query: Query<'q, Pg, PgArguments>,
    column: &str,
    jobs: &[u64],
    stage: Stage,
) -> Query<'q, Pg, PgArguments> {
    let (assigned, over) = (stage != Stage::Queued, stage == Stage::Succeeded);
    fn all<T>(jobs: &[u64], of: impl Fn(u64) -> T) -> Vec<T> {
        jobs.iter().map(|job| of(*job)).collect()
    }
    let instant = |job: u64, more: i64| {
        nox_readmodel::sql::Instant(nox_contract::Timestamp::from_micros(
            1_795_298_400_000_000 + job as i64 * 100 + more,
        ))
    };
    let resources = r#"{"cpu": 1, "mem_mb": 256, "wall_time_s": 60, "gpu": 0}"#;
    let json = |text: &str| Jsonb::of(&serde_json::from_str::<serde_json::Value>(text).unwrap());
    match column {
        "id" => query.bind(all(jobs, |job| crate::log::JobOf::new("default", "a", "b", job).id.0)),
        "tenant" => query.bind(all(jobs, |_| "default")),
        "user_id" => query.bind(all(jobs, |job| format!("user-{}", job % 20))),
        "module" => query.bind(all(jobs, |_| "command")),
        "status" => query.bind(all(jobs, |_| if over { "succeeded" } else { "queued" })),
        "attempt" => query.bind(all(jobs, |_| i32::from(assigned))),
        "waiting_code" => query.bind(all(jobs, |_| match stage {
            Stage::Queued => Some("priority"),
            Stage::Assigned => Some("dispatching"),
            Stage::Succeeded => None,
        })),
        "inputs" => query.bind(all(jobs, |_| json(r#"{"argv": ["true"]}"#))),
        "outputs" => query.bind(all(jobs, |_| {
            over.then(|| json(r#"{"files": [], "metrics": {"duration_s": 0.001}, "scalars": {}}"#))
        })),
        "error" => query.bind(all(jobs, |_| None::<Jsonb>)),
        "created_at" => query.bind(all(jobs, |job| instant(job, 0))),
        "started_at" => query.bind(all(jobs, |job| over.then(|| instant(job, 100_000)))),
        "ended_at" => query.bind(all(jobs, |job| over.then(|| instant(job, 101_000)))),
        "due_at" => query.bind(all(jobs, |_| None::<nox_readmodel::sql::Instant>)),
        "period" => query.bind(all(jobs, |_| Some(instant(0, 0)))),
        "n" => query.bind(all(jobs, |job| job as i64 / 100 + 1 + i64::from(over))),
        "submitted_n" => query.bind(all(jobs, |job| job as i64 / 100 + 1)),
        "submitted_place" => query.bind(all(jobs, |job| (job % 100) as i32)),
        "worker_id" => query.bind(all(jobs, |_| assigned.then_some("exec-1"))),
        "work" => query.bind(all(jobs, |job| (stage == Stage::Assigned).then_some(job as i64))),
        "held" => query.bind(all(jobs, |_| stage == Stage::Assigned)),
        "priority" => query.bind(all(jobs, |_| 5_i16)),
        "fingerprint" => query.bind(all(jobs, |_| Some("6f1ed002ab5595859014ebf0951522d9"))),
        "parked" => query.bind(all(jobs, |_| None::<&str>)),
        "frames" => query.bind(all(jobs, |_| vec![1_u8; usize::from(over)])),
        "reservation" => query.bind(all(jobs, |_| 60_i64)),
        "reserved" => query.bind(all(jobs, |_| if over { 0_i64 } else { 60 })),
        "used" => query.bind(all(jobs, |_| i64::from(over))),
        "overrun" => query.bind(all(jobs, |_| 0_i64)),
        "requested_resources" => query.bind(all(jobs, |_| json(resources))),
        "reserved_resources" => query.bind(all(jobs, |_| json(resources))),
        "cpu" => query.bind(all(jobs, |_| 1_i32)),
        "mem_mb" => query.bind(all(jobs, |_| 256_i32)),
        "wall_time_s" => query.bind(all(jobs, |_| 60_i32)),
        _ => query.bind(all(jobs, |_| 0_i32)),
    }
}

/// CPU time of a process so far, in µs: nanoseconds stand first in `schedstat`, a ten-millisecond tick is
/// too coarse.
fn cpu_micros(pid: u32) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/schedstat")) else { return 0 };
    stat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// Of the backend, and of all others that belong to the server.
fn cpu(postmaster: u32, backend: u32) -> (u64, u64) {
    let children =
        fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
    let pids = children.split_whitespace().map(|child| child.parse::<u32>().unwrap());
    pids.fold((0, 0), |(mine, others), pid| match pid == backend {
        true => (mine + cpu_micros(pid), others),
        false => (mine, others + cpu_micros(pid)),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_row() {
    println!("{:46} {:>8} {:>8} {:>8} {:>8}", "µs a job", "backend", "others", "WAL B", "disk B");
    let wanted = std::env::var("LAYOUTS").unwrap_or_default();
    for layout in layouts().into_iter().filter(|layout| layout.name.contains(&wanted)) {
        let folder = tempfile::tempdir().unwrap();
        let postgres =
            Postgres::start(PostgresOptions::new(folder.path().join("pg"))).await.unwrap();
        postgres.psql(&layout.tables).await.unwrap();
        let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
        sqlx::raw_sql(
            "set synchronous_commit = off; set plan_cache_mode = force_generic_plan;
             set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let backend: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let lsn = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        let wal: i64 = sqlx::query_scalar(lsn).fetch_one(&mut connection).await.unwrap();
        let before = cpu(postgres.pid().unwrap(), backend as u32);
        let mut first = 0;
        while first < JOBS + QUEUED {
            let mut transaction = connection.begin().await.unwrap();
            for step in &layout.steps {
                let behind = match step.stage {
                    Stage::Queued => 0,
                    Stage::Assigned => QUEUED - BATCH,
                    Stage::Succeeded => QUEUED,
                };
                let Some(first) = first.checked_sub(behind) else { continue };
                let jobs: Vec<u64> = (first..first + BATCH).collect();
                let query = sqlx::query(AssertSqlSafe(step.sql.clone()));
                let query = step
                    .columns
                    .iter()
                    .fold(query, |query, (column, _)| bind(query, column, &jobs, step.stage));
                query.execute(&mut *transaction).await.unwrap();
            }
            transaction.commit().await.unwrap();
            first += BATCH;
        }
        // What is left to the others comes later, and is theirs all the same.
        sqlx::raw_sql("checkpoint").execute(&mut connection).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let after = cpu(postgres.pid().unwrap(), backend as u32);
        let wal = sqlx::query_scalar::<_, i64>(lsn).fetch_one(&mut connection).await.unwrap() - wal;
        let disk = "select sum(pg_total_relation_size(oid))::bigint from pg_class
                    where relnamespace = 'public'::regnamespace and relkind = 'r'";
        let disk: i64 = sqlx::query_scalar(disk).fetch_one(&mut connection).await.unwrap();
        println!(
            "{:46} {:>8.1} {:>8.1} {:>8} {:>8}",
            layout.name,
            (after.0 - before.0) as f64 / JOBS as f64,
            (after.1 - before.1) as f64 / JOBS as f64,
            wal / JOBS as i64,
            disk / JOBS as i64,
        );
    }
}
