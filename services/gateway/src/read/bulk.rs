//! Reads of many messages, of logs, frames and undecided commands, bounded over all who ask.
//!
//! They have a connection of their own: the broker cuts a client off that does not take what was asked
//! for fast enough, and with it went everybody's submits. And they ask for little at a time, few of
//! them at once, so that it does not come to that.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nox_archive::{Archive, ArchiveError, Bounds, FoldUpError, Log, LogError, SegmentInfo, UpTo};
use nox_contract::{FrameNumber, Incarnation, JobId, ProblemCode, TenantId, UserId, subject};
use nox_protocol::Fold;
use nox_streams::{Broker, Error, LogChunk, Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::per_user::{OfUser, PerUser};
use crate::problem::{ApiError, FieldError};

/// Answers that are being written at a time. Each holds a page, so all together hold 64 MiB.
const READERS_MAX: usize = 256;
/// Who is told what a job prints as it comes, at a time: nobody of them asks the broker while nothing comes.
const VIEWERS_MAX: usize = 1_024;
/// Who is told events as they come, at a time: nobody of them asks the broker while nothing happens, and each costs
/// its connection and little beside.
const EVENT_VIEWERS_MAX: usize = 4_096;
/// The same of one user: a sixteenth, so that nobody alone keeps all others out.
const EVENT_VIEWERS_OF_USER_MAX: usize = EVENT_VIEWERS_MAX / 16;
/// Reads of the broker at a time: what is on its way from there at once is no more than 16 MiB, the largest
/// frame each, and the broker cuts off at 64 MiB. From the archive comes a block with it, packed and
/// unpacked: 40 MiB at the most.
const READS_MAX: usize = 16;
/// A page, in bytes: two chunks of the largest kind. At least one message comes, however large.
pub const PAGE_BYTES: usize = 256 * 1024;
/// The same in messages, of which many are small.
const PAGE_MESSAGES: usize = 500;
/// How long to wait for a place among the readers, in the order of asking.
const PLACE_WAIT: Duration = Duration::from_secs(5);

/// The connection of bulk reads, and their bounds.
pub struct Bulk {
    broker: Broker,
    archive: Option<Archive>,
    /// The log that was read last, with what is known of its archive.
    log: Mutex<Option<Log>>,
    readers: Arc<Semaphore>,
    viewers: Arc<Semaphore>,
    event_viewers: Arc<Semaphore>,
    event_viewers_of: PerUser,
    reads: Semaphore,
}

/// A place among the readers, to be kept until the answer is written.
pub struct Place(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

/// What jobs have printed since somebody asked.
pub struct Printed {
    pub jobs: Vec<JobId>,
    /// The last of it.
    pub last: u64,
    /// Whether `jobs` are all: else there was more than a page of it.
    pub is_whole: bool,
}

/// Leave to be told what is new for as long as it lasts.
pub struct Viewer(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

/// The same of events.
pub struct EventViewer {
    _of_user: OfUser,
    _place: OwnedSemaphorePermit,
}

/// The log that rows were made from.
#[derive(Clone)]
pub struct RowsLog {
    log: Log,
    /// Whether its stream is still there.
    has_stream: bool,
}

impl RowsLog {
    pub fn log(&self) -> &Log {
        &self.log
    }
}

impl Bulk {
    pub fn new(broker: Broker, archive: Option<Archive>) -> Self {
        Self {
            broker,
            archive,
            log: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
            event_viewers: Arc::new(Semaphore::new(EVENT_VIEWERS_MAX)),
            event_viewers_of: PerUser::new(EVENT_VIEWERS_OF_USER_MAX),
            reads: Semaphore::new(READS_MAX),
        }
    }

    /// Whether the log is kept for good where this gateway can read it.
    pub fn has_archive(&self) -> bool {
        self.archive.is_some()
    }

    /// The segments of the log's present life in the archive, in order; `None` where there is no archive.
    pub async fn segments(&self) -> anyhow::Result<Option<Vec<SegmentInfo>>> {
        let Some(archive) = &self.archive else { return Ok(None) };
        let life = self.broker.incarnation(subject::EVENTS).await?;
        Ok(Some(archive.log(&life).segments().await?))
    }

    /// Waits for a place among the readers, for a while.
    pub async fn place(&self) -> Result<Place, ApiError> {
        let place = self.readers.clone().acquire_owned();
        match tokio::time::timeout(PLACE_WAIT, place).await {
            Ok(Ok(place)) => Ok(Place(place)),
            Ok(Err(_)) | Err(_) => Err(ApiError::new(
                ProblemCode::Overloaded,
                format!("{READERS_MAX} others are reading logs and histories"),
            )),
        }
    }

    /// Up to `max` chunks of a job's log after `after`, and no more than a page.
    pub async fn logs(
        &self,
        _: &Place,
        tenant: &TenantId,
        id: JobId,
        after: u64,
        max: usize,
    ) -> Result<Vec<LogChunk>, ApiError> {
        let _read = self.reads.acquire().await;
        let chunks = self.broker.read_logs(tenant, id, after, max, PAGE_BYTES).await;
        chunks.map_err(unavailable)
    }

    /// The last of all that jobs have printed; 0 before the first.
    pub async fn printed_last(&self) -> Result<u64, ApiError> {
        let last = self.broker.read_last_direct(subject::LOGS, subject::ALL_LOGS).await;
        Ok(last.map_err(unavailable)?.map_or(0, |last| last.seq))
    }

    /// Who has printed something behind `after`.
    pub async fn printed(&self, after: u64) -> Result<Printed, ApiError> {
        let page = self.page(subject::LOGS, subject::ALL_LOGS, after).await.map_err(unavailable)?;
        let bytes: usize = page.iter().map(|message| message.payload.len()).sum();
        let mut jobs: Vec<JobId> = page
            .iter()
            .filter_map(|message| subject::last_token(&message.subject).parse().ok())
            .collect();
        jobs.dedup();
        let last = page.last().map_or(after, |last| last.seq);
        if page.len() < PAGE_MESSAGES && bytes < PAGE_BYTES {
            return Ok(Printed { jobs, last, is_whole: true });
        }
        let last = self.printed_last().await?.max(last);
        Ok(Printed { jobs, last, is_whole: false })
    }

    /// Leave to be told what is new, unless too many are.
    pub fn viewer(&self) -> Result<Viewer, ApiError> {
        self.viewers.clone().try_acquire_owned().map(Viewer).map_err(|_| {
            let detail = format!("{VIEWERS_MAX} others follow jobs");
            ApiError::new(ProblemCode::Overloaded, detail)
        })
    }

    /// Leave to be told events, unless too many are, or the user is so already as often as one may.
    pub fn event_viewer(
        &self,
        (tenant, user): (&TenantId, &UserId),
    ) -> Result<EventViewer, ApiError> {
        let of_user = self.event_viewers_of.enter((tenant.clone(), user.clone()));
        let of_user = of_user.ok_or_else(|| {
            let detail = format!(
                "you follow events {EVENT_VIEWERS_OF_USER_MAX} times already, which is as often as one user may at a time"
            );
            ApiError::new(ProblemCode::RateLimited, detail)
        })?;
        let place = self.event_viewers.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{EVENT_VIEWERS_MAX} others follow events");
            ApiError::new(ProblemCode::Overloaded, detail)
        })?;
        Ok(EventViewer { _of_user: of_user, _place: place })
    }

    /// The log in its present life, and the last message of it.
    pub async fn log_now(&self) -> Result<(RowsLog, FrameNumber), ApiError> {
        let incarnation = self.broker.incarnation(subject::EVENTS).await.map_err(unavailable)?;
        let last = self.broker.last_sequence(subject::EVENTS).await.map_err(unavailable)?;
        let log = Log::new(self.broker.clone(), incarnation, self.archive.as_ref());
        Ok((RowsLog { log, has_stream: true }, FrameNumber(last)))
    }

    /// The log in the life that rows name, or in the present one if they name none yet.
    pub async fn log(&self, _: &Place, of_rows: Incarnation) -> Result<RowsLog, ApiError> {
        let current = self.broker.incarnation(subject::EVENTS).await.map_err(unavailable)?;
        let wanted = if of_rows.0.is_empty() { current.clone() } else { of_rows };
        let has_stream = wanted == current;
        let mut known = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = match known.take().filter(|log| *log.incarnation() == wanted) {
            Some(log) => log,
            None => Log::new(self.broker.clone(), wanted, self.archive.as_ref()),
        };
        *known = Some(log.clone());
        Ok(RowsLog { log, has_stream })
    }

    /// The last message of the log's stream; `None` where there is the archive alone.
    pub async fn end(&self, log: &RowsLog) -> Result<Option<FrameNumber>, ApiError> {
        if !log.has_stream {
            return Ok(None);
        }
        let last = self.broker.last_sequence(subject::EVENTS).await.map_err(unavailable)?;
        Ok(Some(FrameNumber(last)))
    }

    /// Folds the log up to a place.
    pub async fn fold(
        &self,
        _: &Place,
        log: &RowsLog,
        up_to: UpTo,
        bounds: Bounds,
    ) -> Result<Fold, ApiError> {
        let end = self.end(log).await?;
        let folded = nox_archive::fold_up_to(&log.log, end, up_to, bounds).await;
        folded.map(|folded| folded.fold).map_err(|error| match error {
            FoldUpError::Log(error @ LogError::Missing { n, .. }) => {
                let detail = format!("frame {n} is in the log no more");
                ApiError::new(ProblemCode::PlaceGone, detail).caused_by(error)
            }
            FoldUpError::Log(error) => no_frame(error),
            error @ FoldUpError::TooFar { .. } => {
                ApiError::invalid(vec![FieldError::new("?as_of", error.to_string())])
            }
            error @ (FoldUpError::Broken(_) | FoldUpError::Cut) => {
                ApiError::internal(anyhow::Error::new(error))
            }
        })
    }

    /// Frame `n`, which rows name, as `take` makes use of it: from any replica, or from the archive.
    pub async fn frame<T>(
        &self,
        _: &Place,
        log: &RowsLog,
        n: FrameNumber,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ApiError> {
        self.read_frame(log, n, take).await.map_err(no_frame)
    }

    /// As [`frame`](Self::frame), of a frame that the asker names: the log may not have it any more.
    pub async fn frame_at<T>(
        &self,
        _: &Place,
        log: &RowsLog,
        n: FrameNumber,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ApiError> {
        self.read_frame(log, n, take).await.map_err(|error| match error {
            LogError::Missing { n, .. } => {
                let detail = format!("frame {n} is in the log no more");
                ApiError::new(ProblemCode::PlaceGone, detail).caused_by(error)
            }
            error => no_frame(error),
        })
    }

    async fn read_frame<T>(
        &self,
        RowsLog { log, has_stream }: &RowsLog,
        n: FrameNumber,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, LogError> {
        // Kept until the frame, of which little may be wanted, is out of memory again.
        let _read = self.reads.acquire().await;
        let stored = if *has_stream { log.frame(n).await? } else { None };
        let frame = match stored {
            Some(frame) => frame,
            None => log.archived(n).await?,
        };
        Ok(take(&frame.payload))
    }

    /// A page of a tenant's commands after `after`; an empty one is the end. It takes no place among
    /// the readers, whose slowest would hold up submits: there is one who asks, and it keeps no page.
    pub async fn commands(&self, tenant: &TenantId, after: u64) -> Result<Vec<Message>, Error> {
        self.page(subject::COMMANDS, &subject::commands(tenant), after).await
    }

    async fn page(&self, stream: &str, subject: &str, after: u64) -> Result<Vec<Message>, Error> {
        let _read = self.reads.acquire().await;
        self.broker.read_history(stream, subject, after, PAGE_MESSAGES, PAGE_BYTES).await
    }
}

/// Says why a frame that rows name cannot be told, and nothing of where the archive is.
fn no_frame(error: LogError) -> ApiError {
    let what = match &error {
        LogError::Missing { n, archive } => {
            let has = match archive {
                Some(_) => "the archive does not have it",
                None => "this gateway was given no archive",
            };
            format!("frame {n} of this history is not in the log's stream any more, and {has}")
        }
        LogError::Archive(ArchiveError::Damaged { .. }) => {
            "the archive is damaged where this history goes on".to_owned()
        }
        LogError::Archive(_) => return ApiError::unavailable("the archive", error),
        LogError::Stream(_) | LogError::Broker(_) => {
            return ApiError::unavailable("the broker", error);
        }
    };
    ApiError::new(ProblemCode::Unavailable, what).caused_by(error)
}

fn unavailable(error: Error) -> ApiError {
    ApiError::unavailable("the broker", error)
}
