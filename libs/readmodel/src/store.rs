//! Takes batches in: one transaction each, and what becomes of one that fails.

mod error;

use std::{io, time::Duration};

use nox_contract::{FrameNumber, Incarnation};
use sqlx::PgConnection;

pub use self::error::{Remedy, StoreError};
use crate::{
    apply,
    batch::{Batch, ReadMessage},
    checkpoint::{self, Checkpoint},
    load,
    project::{ParkedEntry, Treatment},
    rows::Rows,
    schema::{Database, schema},
    session::Session,
    sql::{count, number},
    write,
};

/// Longest time for a batch, after which the connection is given up: a server that vanished without
/// a word answers never. Ten times what the largest batch takes on a slow disk.
const COMMIT_WITHIN: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Messages, records of terms included.
    pub frames: usize,
    /// Entries in them that rows could not take in: an alarm each, and a row in `parked`.
    pub parked: usize,
}

/// The one writer of the read model.
pub struct Store {
    database: Database,
    target: Target,
    attached: Option<Attached>,
    /// The last commit may have succeeded without our hearing of it.
    unsure: bool,
    /// Days for which ended jobs have a row; `None` for ever.
    keep_days: Option<u32>,
    /// The database was prepared since a batch was last taken in: to prepare it once more is no help.
    prepared: bool,
}

/// Which rows to write.
#[derive(Clone, Copy)]
enum Target {
    /// Those of the generation that was current when they were attached to, as long as it is.
    Current { attached: Option<u64> },
    /// A generation that is being rebuilt.
    Building(u64),
}

/// What is written in one go.
#[derive(Clone, Copy)]
enum Grouping {
    /// All that a transaction takes in.
    All,
    /// One entry: what Postgres refuses of it costs its job alone, and the rest of the frame is taken in.
    Entry,
}

/// A session, and what is known through it.
struct Attached {
    session: Session,
    checkpoint: Checkpoint,
    rows: Rows,
}

impl Store {
    /// Names the database, which may be away.
    ///
    /// # Errors
    /// `url` is no Postgres URL.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self::of(Database::new(url)?, Target::Current { attached: None }))
    }

    /// A store for a generation that nobody reads yet.
    pub(crate) fn building(database: Database, generation: u64) -> Self {
        Self::of(database, Target::Building(generation))
    }

    /// Keeps rows of ended jobs for so many days of the log's time, instead of for ever.
    #[must_use]
    pub fn keeping(self, keep_days: Option<u32>) -> Self {
        Self { keep_days, ..self }
    }

    fn of(database: Database, target: Target) -> Self {
        Self { database, target, attached: None, unsure: false, keep_days: None, prepared: false }
    }

    /// Brings the database up to date and attaches to the current generation.
    pub async fn prepare(&mut self) -> Result<(), StoreError> {
        self.attached = None;
        if let Target::Current { attached } = &mut self.target {
            *attached = Some(self.database.prepare().await?);
            self.prepared = true;
        }
        self.attached = Some(self.attach().await.map_err(|error| self.incomplete(error))?);
        self.unsure = false;
        Ok(())
    }

    /// How far the log is folded in, as it is stored.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        let attached = self.take_attached().await?;
        Ok(self.attached.insert(attached).checkpoint.clone())
    }

    /// Whether the rows are still where they were left. No commit waits for the disk: a crash of Postgres takes
    /// the last ones back, and as long as the log stands still no other finds that out.
    ///
    /// # Errors
    /// [`StoreError::WentBack`] if they are not; [`StoreError::Unavailable`] if nobody says. Either way they are
    /// to be attached to again.
    pub async fn verify(&mut self) -> Result<(), StoreError> {
        let look = async {
            let mut attached = self.take_attached().await?;
            let left = attached.checkpoint.n;
            let connection = attached.session.begin().await?;
            let stored = sqlx::query_scalar("select n from projection");
            let stored = stored.fetch_one(connection).await.map(number)?;
            attached.session.commit().await?;
            if stored != left {
                return Err(checkpoint::moved(left, stored));
            }
            self.attached = Some(attached);
            Ok(())
        };
        tokio::time::timeout(COMMIT_WITHIN, look).await.unwrap_or_else(|_| Err(late("a question")))
    }

    /// Says which life of NOX_EVENTS the coming batches are from. The first time it is recorded;
    /// after that it must be the same.
    pub async fn follow(&mut self, incarnation: &Incarnation) -> Result<(), StoreError> {
        let mut attached = self.take_attached().await?;
        attached.follow(incarnation).await?;
        let recorded = attached.checkpoint.incarnation.clone().unwrap_or_default();
        self.attached = Some(attached);
        if recorded != *incarnation {
            let (expected, found) = (recorded.0, incarnation.0.clone());
            return Err(StoreError::OtherIncarnation { expected, found });
        }
        Ok(())
    }

    /// Takes a batch in, whole, and moves the checkpoint with it.
    ///
    /// An entry whose data Postgres refuses is parked, and the others are taken in. After an error that
    /// says [`Remedy::TryAgain`] the same batch may be given again: it is found out how much of it was
    /// taken in. Dropping the future is like that.
    pub async fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let attempt = tokio::time::timeout(COMMIT_WITHIN, self.commit_batch(batch));
        attempt.await.unwrap_or_else(|_| Err(late("a commit")))
    }

    async fn commit_batch(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        // Until the end is known, the connection is nobody's: what is in it may be half done.
        let mut attached = self.take_attached().await?;
        let unsure = std::mem::replace(&mut self.unsure, true);
        let outcome = self.commit_through(&mut attached, batch, unsure).await;
        match &outcome {
            Ok(_) => (self.attached, self.prepared) = (Some(attached), false),
            Err(error) if error.remedy() == Remedy::TryAgain => return outcome,
            Err(_) => {}
        }
        self.unsure = false;
        outcome.map_err(|error| self.incomplete(error))
    }

    /// What is not there though it was just prepared, is said with what can be done.
    fn incomplete(&self, error: StoreError) -> StoreError {
        match (error, self.target) {
            (
                StoreError::Unprepared(Some(cause)),
                Target::Current { attached: Some(generation) },
            ) if self.prepared => StoreError::Incomplete { schema: schema(generation), cause },
            (error, _) => error,
        }
    }

    async fn commit_through(
        &self,
        attached: &mut Attached,
        batch: &Batch,
        unsure: bool,
    ) -> Result<Committed, StoreError> {
        let messages = attached.checkpoint.remaining(batch, unsure)?;
        let mut committed = Committed { frames: batch.len(), parked: 0 };
        let mut pending = vec![messages];
        while let Some(messages) = pending.pop() {
            if messages.is_empty() {
                continue;
            }
            match self.transaction(attached, messages, Grouping::All).await {
                Ok(parked) => committed.parked += parked,
                Err(StoreError::Data(_)) if messages.len() > 1 => {
                    let (left, right) = messages.split_at(messages.len() / 2);
                    pending.extend([right, left]);
                }
                Err(StoreError::Data(_)) => {
                    committed.parked +=
                        self.transaction(attached, messages, Grouping::Entry).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(committed)
    }

    /// Takes messages in; returns how many entries were parked. On an error nothing was done, unless
    /// the connection broke.
    async fn transaction(
        &self,
        attached: &mut Attached,
        messages: &[ReadMessage],
        grouping: Grouping,
    ) -> Result<usize, StoreError> {
        let Attached { session, checkpoint, rows } = attached;
        let next = checkpoint.after(messages, rows.keep);
        let expired_before = next.expired_before;
        let entries: Vec<_> = messages.iter().flat_map(ReadMessage::entries).collect();
        let connection = session.begin().await?;
        let write = async {
            let current = self.current();
            if !write::checkpoint(&mut *connection, checkpoint, &next, current).await? {
                return Err(self.why_not_moved(connection, checkpoint.n).await?);
            }
            let changes = match grouping {
                Grouping::All => {
                    let fold = Treatment::Fold;
                    apply::all(&mut *connection, rows, &entries, fold, false, expired_before)
                        .await?
                }
                Grouping::Entry => {
                    apply::one_by_one(&mut *connection, rows, &entries, expired_before).await?
                }
            };
            if let (Some(before), Some(_)) = (expired_before, rows.keep) {
                write::remove_expired(&mut *connection, before, entries.len()).await?;
            }
            Ok(changes)
        };
        let changes = match write.await {
            Ok(changes) => changes,
            Err(error) => {
                // If this fails as well, the connection is what is wrong.
                session.rollback().await?;
                return Err(error);
            }
        };
        session.commit().await?;

        *checkpoint = next;
        changes.parked.iter().for_each(alarm);
        let parked = changes.parked.len();
        rows.absorb(changes);
        Ok(parked)
    }

    /// The generation that must still be the current one.
    fn current(&self) -> Option<u64> {
        match self.target {
            Target::Current { attached } => attached,
            Target::Building(_) => None,
        }
    }

    /// Says who moved the checkpoint, or replaced it.
    async fn why_not_moved(
        &self,
        connection: &mut PgConnection,
        n: FrameNumber,
    ) -> Result<StoreError, StoreError> {
        let stored = sqlx::query_scalar("select n from projection")
            .fetch_one(&mut *connection)
            .await
            .map(number)?;
        if let Target::Current { attached: Some(from) } = self.target {
            let to = sqlx::query_scalar("select generation from nox.generation")
                .fetch_one(connection)
                .await
                .map(count)?;
            if to != from {
                return Ok(StoreError::Switched { from, to });
            }
        }
        Ok(checkpoint::moved(n, stored))
    }

    /// Takes the connection out; while it is out, a cancelled call leaves none behind.
    async fn take_attached(&mut self) -> Result<Attached, StoreError> {
        match self.attached.take() {
            Some(attached) => Ok(attached),
            None => self.attach().await,
        }
    }

    async fn attach(&self) -> Result<Attached, StoreError> {
        let generation = match self.target {
            Target::Building(generation) => generation,
            Target::Current { attached } => {
                let to = self.database.current().await?.ok_or(StoreError::Unprepared(None))?;
                let from = attached.ok_or(StoreError::Unprepared(None))?;
                if from != to {
                    return Err(StoreError::Switched { from, to });
                }
                to
            }
        };
        let mut session = self.database.connect_writer(generation).await?;
        let connection = session.begin().await?;
        let days = self.keep_days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
        write::keep(connection, days).await?;
        let checkpoint = checkpoint::read(connection, generation).await?;
        let rows = Rows {
            keep: days.map(|days| DAY * days.unsigned_abs()),
            modules: load::modules(connection).await?,
            workers: load::workers(connection).await?,
            schedules: load::schedules(connection).await?,
            webhooks: load::webhooks(connection).await?,
            ..Rows::default()
        };
        session.commit().await?;
        Ok(Attached { session, checkpoint, rows })
    }
}

fn late(what: &str) -> StoreError {
    let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {what}"));
    StoreError::Unavailable(sqlx::Error::Io(late))
}

impl Attached {
    async fn follow(&mut self, incarnation: &Incarnation) -> Result<(), StoreError> {
        let connection = self.session.begin().await?;
        write::incarnation(connection, incarnation).await?;
        self.checkpoint = checkpoint::read(connection, self.checkpoint.generation).await?;
        self.session.commit().await?;
        Ok(())
    }
}

fn alarm(parked: &ParkedEntry) {
    tracing::error!(
        frame.n = parked.n.0,
        entry.place = parked.place,
        job.id = parked.job_id.map(|id| id.to_string()),
        reason = parked.reason.as_str(),
        detail = parked.detail,
        "Parked an entry"
    );
}
