//! A transaction that depends on nothing that its connection was begun with.
//!
//! Between us and Postgres may stand a pooler that drops start-up parameters. So each transaction sets
//! for itself what it needs, and nothing is done outside of one. What is left is prepared statements,
//! which live in a server process: a pooler that hands those out by the transaction is refused.

use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};

/// What a pooler has to be told that shares server processes between transactions.
pub(crate) const POOL_MODE: &str = "a pooler gives each transaction another server process, where \
                                    prepared statements are missing or somebody else's: PgBouncer \
                                    needs pool_mode = session for this database";

/// Runs statements that begin a transaction, in one message, and returns the row of the last.
///
/// Whoever gives up before [`end`] must not use the connection again.
pub(crate) async fn begin(connection: &mut PgConnection, sql: String) -> sqlx::Result<PgRow> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await
}

/// Ends a transaction by `commit` or `rollback`.
pub(crate) async fn end(connection: &mut PgConnection, word: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(word).execute(connection).await?;
    Ok(())
}

/// Marks where [`rollback_to_savepoint`] goes back to within a transaction. There is one at a time.
pub(crate) async fn savepoint(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("savepoint entry").execute(connection).await?;
    Ok(())
}

/// Undoes what was done since the savepoint, which stays.
pub(crate) async fn rollback_to_savepoint(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("rollback to savepoint entry").execute(connection).await?;
    Ok(())
}

pub(crate) async fn release_savepoint(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("release savepoint entry").execute(connection).await?;
    Ok(())
}

/// The writer's connection, which is one for as long as it lasts.
pub(crate) struct Session {
    connection: PgConnection,
    /// What each transaction begins with.
    settings: String,
    /// The process at the other end, since the first transaction.
    server: Option<i32>,
}

impl Session {
    pub(crate) fn new(connection: PgConnection, settings: String) -> Self {
        Self { connection, settings, server: None }
    }

    pub(crate) async fn begin(&mut self) -> sqlx::Result<&mut PgConnection> {
        let sql = format!("begin; {}; select pg_backend_pid()", self.settings);
        let server: i32 = begin(&mut self.connection, sql).await?.try_get(0)?;
        if server != *self.server.get_or_insert(server) {
            return Err(sqlx::Error::Protocol(POOL_MODE.into()));
        }
        Ok(&mut self.connection)
    }

    pub(crate) async fn commit(&mut self) -> sqlx::Result<()> {
        end(&mut self.connection, "commit").await
    }

    pub(crate) async fn rollback(&mut self) -> sqlx::Result<()> {
        end(&mut self.connection, "rollback").await
    }
}
