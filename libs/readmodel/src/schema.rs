//! Generations of the read model: a schema `nox_<generation>` each, and one row that names the
//! current one.

use std::str::FromStr;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::sql::{big, count};

/// The tables of every generation.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Serialises those who prepare a database at the same time. Any number that nobody else uses.
const PREPARE_LOCK: i64 = 0x6e6f_785f_7072_6570;

/// How the writer's statements are to be planned. Each looks up or adds rows by key, so there is one
/// right plan, whatever the tables hold; it is made once, and not for every batch anew. Left alone,
/// Postgres plans by the size of the arrays, and reads whole tables while they are small.
///
/// And a projector that stands still in the middle of a transaction must not hold up its successor for
/// longer than 30 s. No transaction of ours ever waits for anything but Postgres.
const WRITER: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// Where the read model is.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str) -> sqlx::Result<Self> {
        Ok(Self { options: PgConnectOptions::from_str(url)?.application_name("nox") })
    }

    /// How to connect to the rows of `generation`.
    pub(crate) fn options(&self, generation: u64) -> PgConnectOptions {
        self.options.clone().options([("search_path", schema(generation))])
    }

    pub(crate) async fn connect(&self, generation: u64) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options(generation)).await
    }

    pub(crate) async fn connect_writer(&self, generation: u64) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options(generation).options(WRITER)).await
    }

    /// Makes what is missing and brings the current generation's tables up to date; returns its
    /// number. Any number of processes may do so at the same time.
    pub async fn prepare(&self) -> sqlx::Result<u64> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let generation = bootstrap(&mut connection).await?;
        connection.close().await?;
        self.migrate(generation).await?;
        Ok(generation)
    }

    /// The current generation; `None` in a database that was never prepared.
    pub async fn current(&self) -> sqlx::Result<Option<u64>> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let prepared: bool = sqlx::query_scalar("select to_regclass('nox.generation') is not null")
            .fetch_one(&mut connection)
            .await?;
        if !prepared {
            return Ok(None);
        }
        let generation = current(&mut connection).await?;
        connection.close().await?;
        Ok(Some(generation))
    }

    /// Makes an empty generation, in place of what an earlier attempt left of it.
    pub(crate) async fn create(&self, generation: u64) -> sqlx::Result<()> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        drop_schema(&mut connection, generation).await?;
        create_schema(&mut connection, generation).await?;
        connection.close().await?;
        self.migrate(generation).await
    }

    /// Makes `to` the current generation, if `from` is; says whether it was.
    pub(crate) async fn switch(&self, from: u64, to: u64) -> sqlx::Result<bool> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let switched = sqlx::query(
            "update nox.generation set generation = $2, switched_at = now() where generation = $1",
        )
        .bind(big(from))
        .bind(big(to))
        .execute(&mut connection)
        .await?;
        connection.close().await?;
        Ok(switched.rows_affected() == 1)
    }

    /// Drops a generation that is not the current one; says whether it may be dropped. Readers that
    /// have not noticed the switch yet lose their rows, so let a minute pass after it.
    pub async fn drop(&self, generation: u64) -> sqlx::Result<bool> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let may = current(&mut connection).await? != generation;
        if may {
            drop_schema(&mut connection, generation).await?;
        }
        connection.close().await?;
        Ok(may)
    }

    async fn migrate(&self, generation: u64) -> sqlx::Result<()> {
        // A pool, because the future of a run on a bare connection cannot be sent between threads.
        let pool = PgPoolOptions::new().max_connections(1).connect_with(self.options(generation));
        let pool = pool.await?;
        MIGRATIONS.run(&pool).await?;
        pool.close().await;
        Ok(())
    }
}

fn schema(generation: u64) -> String {
    format!("nox_{generation}")
}

/// Makes the row that names the current generation, and that generation's schema.
async fn bootstrap(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(PREPARE_LOCK)
        .execute(&mut *transaction)
        .await?;
    check_encoding(&mut transaction).await?;
    sqlx::raw_sql(
        "create schema if not exists nox;
         create table if not exists nox.generation (
             one boolean primary key default true check (one),
             generation bigint not null check (generation > 0),
             switched_at timestamptz not null default now()
         );
         insert into nox.generation (generation) values (1) on conflict do nothing;",
    )
    .execute(&mut *transaction)
    .await?;
    let generation = current(&mut transaction).await?;
    create_schema(&mut transaction, generation).await?;
    transaction.commit().await?;
    Ok(generation)
}

/// In another encoding Postgres would refuse characters that every part of us takes.
async fn check_encoding(connection: &mut PgConnection) -> sqlx::Result<()> {
    let encoding: String = sqlx::query_scalar("select current_setting('server_encoding')")
        .fetch_one(connection)
        .await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let refused = format!("the database's encoding is {encoding}, and must be UTF8");
    Err(sqlx::Error::Configuration(refused.into()))
}

async fn current(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let row = sqlx::query("select generation from nox.generation").fetch_one(connection).await?;
    Ok(count(row.try_get("generation")?))
}

async fn create_schema(connection: &mut PgConnection, generation: u64) -> sqlx::Result<()> {
    let statement = format!("create schema if not exists {}", schema(generation));
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

async fn drop_schema(connection: &mut PgConnection, generation: u64) -> sqlx::Result<()> {
    let statement = format!("drop schema if exists {} cascade", schema(generation));
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
