//! What webhooks have to send, and what became of it: the notifier's tables, which no rebuild touches.
//!
//! | file | what it does |
//! |---|---|
//! | `rows` | what stands there |
//! | `take` | takes in what a stretch of the log leads to, and how far it reaches |
//! | `send` | what is due, what became of it, and what is kept no longer |

mod rows;
mod send;
mod take;

use std::time::Duration;

use nox_contract::{Incarnation, WebhookId};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row, Transaction, postgres::PgPoolOptions};
use uuid::Uuid;

pub use rows::{
    Attached, Attempted, Due, Limits, NewDelivery, OutboxPlace, Removed, StoredTarget, Taken,
};

use crate::{
    consequence::{Consequence, Described},
    schema::Database,
    sql::number,
};

/// Serialises those who prepare the tables at the same time. Any number that nobody else uses.
const PREPARE_LOCK: i64 = 0x6e6f_785f_6f75_7462;

/// One takes in, one asks what is due, one writes what became of it.
const CONNECTIONS_MAX: u32 = 4;
/// How long somebody waits for one of them.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(10);

/// What makes a transaction's statements mean these tables. A notifier that stands still in the middle of one must not
/// hold up its successor.
const SCOPE: &str = "set local search_path = nox_outbox; set local client_encoding = 'UTF8';
                     set local idle_in_transaction_session_timeout = '30s'";

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Postgres is away, or refuses for a reason that can pass.
    #[error("postgres is not available: {}", Described(.0))]
    Unavailable(sqlx::Error),
    #[error("postgres does not answer as it must: {}", Described(.0))]
    Broken(sqlx::Error),
    #[error("another notifier sends what webhooks have to send")]
    Another,
    #[error(
        "what webhooks had to send is of another log: of {expected:?}, and this one is {found:?}"
    )]
    OtherLog { expected: String, found: String },
}

impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        match Consequence::of(&error) {
            Consequence::Stop => Self::Broken(error),
            Consequence::Park | Consequence::Prepare | Consequence::Retry => {
                Self::Unavailable(error)
            }
        }
    }
}

/// The one writer of the outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pool: PgPool,
    writer: Uuid,
}

impl Outbox {
    /// Names the database, which may be away. `writer` is this process.
    ///
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str, writer: Uuid) -> Result<Self, OutboxError> {
        let database = Database::new(url)?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX);
        let pool = pool.acquire_timeout(ACQUIRE_WITHIN).connect_lazy_with(database.options());
        Ok(Self { pool, writer })
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut transaction = self.pool.begin().await?;
        sqlx::raw_sql(SCOPE).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Makes the tables, or brings them up to date.
    async fn prepare(&self) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let lock = format!("select pg_advisory_xact_lock({PREPARE_LOCK})");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        sqlx::raw_sql("create schema if not exists nox_outbox").execute(&mut *transaction).await?;
        sqlx::raw_sql(SCOPE).execute(&mut *transaction).await?;
        let mut migrations = sqlx::migrate!("../../migrations/outbox");
        migrations.set_locking(false);
        migrations.run_direct(None, &mut *transaction, false).await?;
        transaction.commit().await
    }

    /// Makes this process the one that writes, in place of any other, and says what there is.
    ///
    /// # Errors
    /// What is there is of another log.
    pub async fn attach(&self, log: &Incarnation) -> Result<Attached, OutboxError> {
        self.prepare().await?;
        let mut transaction = self.begin().await?;
        let row = sqlx::query(
            "update place set writer = $1,
                              incarnation = case when incarnation = '' then $2 else incarnation end
             returning n, chain, incarnation",
        )
        .bind(self.writer)
        .bind(&log.0)
        .fetch_one(&mut *transaction)
        .await?;
        let incarnation: String = row.try_get("incarnation")?;
        if incarnation != log.0 {
            let found = log.0.clone();
            return Err(OutboxError::OtherLog { expected: incarnation, found });
        }
        let place = OutboxPlace { n: number(row.try_get("n")?), chain: rows::chain(&row)? };
        let webhooks = sqlx::query(
            "select webhook_id, tenant, owner, spec, expires_at, rotation, previous_until, is_on, set_in
             from webhooks",
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let webhooks = webhooks.iter().map(rows::target).collect::<sqlx::Result<_>>()?;
        Ok(Attached { place, webhooks })
    }

    /// Whether this process is still the one that writes.
    async fn is_writer(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        lock: Lock,
    ) -> Result<(), OutboxError> {
        let query = match lock {
            Lock::None => "select 1 from place where writer = $1",
            Lock::Shared => "select 1 from place where writer = $1 for share",
        };
        let found = sqlx::query(query).bind(self.writer).fetch_optional(&mut **transaction).await?;
        found.map(drop).ok_or(OutboxError::Another)
    }
}

/// Whether it stays so until the transaction's end.
#[derive(Debug, Clone, Copy)]
enum Lock {
    None,
    Shared,
}

/// Ids as Postgres takes them.
fn uuids<'a>(ids: impl IntoIterator<Item = &'a WebhookId>) -> Vec<Uuid> {
    ids.into_iter().map(|id| id.0).collect()
}
