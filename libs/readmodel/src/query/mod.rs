//! Answers from the rows. One statement a function; lists are paged by key and never counted.

mod history;
mod jobs;
mod metrics;
mod quotas;
mod registry;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use nox_contract::{EventNumber, Positions};
use sqlx::{PgPool, Row, postgres::PgPoolOptions};

use crate::{
    consequence::{self, Consequence, Described},
    schema::Database,
    segment::DamagedSegment,
    sql::{count, number},
};
pub use history::{JOB_EVENTS_MAX, RawEvent};
pub use jobs::{Cursor, Filter, JobRow, Page};
pub use quotas::{BalanceRow, LimitsRow, ViolationRow};
pub use registry::{ModuleRow, WorkerRow};

/// How long a read waits for a connection: longer than any burst, shorter than a user's patience.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(2);

/// Longest time of one statement: each reads a page by its key, so one that takes so long takes room
/// from others and nobody waits for it any more.
const STATEMENT_WITHIN: (&str, &str) = ("statement_timeout", "10s");

/// Most rows of one page.
pub const PAGE_MAX: usize = 1_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Postgres is away, overloaded, was not prepared yet, or refuses for a reason that can pass.
    #[error("postgres is not available: {}", Described(.0))]
    Unavailable(sqlx::Error),
    #[error("postgres does not answer as it must: {}", Described(.0))]
    Broken(sqlx::Error),
    #[error(transparent)]
    Damaged(#[from] DamagedSegment),
}

impl QueryError {
    /// In a few words that tell strangers nothing about the database but how to look it up.
    pub fn in_brief(&self) -> String {
        match self {
            Self::Unavailable(error) | Self::Broken(error) => match consequence::code(error) {
                Some(code) => format!("postgres answers with SQLSTATE {code}"),
                None => "postgres does not answer".to_owned(),
            },
            Self::Damaged(_) => "a segment is damaged".to_owned(),
        }
    }
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match Consequence::of(&error) {
            Consequence::Stop => Self::Broken(error),
            // Whoever only reads brings no data, and waits for the projector to prepare the tables.
            Consequence::Park | Consequence::Prepare | Consequence::Retry => {
                Self::Unavailable(error)
            }
        }
    }
}

/// Reads the current generation. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

struct Shared {
    database: Database,
    connections_max: u32,
    /// The newest generation that was seen to be current, once one was.
    current: RwLock<Option<(u64, PgPool)>>,
}

/// How far the rows are: a fold of the log up to `n`, which had consumed the inputs up to `pos`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub n: EventNumber,
    pub pos: Positions,
}

impl Reader {
    /// Names the database; nothing is asked of it before the first read, so Postgres may be away.
    ///
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, QueryError> {
        let database = Database::new(url)?;
        Ok(Self(Arc::new(Shared { database, connections_max, current: RwLock::default() })))
    }

    /// How far the rows are. Also notices that another generation became the current one, so a
    /// process that reads for long must ask this now and then.
    pub async fn progress(&self) -> Result<Progress, QueryError> {
        loop {
            let (generation, pool) = self.current().await?;
            let row = sqlx::query(
                "select generation, n, pos_commands, pos_reports from nox.generation, projection",
            )
            .fetch_one(&pool)
            .await;
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    if Consequence::of(&error) == Consequence::Prepare {
                        self.forget(generation);
                    }
                    return Err(error.into());
                }
            };
            if count(row.try_get("generation")?) != generation {
                self.forget(generation);
                continue;
            }
            let pos = Positions {
                commands: count(row.try_get("pos_commands")?),
                reports: count(row.try_get("pos_reports")?),
            };
            return Ok(Progress { n: number(row.try_get("n")?), pos });
        }
    }

    async fn current(&self) -> Result<(u64, PgPool), QueryError> {
        let known = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let asked = tokio::time::timeout(ACQUIRE_WITHIN, self.0.database.current()).await;
        let generation = asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let not_prepared = || QueryError::Unavailable(sqlx::Error::RowNotFound);
        let generation = generation.ok_or_else(not_prepared)?;

        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = current.as_ref().filter(|(known, _)| *known == generation) {
            return Ok(known.clone());
        }
        // The pool before this one closes its connections as its last queries end.
        let pool = PgPoolOptions::new()
            .max_connections(self.0.connections_max)
            .acquire_timeout(ACQUIRE_WITHIN)
            .connect_lazy_with(self.0.database.options(generation).options([STATEMENT_WITHIN]));
        Ok(current.insert((generation, pool)).clone())
    }

    fn forget(&self, generation: u64) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(known, _)| *known == generation) {
            *current = None;
        }
    }
}
