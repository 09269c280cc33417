//! Takes batches in: one transaction each, and what becomes of one that fails.

mod error;

use std::{io, time::Duration};

use nox_contract::{EventNumber, Incarnation, JobId};
use sqlx::PgConnection;

pub use self::error::{Remedy, StoreError};
use crate::{
    batch::{Batch, Entry},
    checkpoint::{self, Checkpoint},
    consequence::{is_job_twice, is_taken_in},
    load,
    project::{self, Treatment},
    rows::Rows,
    schema::{Database, schema},
    segment::{self, Segment},
    session::Session,
    sql::{count, number},
    write,
};

/// Longest time for a batch, after which the connection is given up: a server that vanished without
/// a word answers never. Ten times what the largest batch takes on a slow disk.
const COMMIT_WITHIN: Duration = Duration::from_secs(60);

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    pub events: usize,
    /// Events among them that rows could not take in: an alarm, and a row in `parked`.
    pub parked: usize,
}

/// The one writer of the read model.
pub struct Store {
    database: Database,
    target: Target,
    attached: Option<Attached>,
    /// The last commit may have succeeded without our hearing of it.
    unsure: bool,
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

    fn of(database: Database, target: Target) -> Self {
        Self { database, target, attached: None, unsure: false, prepared: false }
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
    /// An event whose data Postgres refuses is parked, and the others are taken in. After an error that
    /// says [`Remedy::TryAgain`] the same batch may be given again: it is found out how much of it was
    /// taken in. Dropping the future is like that.
    pub async fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let attempt = tokio::time::timeout(COMMIT_WITHIN, self.commit_batch(batch));
        attempt.await.unwrap_or_else(|_| {
            let late = io::Error::new(io::ErrorKind::TimedOut, "no answer to a commit");
            Err(StoreError::Unavailable(sqlx::Error::Io(late)))
        })
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
        let entries = attached.checkpoint.remaining(batch, unsure)?;
        let mut committed = Committed { events: batch.len(), parked: 0 };
        let mut pending = vec![entries];
        while let Some(entries) = pending.pop() {
            if entries.is_empty() {
                continue;
            }
            let encoded;
            let segments = if entries.len() == batch.len() {
                batch.segments()
            } else {
                encoded = segment::encode(entries);
                &encoded
            };
            match self.attempt(attached, entries, segments, Treatment::Fold, false).await {
                Ok(parked) => committed.parked += parked,
                Err(StoreError::Data(_)) if entries.len() > 1 => {
                    let (left, right) = entries.split_at(entries.len() / 2);
                    pending.extend([right, left]);
                }
                Err(StoreError::Data(error)) => {
                    committed.parked += self.park(attached, entries, segments, error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(committed)
    }

    /// Takes in what can be taken in of the one event that Postgres refuses.
    async fn park(
        &self,
        attached: &mut Attached,
        entry: &[Entry],
        segments: &[Segment],
        refused: sqlx::Error,
    ) -> Result<usize, StoreError> {
        let detail = refused.to_string();
        // First again with a look at rows that it should be the first to make: an event that makes a
        // job twice is no bad data but a broken log.
        let looked = self.attempt(attached, entry, segments, Treatment::Fold, true).await;
        if !matches!(looked, Err(StoreError::Data(_))) || is_job_twice(&refused) {
            return looked;
        }
        for treatment in
            [Treatment::Freeze { detail: &detail }, Treatment::KeepBytes { detail: &detail }]
        {
            match self.attempt(attached, entry, segments, treatment, true).await {
                Err(StoreError::Data(_)) => {}
                outcome => return outcome,
            }
        }
        // Nothing of the job's is left in what was refused last.
        Err(StoreError::Data(refused))
    }

    /// One transaction; returns how many events were parked. On an error nothing was done, unless
    /// the connection broke.
    async fn attempt(
        &self,
        attached: &mut Attached,
        entries: &[Entry],
        segments: &[Segment],
        treatment: Treatment<'_>,
        distrust: bool,
    ) -> Result<usize, StoreError> {
        let Attached { session, checkpoint, rows } = attached;
        let next = checkpoint.after(entries);
        let connection = session.begin().await?;
        let write = async {
            let current = self.current();
            if !write::checkpoint(&mut *connection, checkpoint, &next, current).await? {
                return Err(self.why_not_moved(connection, checkpoint.n).await?);
            }
            load_needed(&mut *connection, rows, entries, distrust).await?;
            let changes = project::project(rows, entries, treatment)?;
            write::changes(connection, &changes, segments).await.map_err(|error| {
                let taken_in = is_taken_in(&error);
                if taken_in { StoreError::Conflict { n: checkpoint.n } } else { error.into() }
            })?;
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
        let parked = changes.parked.len();
        for event in &changes.parked {
            tracing::error!(
                event.n = event.n.0,
                job.id = event.job_id.map(|id| id.to_string()),
                reason = event.reason.as_str(),
                detail = event.detail,
                "Parked an event"
            );
        }
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
        n: EventNumber,
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
        let checkpoint = checkpoint::read(connection, generation).await?;
        let rows = Rows {
            modules: load::modules(connection).await?,
            workers: load::workers(connection).await?,
            ..Rows::default()
        };
        session.commit().await?;
        Ok(Attached { session, checkpoint, rows })
    }
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

async fn load_needed(
    connection: &mut PgConnection,
    rows: &mut Rows,
    entries: &[Entry],
    distrust: bool,
) -> Result<(), StoreError> {
    let needed = project::needed(rows, entries, distrust);
    if !needed.jobs.is_empty() {
        let found = load::jobs(connection, &needed.jobs).await?;
        rows.jobs.extend(found.into_iter().map(|job| (job.id, job)));
        let missing: Vec<JobId> =
            needed.jobs.into_iter().filter(|id| !rows.jobs.contains_key(id)).collect();
        if !missing.is_empty() {
            rows.rowless.extend(load::parked_jobs(connection, &missing).await?);
        }
    }
    if !needed.balances.is_empty() {
        rows.balances.extend(load::balances(connection, &needed.balances).await?);
    }
    Ok(())
}
