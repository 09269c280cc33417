//! Rows in a schema of somebody's own, as they were at a place in the log: to be looked at, and thrown away.
//!
//! They are filled as a generation is, under a number that no generation comes to, and get their name when they are
//! whole. A schema is replaced only if it says of itself that it is such a one.

use std::pin::pin;

use futures_util::{Stream, StreamExt};
use nox_contract::{FrameNumber, Incarnation};
use nox_protocol::Reader;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    batch::LogMessage,
    rebuild::{RebuildError, Taken, take_in},
    schema::{Database, schema},
    sql::count,
    store::Store,
};

/// Added to the number of a server process, which nobody else has meanwhile. A system that begins a generation a
/// second does not come to it in centuries.
const GENERATION_FIRST: u64 = 90_000_000_000;
/// What Postgres is told of such a schema.
const MARK: &str = "scratch of nox";
/// Longest name of a schema that Postgres takes whole, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Why rows cannot be put there.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error("{name} cannot be a scratch schema: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("there is a schema {name} that is no scratch schema of Nox's; take another name")]
    Taken { name: String },
    #[error(transparent)]
    Fill(#[from] RebuildError),
}

impl From<sqlx::Error> for ScratchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fill(error.into())
    }
}

/// A schema's name that is neither Postgres' nor one of the rows that are served.
///
/// # Errors
/// It is one of these, or has other letters than Postgres takes without quotes.
pub fn check_name(name: &str) -> Result<(), ScratchError> {
    let wrong = |reason| Err(ScratchError::Name { name: name.to_owned(), reason });
    if name.starts_with("nox") {
        return wrong("names that begin with nox are those of the rows that are served");
    }
    if name.starts_with("pg_") || name == "public" || name == "information_schema" {
        return wrong("it is Postgres' own");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(plain) || name.len() > NAME_BYTES_MAX {
        return wrong("up to 63 small letters, digits and _, a letter first");
    }
    Ok(())
}

/// Folds `log`, the messages of one life of NOX_EVENTS from the first on, into schema `name`, in place of what an
/// earlier call had put there. The rows that are served are neither read nor touched.
pub async fn fill<S, E>(
    url: &str,
    name: &str,
    incarnation: &Incarnation,
    log: S,
) -> Result<Taken, ScratchError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    check_name(name)?;
    let database = Database::new(url)?;
    let mut connection = database.connect().await?;
    check_free(&mut connection, name).await?;
    let process: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await?;
    let generation = GENERATION_FIRST + count(process.into());
    database.create(generation).await?;
    let filled = fill_generation(&database, generation, incarnation, log).await;
    let named = match &filled {
        Ok(_) => rename(&mut connection, generation, name).await,
        Err(_) => {
            let drop = format!("drop schema if exists {} cascade", schema(generation));
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
            Ok(())
        }
    };
    connection.close().await?;
    let taken = filled?;
    named?;
    Ok(taken)
}

async fn fill_generation<S, E>(
    database: &Database,
    generation: u64,
    incarnation: &Incarnation,
    log: S,
) -> Result<Taken, ScratchError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut store = Store::building(database.clone(), generation);
    store.follow(incarnation).await.map_err(RebuildError::from)?;
    let (mut reader, mut log) = (Reader::default(), pin!(log.fuse()));
    let facts = take_in(&mut store, &mut reader, &mut log, FrameNumber(u64::MAX)).await?;
    Ok(Taken { n: reader.n(), facts })
}

/// Refuses a schema that somebody else has made.
async fn check_free(connection: &mut PgConnection, name: &str) -> Result<(), ScratchError> {
    let mark: Option<Option<String>> = sqlx::query_scalar(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await?;
    match mark {
        Some(mark) if mark.as_deref() != Some(MARK) => {
            Err(ScratchError::Taken { name: name.to_owned() })
        }
        _ => Ok(()),
    }
}

async fn rename(
    connection: &mut PgConnection,
    generation: u64,
    name: &str,
) -> Result<(), ScratchError> {
    let mut transaction = connection.begin().await?;
    check_free(&mut transaction, name).await?;
    let filled = schema(generation);
    let sql = format!(
        "drop schema if exists {name} cascade;
         alter schema {filled} rename to {name};
         comment on schema {name} is '{MARK}'"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_served_and_what_is_postgres_own_are_no_scratch() {
        for own in
            ["nox", "nox_1", "nox_9", "noxious", "pg_catalog", "public", "information_schema"]
        {
            assert!(check_name(own).is_err(), "{own}");
        }
        for odd in ["", "A", "1a", "a-b", "a b", "a;drop", "\"a\"", &"a".repeat(64)] {
            assert!(check_name(odd).is_err(), "{odd}");
        }
        for name in ["monday", "again_1", &"a".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }
}
