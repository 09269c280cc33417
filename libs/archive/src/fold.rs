//! The state behind any place of the log, folded from the nearest state that was kept.

use futures_util::StreamExt;
use nox_contract::{FrameNumber, Timestamp};
use nox_protocol::{Fold, FoldError, snapshot};
use nox_streams::Message;

use crate::{ArchiveError, Log, LogError, StateInfo};

/// Up to where the log is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpTo {
    /// This message, or the log's end.
    Message(FrameNumber),
    /// All that was decided up to then.
    Instant(Timestamp),
}

/// How much one fold may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of a state that was kept, in bytes before compression.
    pub state_bytes_max: u64,
    /// Of the messages behind it, in bytes.
    pub log_bytes_max: u64,
}

/// A fold, and what it began with.
#[derive(Debug)]
pub struct Folded {
    pub fold: Fold,
    /// The state that was kept; 0 without any.
    pub from: FrameNumber,
}

/// Why the state of then cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum FoldUpError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the log is broken")]
    Broken(#[from] FoldError),
    /// Too much of the log follows the nearest state.
    #[error(
        "too much happened between frame {from}, of which the state is kept, and then; up to frame {reached} it can be told"
    )]
    TooFar { from: FrameNumber, reached: FrameNumber },
    #[error("the fold came to no end")]
    Cut,
}

/// Folds `log` up to a place; `end` is the last message of its stream, `None` if there is the archive alone.
///
/// # Errors
/// See [`FoldUpError`]. States that were kept and are damaged, or that the log disagrees with, are warned of and passed
/// over.
pub async fn fold_up_to(
    log: &Log,
    end: Option<FrameNumber>,
    up_to: UpTo,
    bounds: Bounds,
) -> Result<Folded, FoldUpError> {
    let fold = begin(log, end, up_to, bounds).await?;
    let from = fold.n();
    let instant = match up_to {
        UpTo::Message(_) => None,
        UpTo::Instant(at) => Some(at),
    };
    let last = match (up_to, end) {
        (UpTo::Message(n), Some(end)) => n.min(end),
        (UpTo::Message(n), None) => n,
        (UpTo::Instant(_), Some(end)) => end,
        (UpTo::Instant(_), None) => FrameNumber(u64::MAX),
    };
    let mut chunks = match (end, log.archive()) {
        (Some(_), _) => log.read(from.next(), last),
        (None, Some(archive)) => archive.read(from.next()).map(|read| Ok(read?)).boxed(),
        (None, None) => futures_util::stream::empty().boxed(),
    };
    let mut folding = Folding { fold, last, instant, bytes: 0, is_done: false };
    let mut chunk = chunks.next().await;
    while let Some(messages) = chunk {
        let messages = messages?;
        // The next messages are read while these are folded.
        let folded = tokio::task::spawn_blocking(move || folding.take(&messages));
        let (folded, next) = tokio::join!(folded, chunks.next());
        folding = folded.map_err(|_| FoldUpError::Cut)??;
        if folding.is_done {
            break;
        }
        if folding.bytes > bounds.log_bytes_max {
            return Err(FoldUpError::TooFar { from, reached: folding.fold.n() });
        }
        chunk = next;
    }
    Ok(Folded { fold: folding.fold, from })
}

struct Folding {
    fold: Fold,
    last: FrameNumber,
    instant: Option<Timestamp>,
    bytes: u64,
    is_done: bool,
}

impl Folding {
    fn take(mut self, messages: &[Message]) -> Result<Self, FoldError> {
        for message in messages {
            let is_within = message.seq <= self.last.0
                && self.fold.take(&message.subject, &message.payload, self.instant)?;
            self.is_done = !is_within;
            if self.is_done {
                break;
            }
            self.bytes += message.payload.len() as u64;
        }
        Ok(self)
    }
}

/// The nearest state that was kept and that can be believed; the beginning of the log, if there is none.
async fn begin(
    log: &Log,
    end: Option<FrameNumber>,
    up_to: UpTo,
    bounds: Bounds,
) -> Result<Fold, FoldUpError> {
    let Some(archive) = log.archive() else { return Ok(Fold::default()) };
    let is_before = |state: &StateInfo| {
        let covered = match up_to {
            UpTo::Message(n) => state.n <= n,
            UpTo::Instant(at) => state.at <= at,
        };
        covered && end.is_none_or(|end| state.n <= end) && state.format == snapshot::FORMAT
    };
    let states = archive.states().await.map_err(LogError::from)?;
    for info in states.into_iter().rev().filter(is_before) {
        let place = (info.n.0, info.bytes);
        match read(log, end, &info, bounds).await {
            Ok(Some(fold)) => return Ok(fold),
            Ok(None) => tracing::warn!(?place, "The log disagrees with a state in the archive"),
            Err(LogError::Archive(error @ ArchiveError::Damaged { .. })) => {
                tracing::warn!(%error, "Cannot use a state in the archive");
            }
            // Where that part of the log was moved away, an earlier state is of no use either, and a later one may be.
            Err(LogError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Fold::default())
}

/// A fold of the state; `None` if the log disagrees with it, or it is gone.
async fn read(
    log: &Log,
    end: Option<FrameNumber>,
    info: &StateInfo,
    bounds: Bounds,
) -> Result<Option<Fold>, LogError> {
    let Some(archive) = log.archive() else { return Ok(None) };
    if log.chain_at(info.n, end.is_some()).await? != Some(info.chain) {
        return Ok(None);
    }
    let Some(said) = archive.state(info, bounds.state_bytes_max).await? else { return Ok(None) };
    let (n, at, chain) = (info.n, info.at, info.chain);
    let name = crate::name::of_state(info);
    let read = tokio::task::spawn_blocking(move || {
        let state = snapshot::read(&said, &snapshot::words(false));
        let state = state.map_err(|error| error.to_string())?;
        if (state.n, state.at) != (n, at) {
            return Err(format!("it is a fold up to {} of {}", state.n, state.at));
        }
        Ok(Fold::from_snapshot(state, chain))
    });
    let fold = read.await.unwrap_or_else(|error| Err(error.to_string()));
    fold.map(Some).map_err(|reason| ArchiveError::Damaged { segment: name, reason }.into())
}
