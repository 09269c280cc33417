//! Answers from the rows, each with the place in the log that it is of. One statement a function; lists
//! are paged by key and never counted.

mod blocking;
mod conditions;
mod deliveries;
mod history;
mod jobs;
mod keeping;
mod keys;
mod list;
mod look;
mod metrics;
mod quotas;
mod registry;
mod tally;
mod tasks;
mod violations;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    consequence::{self, Consequence, Described},
    schema::Database,
};
pub use blocking::BlockingRow;
pub use conditions::{Condition, Is};
pub use deliveries::{DeliveryRow, EndpointRow};
pub use history::{JOB_FRAMES_MAX, JobEntry};
pub use jobs::{Cursor, Filter, JobRow, NoCursor, Page};
pub use keeping::{JobStanding, NamedHash};
pub use keys::{KeyRow, ScheduleRow, WebhookRow};
use look::Look;
pub use look::{At, Progress};
pub use quotas::{AccountRow, BalanceRow, LedgerRow, LimitsRow};
pub use registry::{ModuleRow, RUNNING_MAX, RunningRow, WorkerRow};
pub use tally::{Counted, Counts, Facet, FacetCounts, PARTS_MAX, Quantiles, Span, SpanPart, Stats};
pub use tasks::{TaskFilter, TopicRow};
pub use violations::{ViolationPlace, ViolationRow};

/// How long a read waits for a connection: longer than any burst, shorter than a user's patience.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(2);

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
}

impl QueryError {
    /// In a few words that tell strangers nothing about the database but how to look it up.
    pub fn in_brief(&self) -> String {
        match self {
            Self::Unavailable(error) | Self::Broken(error) => match consequence::code(error) {
                Some(code) => format!("postgres answers with SQLSTATE {code}"),
                None => "postgres does not answer".to_owned(),
            },
        }
    }
}

fn is_without_column(error: &sqlx::Error) -> bool {
    consequence::code(error).is_some_and(|code| code == "42703")
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match Consequence::of(&error) {
            Consequence::Stop => Self::Broken(error),
            // A column that is not there comes back by no waiting: somebody has changed tables that are ours.
            _ if is_without_column(&error) => Self::Broken(error),
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
    current: Mutex<Option<(u64, PgPool)>>,
}

impl Reader {
    /// Names the database; nothing is asked of it before the first read, so Postgres may be away.
    ///
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, QueryError> {
        let database = Database::new(url)?;
        Ok(Self(Arc::new(Shared { database, connections_max, current: Mutex::default() })))
    }

    /// How far the rows are.
    pub async fn progress(&self) -> Result<Progress, QueryError> {
        Ok(self.look().await?.end(()).await?.progress)
    }

    /// Opens a snapshot of the current generation.
    async fn look(&self) -> Result<Look, QueryError> {
        loop {
            let generation = self.current().await?;
            if let Some(look) = Look::open(self, generation).await? {
                return Ok(look);
            }
            self.forget(generation);
        }
    }

    /// The generation that is taken to be the current one; whoever looks at it finds out.
    async fn current(&self) -> Result<u64, QueryError> {
        if let Some((generation, _)) = *self.known() {
            return Ok(generation);
        }
        let asked = tokio::time::timeout(ACQUIRE_WITHIN, self.0.database.current()).await;
        let generation = asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
        generation.ok_or(QueryError::Unavailable(sqlx::Error::RowNotFound))
    }

    /// The connections to a generation's rows. Those to another one's close as their queries end.
    fn pool(&self, generation: u64) -> PgPool {
        let mut current = self.known();
        if let Some((_, pool)) = current.as_ref().filter(|(known, _)| *known == generation) {
            return pool.clone();
        }
        let pool = PgPoolOptions::new()
            .max_connections(self.0.connections_max)
            .acquire_timeout(ACQUIRE_WITHIN)
            // A look finds out by itself.
            .test_before_acquire(false)
            .connect_lazy_with(self.0.database.options());
        current.insert((generation, pool)).1.clone()
    }

    /// After an error: tables that are missing may be those of a generation that was replaced.
    fn learn(&self, generation: u64, error: &sqlx::Error) {
        if Consequence::of(error) == Consequence::Prepare {
            self.forget(generation);
        }
    }

    fn forget(&self, generation: u64) {
        let mut current = self.known();
        if current.as_ref().is_some_and(|(known, _)| *known == generation) {
            *current = None;
        }
    }

    /// What is in there is always whole.
    fn known(&self) -> MutexGuard<'_, Option<(u64, PgPool)>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
