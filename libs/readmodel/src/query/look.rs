//! One read: one connection, one snapshot, and how far the rows are in it.

use nox_contract::{FrameNumber, Incarnation, Position};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row, pool::PoolConnection, postgres::PgRow};

use super::{QueryError, Reader};
use crate::{
    checkpoint,
    consequence::{Consequence, code},
    schema::scope,
    session,
    sql::{count, number},
};

/// Longest time of one statement: each reads a page by its key, so one that takes so long takes room
/// from others and nobody waits for it any more.
const STATEMENT_WITHIN: &str = "10s";

/// Of `nox.generation, projection`.
const PROGRESS: &str = "generation, n, coalesce(incarnation, '') as incarnation, commands_seq,
                        commands_incarnation, reports_seq, reports_incarnation";

/// How far the rows are: a fold of the log up to `n`, which had consumed the inputs that far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    pub n: FrameNumber,
    /// The life of NOX_EVENTS that `n` counts in.
    pub log: Incarnation,
    /// The last messages that are consumed whole.
    pub commands: Position,
    pub reports: Position,
}

impl Progress {
    /// The place in the log.
    pub fn place(&self) -> Position {
        Position { incarnation: self.log.clone(), seq: self.n.0 }
    }
}

/// What was read, and how far the rows were in the snapshot that it was read from. Two reads may reach
/// two servers, one of them behind the other, so neither says anything of the other's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    pub progress: Progress,
    pub value: T,
}

impl<T> At<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { progress: self.progress, value: change(self.value) }
    }
}

/// A snapshot that is open. Dropped before its [`end`](Self::end), it takes its connection with it:
/// whatever went wrong may be wrong with that connection alone.
pub(super) struct Look {
    connection: PoolConnection<Postgres>,
    progress: Progress,
    /// The process that serves it.
    server: i32,
    ended: bool,
    reader: Reader,
    generation: u64,
}

impl Look {
    /// Opens one; `None` if another generation has become the current one.
    pub(super) async fn open(reader: &Reader, generation: u64) -> Result<Option<Self>, QueryError> {
        let begin = format!(
            "begin isolation level repeatable read read only; {};
             set local statement_timeout = '{STATEMENT_WITHIN}';
             select pg_backend_pid() as server, {PROGRESS} from nox.generation, projection",
            scope(generation),
        );
        // Connections that lay idle while Postgres was restarted are broken, all of them.
        let mut idle = reader.0.connections_max;
        loop {
            let mut look = Self {
                connection: reader.pool(generation).acquire().await?,
                progress: Progress::default(),
                server: 0,
                ended: false,
                reader: reader.clone(),
                generation,
            };
            let row = match session::begin(&mut look.connection, begin.clone()).await {
                Ok(row) => row,
                Err(error) if idle > 0 && is_broken(&error) => {
                    idle -= 1;
                    continue;
                }
                Err(error) => return Err(look.failed(error)),
            };
            if count(row.try_get("generation")?) != generation {
                return Ok(None);
            }
            look.server = row.try_get("server")?;
            look.progress = progress(&row)?;
            return Ok(Some(look));
        }
    }

    /// A statement for this server process alone: where a pooler gives us another one, it is another
    /// statement, so that nothing that is prepared there by the same name is taken for it.
    pub(super) fn sql(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("{sql}{}", self.mark()))
    }

    /// The same, for a statement that is put together.
    pub(super) fn mark(&self) -> String {
        format!(" -- server {}", self.server)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Learns from an error of a statement.
    pub(super) fn failed(&self, error: sqlx::Error) -> QueryError {
        self.reader.learn(self.generation, &error);
        error.into()
    }

    /// Ends the snapshot and gives the connection back.
    pub(super) async fn end<T>(mut self, value: T) -> Result<At<T>, QueryError> {
        session::end(&mut self.connection, "commit").await?;
        self.ended = true;
        Ok(At { progress: std::mem::take(&mut self.progress), value })
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// Whether the connection was over before it was asked anything.
fn is_broken(error: &sqlx::Error) -> bool {
    match code(error) {
        // The server's goodbye, which is read when something is asked.
        Some(code) => code.starts_with("57P"),
        None => Consequence::of(error) == Consequence::Retry,
    }
}

fn progress(row: &PgRow) -> sqlx::Result<Progress> {
    Ok(Progress {
        n: number(row.try_get("n")?),
        log: Incarnation(row.try_get("incarnation")?),
        commands: checkpoint::position(row, "commands_incarnation", "commands_seq")?,
        reports: checkpoint::position(row, "reports_incarnation", "reports_seq")?,
    })
}
