//! Generations of the read model: a schema `nox_<generation>` each, and one row that names the
//! current one.

use std::str::FromStr;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction, migrate::MigrateError,
    postgres::PgConnectOptions,
};

use crate::{consequence::Consequence, session::Session, sql::count};

/// Serialises those who prepare a database at the same time. Any number that nobody else uses.
const PREPARE_LOCK: i64 = 0x6e6f_785f_7072_6570;

/// How the writer's statements are to be planned. Each looks up or adds rows by key, so there is one
/// right plan, whatever the tables hold; it is made once, and not for every batch anew. Left alone,
/// Postgres plans by the size of the arrays, and reads whole tables while they are small.
///
/// And a projector that stands still in the middle of a transaction must not hold up its successor for
/// longer than 30 s. No transaction of ours ever waits for anything but Postgres.
///
/// And no commit waits for the disk. A Postgres that crashes may lose the last ones; since the checkpoint
/// goes with the rows, they are folded again. See docs/decisions/0013-rows-written-once.md.
const WRITER: [(&str, &str); 7] = [
    ("idle_in_transaction_session_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("synchronous_commit", "off"),
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
        let options = PgConnectOptions::from_str(url)?.application_name("nox");
        // We read no floating-point numbers, and PgBouncer lets nobody in who names this parameter.
        let options = options.extra_float_digits(None);
        Ok(Self { options })
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub(crate) async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options).await
    }

    pub(crate) async fn connect_writer(&self, generation: u64) -> sqlx::Result<Session> {
        let connection = self.connect().await?;
        let mut settings = scope(generation);
        for (name, value) in WRITER {
            settings.push_str(&format!("; set local {name} = '{value}'"));
        }
        Ok(Session::new(connection, settings))
    }

    /// Makes what is missing and brings the current generation's tables up to date; returns its
    /// number. Any number of processes may do so at the same time.
    pub async fn prepare(&self) -> sqlx::Result<u64> {
        let mut connection = self.connect().await?;
        let mut transaction = lock(&mut connection).await?;
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
        make(&mut transaction, generation).await?;
        transaction.commit().await?;
        connection.close().await?;
        Ok(generation)
    }

    /// The current generation; `None` in a database that was never prepared.
    pub async fn current(&self) -> sqlx::Result<Option<u64>> {
        let mut connection = self.connect().await?;
        let generation = match current(&mut connection).await {
            Err(error) if Consequence::of(&error) == Consequence::Prepare => None,
            generation => Some(generation?),
        };
        connection.close().await?;
        Ok(generation)
    }

    /// Makes an empty generation, in place of what an earlier attempt left of it.
    pub(crate) async fn create(&self, generation: u64) -> sqlx::Result<()> {
        let mut connection = self.connect().await?;
        let mut transaction = lock(&mut connection).await?;
        drop_schema(&mut transaction, generation).await?;
        make(&mut transaction, generation).await?;
        transaction.commit().await?;
        connection.close().await
    }

    /// Makes `to` the current generation, if `from` is; says whether it was.
    pub(crate) async fn switch(&self, from: u64, to: u64) -> sqlx::Result<bool> {
        let mut connection = self.connect().await?;
        let switched = sqlx::raw_sql(AssertSqlSafe(format!(
            "update nox.generation set generation = {to}, switched_at = now()
             where generation = {from}",
        )))
        .execute(&mut connection)
        .await?;
        connection.close().await?;
        Ok(switched.rows_affected() == 1)
    }

    /// Drops a generation that is not the current one; says whether it may be dropped. Readers that
    /// have not noticed the switch yet lose their rows, so let a minute pass after it.
    pub async fn drop(&self, generation: u64) -> sqlx::Result<bool> {
        let mut connection = self.connect().await?;
        let may = current(&mut connection).await? != generation;
        if may {
            drop_schema(&mut connection, generation).await?;
        }
        connection.close().await?;
        Ok(may)
    }
}

/// What makes a transaction's statements mean the tables of `generation`, and no others, and its text be
/// in the encoding that we write: a role may have another one as its own.
pub(crate) fn scope(generation: u64) -> String {
    let schema = schema(generation);
    format!("set local search_path = {schema}; set local client_encoding = 'UTF8'")
}

/// The schema of a generation's tables.
pub(crate) fn schema(generation: u64) -> String {
    format!("nox_{generation}")
}

/// Begins to change tables, when nobody else does.
async fn lock(connection: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("select pg_advisory_xact_lock({PREPARE_LOCK})")))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Makes the tables of a generation, or brings them up to date.
async fn make(transaction: &mut PgConnection, generation: u64) -> sqlx::Result<()> {
    let schema = schema(generation);
    let sql = format!("create schema if not exists {schema}; {}", scope(generation));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    let mut migrations = sqlx::migrate!("../../migrations");
    // The transaction has a lock already. One of the session's would outlive it, and with a pooler
    // would be somebody else's to give back.
    migrations.set_locking(false);
    match migrations.run_direct(None, transaction, false).await {
        Err(MigrateError::VersionMissing(version)) => {
            let refused = format!(
                "a newer version of Nox made the tables of {schema}: they have migration {version}; start that \
                 version, or one that is newer"
            );
            Err(sqlx::Error::Configuration(refused.into()))
        }
        migrated => Ok(migrated?),
    }
}

/// In another encoding Postgres would refuse characters that every part of us takes.
async fn check_encoding(connection: &mut PgConnection) -> sqlx::Result<()> {
    let encoding = sqlx::raw_sql("select current_setting('server_encoding') as encoding")
        .fetch_one(connection)
        .await?;
    let encoding: String = encoding.try_get("encoding")?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let refused = format!("the database's encoding is {encoding}, and must be UTF8");
    Err(sqlx::Error::Configuration(refused.into()))
}

async fn current(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let row = sqlx::raw_sql("select generation from nox.generation").fetch_one(connection).await?;
    Ok(count(row.try_get("generation")?))
}

async fn drop_schema(connection: &mut PgConnection, generation: u64) -> sqlx::Result<()> {
    let statement = format!("drop schema if exists {} cascade", schema(generation));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
