//! A new generation from the log: filled beside the current one, compared with it, switched to.

use std::pin::pin;

use futures_util::{Stream, StreamExt};
use nox_contract::{FrameNumber, Incarnation};
use nox_protocol::{ReadError, Reader};
use sqlx::Connection;

use crate::{
    audit::{self, ContentHash},
    batch::{Batch, LogMessage},
    schema::Database,
    store::{Store, StoreError},
};

/// Messages a transaction, and their bytes: large, since nobody waits for these rows, and small enough
/// that they fit into memory.
const BATCH_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why there is no new generation. The current one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the log cannot be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the log ends at {end}, but the current rows are a fold up to {n}")]
    Short { end: FrameNumber, n: FrameNumber },
    #[error("the database was never prepared")]
    NotPrepared,
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A new generation, not yet current, and how it compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    pub rebuilt: ContentHash,
    /// The current generation at the same place in the log.
    pub live: ContentHash,
    /// How much of the log the new one is a fold of.
    pub taken: Taken,
}

/// What was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// The last frame.
    pub n: FrameNumber,
    pub facts: u64,
}

impl Rebuilt {
    /// Whether the new rows are what the current ones are. They are not where a newer version folds
    /// differently, or knows facts that were parked.
    pub fn is_equal(&self) -> bool {
        self.rebuilt.n == self.live.n && self.rebuilt.hash == self.live.hash
    }
}

/// Where a rebuild stops.
enum Stop<'a> {
    /// Where the current rows are by then, which the log must reach.
    AtRows,
    /// At the end of a log that is nowhere else, and of this life.
    AtEnd(&'a Incarnation),
}

/// Fills generation `current + 1` from `log`, the messages of NOX_EVENTS from the first on, up to where
/// the current generation is by then, and compares. The projector goes on meanwhile.
///
/// [`switch`] makes the new one current.
pub async fn rebuild<S, E>(url: &str, log: S) -> Result<Rebuilt, RebuildError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    fill(url, log, Stop::AtRows).await
}

/// As [`rebuild`], of a log that is nowhere but in `log`: from its first message to its end, wherever the
/// current rows are, if there are any. Compared are the rows where the current ones are, or at the log's
/// end if that comes first.
pub async fn rebuild_to_end<S, E>(
    url: &str,
    incarnation: &Incarnation,
    log: S,
) -> Result<Rebuilt, RebuildError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    fill(url, log, Stop::AtEnd(incarnation)).await
}

async fn fill<S, E>(url: &str, log: S, stop: Stop<'_>) -> Result<Rebuilt, RebuildError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let database = Database::new(url)?;
    let live = match stop {
        Stop::AtRows => database.current().await?.ok_or(RebuildError::NotPrepared)?,
        // An emptied database is one without a row.
        Stop::AtEnd(_) => database.prepare().await?,
    };
    let generation = live + 1;
    database.create(generation).await?;
    let mut store = {
        let mut connection = database.connect().await?;
        let mut snapshot = audit::begin_snapshot(&mut connection, live).await?;
        let keep_days = audit::keep_days(&mut snapshot).await?;
        Store::building(database.clone(), generation).keeping(keep_days)
    };
    if let Stop::AtEnd(incarnation) = stop {
        store.follow(incarnation).await?;
    }
    let mut reader = Reader::default();
    let mut log = pin!(log.fuse());

    let mut facts = 0;

    // Twice without a snapshot, which would keep dead rows alive for as long as it lasts.
    for _ in 0..2 {
        let mut connection = database.connect().await?;
        let mut snapshot = audit::begin_snapshot(&mut connection, live).await?;
        let n = audit::place(&mut snapshot).await?;
        drop(snapshot);
        connection.close().await?;
        facts += take_in(&mut store, &mut reader, &mut log, n).await?;
    }
    let mut connection = database.connect().await?;
    let mut snapshot = audit::begin_snapshot(&mut connection, live).await?;
    let n = audit::place(&mut snapshot).await?;
    facts += take_in(&mut store, &mut reader, &mut log, n).await?;
    if let Stop::AtRows = stop
        && reader.n() < n
    {
        return Err(RebuildError::Short { end: reader.n(), n });
    }

    // What the current rows have lost for good is not looked for in the new ones.
    let expired_before = audit::expired_before(&mut snapshot).await?;
    let live = audit::content_hash_of(&mut snapshot, live, expired_before).await?;
    drop(snapshot);
    let rebuilt = {
        let mut snapshot = audit::begin_snapshot(&mut connection, generation).await?;
        audit::content_hash_of(&mut snapshot, generation, expired_before).await?
    };
    if let Stop::AtEnd(_) = stop {
        facts += take_in(&mut store, &mut reader, &mut log, FrameNumber(u64::MAX)).await?;
    }
    Ok(Rebuilt { rebuilt, live, taken: Taken { n: reader.n(), facts } })
}

/// Makes the new generation current: readers change over, the projector attaches to it. Says whether
/// the one it was compared with was still current.
pub async fn switch(url: &str, rebuilt: &Rebuilt) -> Result<bool, RebuildError> {
    let (from, to) = (rebuilt.live.generation, rebuilt.rebuilt.generation);
    Ok(Database::new(url)?.switch(from, to).await?)
}

/// Takes in messages up to and including `n`, or to the log's end; says how many facts they have.
pub(crate) async fn take_in<S, E>(
    store: &mut Store,
    reader: &mut Reader,
    log: &mut std::pin::Pin<&mut S>,
    n: FrameNumber,
) -> Result<u64, RebuildError>
where
    S: Stream<Item = Result<LogMessage, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut facts = 0;
    while reader.n() < n {
        let wanted = usize::try_from(n.0 - reader.n().0).unwrap_or(BATCH_MAX).min(BATCH_MAX);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while messages.len() < wanted && bytes < BATCH_BYTES_MAX {
            match log.next().await {
                Some(Ok(message)) => {
                    bytes += message.payload.len();
                    messages.push(message);
                }
                Some(Err(error)) => return Err(RebuildError::Source(Box::new(error))),
                None => break,
            }
        }
        if messages.is_empty() {
            break;
        }
        let batch = Batch::read(reader, messages)?;
        facts += batch.facts();
        store.commit(&batch).await?;
    }
    Ok(facts)
}
