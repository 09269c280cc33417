//! Keeps the log in the archive, and cuts its stream where that gets full. A leader does this beside its
//! work; that it may have been deposed meanwhile harms nothing, see [`nox_protocol::retention`].

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use nox_archive::{Log, LogArchive, LogError, SegmentBuilder, SegmentInfo};
use nox_contract::{Chain, FrameHead, FrameNumber, Timestamp, subject};
use nox_protocol::{
    Faults, ReadError, RecentFrames, Retention,
    recent::Following,
    retention::{Archived, Hold, Kept, LogUsage},
};
use nox_service::{Backoff, Runtime, crash_point};
use nox_streams::{Broker, Message};
use tokio::{sync::Notify, task::spawn_blocking};
use tokio_util::task::AbortOnDropHandle;

use crate::{Scheduler, lost_end, metrics::Metrics, snapshot};

/// The part of readiness that says whether the log is being archived.
const ARCHIVE: &str = "scheduler.archive";
/// Bytes of messages after which a segment is closed; of a small stream, a share of its limit, so that it
/// can be cut in steps.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
const SEGMENTS_OF_LIMIT: u64 = 16;
/// Bytes of frames that are kept in memory until they are archived, and those that are taken at once: enough
/// to compress them well.
const RECENT_BYTES: usize = 4 * 1024 * 1024;
const PORTION_BYTES: usize = 512 * 1024;
/// How often the log is looked at for frames to keep, where there is less than a portion.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often the stream is looked at for its size, while it waits for a snapshot to be cut, and else.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two tries while broker or archive are away; doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What goes on beside a term.
pub struct Archiving {
    recent: Arc<Recent>,
    snapshot_wanted: Arc<AtomicBool>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Archiving {
    /// Begins with the term of whoever leads, when the log has all up to `end`; ends when it is dropped.
    pub fn start(scheduler: &Scheduler, log: &Log, end: FrameNumber) -> Self {
        let Scheduler { config, runtime, broker, metrics, .. } = scheduler;
        let archive = log.archive().cloned();
        let recent = Arc::new(Recent::new(if archive.is_some() { RECENT_BYTES } else { 0 }, end));
        let snapshot_wanted = Arc::new(AtomicBool::new(false));
        if archive.is_none() {
            runtime.readiness.note(ARCHIVE, "none; the log is never cut");
        }
        let task = archive.map(|archive| {
            let task = Task {
                broker: broker.clone(),
                runtime: runtime.clone(),
                metrics: metrics.clone(),
                log: log.clone(),
                archive,
                close_after: Duration::from_secs(config.archive_every_s),
                retention: config.retention(),
                recent: recent.clone(),
                snapshot_wanted: snapshot_wanted.clone(),
                verified: Mutex::default(),
            };
            AbortOnDropHandle::new(tokio::spawn(task.run()))
        });
        Self { recent, snapshot_wanted, _task: task }
    }

    /// Frame `n` is on its way to the log.
    pub fn sent(&self, n: FrameNumber, payload: &Bytes) {
        self.recent.frames().sent(n, payload);
    }

    /// The log has all frames up to `n`.
    pub fn acked(&self, n: FrameNumber) {
        let mut frames = self.recent.frames();
        frames.acked(n);
        if frames.bytes() >= PORTION_BYTES {
            self.recent.grown.notify_one();
        }
    }

    /// Whether the stream cannot be cut for want of a snapshot; asked for once each time.
    pub fn takes_snapshot(&self) -> bool {
        self.snapshot_wanted.swap(false, Ordering::Relaxed)
    }
}

/// What the term's loop hands over.
struct Recent {
    frames: Mutex<RecentFrames>,
    /// There is a portion.
    grown: Notify,
}

impl Recent {
    fn new(bytes_max: usize, end: FrameNumber) -> Self {
        let frames = Mutex::new(RecentFrames::new(bytes_max, end, Faults::default()));
        Self { frames, grown: Notify::new() }
    }

    fn frames(&self) -> MutexGuard<'_, RecentFrames> {
        self.frames.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Task {
    broker: Broker,
    runtime: Runtime,
    metrics: Metrics,
    log: Log,
    archive: LogArchive,
    /// The longest that a frame waits for a segment of its own to be full.
    close_after: Duration,
    retention: Retention,
    recent: Arc<Recent>,
    snapshot_wanted: Arc<AtomicBool>,
    /// Segments of what the stream has that were read back whole.
    verified: Mutex<Vec<SegmentInfo>>,
}

impl Task {
    async fn run(self) {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            let Err(error) = self.keep(&mut backoff).await;
            let reason = format!("{error:#}");
            tracing::warn!(reason, "Cannot keep the log in the archive");
            self.runtime.readiness.note(ARCHIVE, format!("failing: {reason}"));
            self.metrics.archive_failing.set(1);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Goes on where the archive ends, for as long as all is well.
    async fn keep(&self, backoff: &mut Backoff) -> anyhow::Result<Never> {
        let (n, chain) = self.begin().await?;
        let mut source = Source { log: &self.log, recent: &self.recent, chunks: None };
        let mut segment = SegmentBuilder::new(n, chain);
        // Read, and still to go into a segment: what is read at once may be more than one takes.
        let mut pending = VecDeque::new();
        let mut archived = n;
        // When its first frame was written.
        let mut began: Option<Timestamp> = None;
        let mut limit = SEGMENT_BYTES;
        let mut looked: Option<Duration> = None;
        let mut look_after = LOOK_EVERY;
        loop {
            let now = self.runtime.clock.monotonic();
            if looked.is_none_or(|at| now >= at + look_after) {
                limit = self.cut(archived).await.context("the log's stream cannot be cut")?;
                let waits = self.snapshot_wanted.load(Ordering::Relaxed);
                (looked, look_after) = (Some(now), if waits { LOOK_AGAIN } else { LOOK_EVERY });
            }
            let is_full = segment.raw_bytes() >= limit;
            if !is_full && pending.is_empty() {
                pending = source.after(segment.end().0).await?.into();
            }
            if !is_full && !pending.is_empty() {
                began = began.or_else(|| pending.iter().find_map(written_at));
                (segment, pending) = fill(segment, pending, limit).await?;
                continue;
            }
            // What was written long ago waits for what follows it, if that is there.
            let wall = self.runtime.clock.now();
            let is_late = began.is_some_and(|began| wall >= began + self.close_after);
            if is_full || is_late {
                let (n, chain) = segment.end();
                self.put(segment).await?;
                segment = SegmentBuilder::new(n, chain);
                // More may go now.
                (archived, began, look_after) = (n, None, Duration::ZERO);
                continue;
            }
            self.metrics.archive_failing.set(0);
            self.runtime.readiness.note(ARCHIVE, format!("up to frame {archived}"));
            *backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
            // Either way it is looked what there is.
            let _ = tokio::time::timeout(READ_EVERY, self.recent.grown.notified()).await;
        }
    }

    /// Where to go on: behind what the archive has of the stream. If it has nothing of its beginning, all of
    /// the stream is archived, once more where it was before.
    async fn begin(&self) -> anyhow::Result<(FrameNumber, Chain)> {
        let first = FrameNumber(self.broker.first_frame().await?.unwrap_or(1));
        let end = match self.archive.end_behind(first).await? {
            Some(end) => end,
            None if self.has_its_beginning(first).await? => {
                return Ok((FrameNumber(0), Chain::START));
            }
            None => {
                tracing::warn!(
                    first = first.0,
                    "The archive does not have what was cut off the log"
                );
                let message = self.log.frame(first).await?.context("the log is cut meanwhile")?;
                let head = FrameHead::read(&message.payload)?;
                let chain = Chain::parse(&head.prev).context("a frame without a chain")?;
                return Ok((FrameNumber(first.0 - 1), chain));
            }
        };
        lost_end::agree(&self.broker, &self.archive, end.0).await?;
        Ok(end)
    }

    /// Whether the stream has the log from its beginning on: records of epochs, then the first frame.
    async fn has_its_beginning(&self, first_frame: FrameNumber) -> anyhow::Result<bool> {
        for n in 1..first_frame.0 {
            if self.broker.read_one(subject::EVENTS, n).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Closes a segment and puts it into the archive.
    async fn put(&self, segment: SegmentBuilder) -> anyhow::Result<()> {
        let Some(closed) = spawn_blocking(move || segment.close()).await? else { return Ok(()) };
        crash_point("scheduler.before_archive");
        let n = closed.n_last;
        let segment = self.archive.put(closed).await?;
        crash_point("scheduler.after_archive");
        self.verified().push(segment.clone());
        self.metrics.archived_n.set(i64::try_from(n.0).unwrap_or(i64::MAX));
        tracing::info!(segment = segment.name(), bytes = segment.bytes, "Archived");
        Ok(())
    }

    /// Cuts the stream if it is full enough; says after how many bytes a segment is to be closed. All up to
    /// `archived` must still be there.
    async fn cut(&self, archived: FrameNumber) -> anyhow::Result<u64> {
        let usage = self.broker.usage(subject::EVENTS).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(SEGMENT_BYTES) };
        let limit = SEGMENT_BYTES.min(bytes_max / SEGMENTS_OF_LIMIT);
        if !self.retention.is_due(usage.bytes, bytes_max) {
            return Ok(limit);
        }
        let Some(first) = self.broker.first_frame().await? else { return Ok(limit) };
        let usage = LogUsage { bytes: usage.bytes, bytes_max, first: FrameNumber(first) };
        let end = self.archive.end_behind(usage.first).await?.map_or(0, |(end, _)| end.0);
        ensure!(end >= archived.0, "the archive ended at frame {archived}, and now at {end}");
        let segments = self.segments(usage.first).await?;
        let readers = self.broker.readers().await?.into_iter();
        let readers =
            readers.filter(|(_, position)| position.incarnation == *self.archive.incarnation());
        let readers: Vec<_> = readers.map(|(name, at)| (name, FrameNumber(at.seq))).collect();
        let snapshot = snapshot::newest(&self.log).await?;
        let kept = Kept { segments: &segments, snapshot, readers: &readers };
        let Some(cut) = self.retention.cut(usage, kept, Faults::default()) else {
            return Ok(limit);
        };

        for reader in cut.left_behind.iter().filter(|_| cut.before.is_some()) {
            self.metrics.readers_left_behind.with_label_values(&[reader]).inc();
            tracing::warn!(reader, "Cuts the log before a reader has come so far");
        }
        match &cut.hold {
            Some(Hold::Snapshot) => self.snapshot_wanted.store(true, Ordering::Relaxed),
            Some(Hold::Reader(reader)) => tracing::info!(reader, "A reader holds the log back"),
            Some(Hold::Archive) | None => {}
        }
        if let Some(before) = cut.before {
            crash_point("scheduler.before_cut");
            let frames = self.broker.cut_log(before.0).await?;
            crash_point("scheduler.after_cut");
            self.metrics.log_first_n.set(i64::try_from(before.0).unwrap_or(i64::MAX));
            tracing::info!(before = before.0, frames, "Cut the log's stream");
        }
        Ok(limit)
    }

    /// What the archive has of the stream from `first` on. Segments that others wrote are read once before
    /// anything is cut by them.
    async fn segments(&self, first: FrameNumber) -> anyhow::Result<Vec<Archived>> {
        let mut found = self.archive.segments().await?;
        found.retain(|segment| segment.n_last >= first);
        self.verified().retain(|segment| segment.n_last >= first);
        let mut segments = Vec::new();
        for segment in found {
            if !self.verified().contains(&segment) {
                self.archive.verify(&segment).await?;
                self.verified().push(segment.clone());
            }
            let bytes = self.archive.index(&segment).await?.raw_bytes;
            segments.push(Archived { first: segment.n_first, last: segment.n_last, bytes });
        }
        Ok(segments)
    }

    fn verified(&self) -> MutexGuard<'_, Vec<SegmentInfo>> {
        self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Nothing but an error ends the archiving.
enum Never {}

/// What the archive does not have yet.
struct Source<'t> {
    log: &'t Log,
    recent: &'t Recent,
    /// Messages that only the log has: those before this leader's, or from longer ago than it keeps them.
    chunks: Option<BoxStream<'static, Result<Vec<Message>, LogError>>>,
}

impl Source<'_> {
    /// The messages behind `n`, about a portion of them; none, if the log has none yet.
    async fn after(&mut self, n: FrameNumber) -> anyhow::Result<Vec<Message>> {
        loop {
            if let Some(chunks) = &mut self.chunks {
                match chunks.next().await {
                    Some(chunk) => return Ok(chunk?),
                    None => self.chunks = None,
                }
            }
            let following = self.recent.frames().take(n, PORTION_BYTES);
            match following {
                Following::Frames(frames) => {
                    let message = |(n, payload): (FrameNumber, _)| Message {
                        seq: n.0,
                        subject: subject::FRAMES.to_owned(),
                        payload,
                    };
                    return Ok(frames.into_iter().map(message).collect());
                }
                Following::InLog { up_to } => self.chunks = Some(self.log.read(n.next(), up_to)),
                Following::Nothing => return Ok(Vec::new()),
            }
        }
    }
}

/// When a frame was written; `None` of an epoch's record.
fn written_at(message: &Message) -> Option<Timestamp> {
    if message.subject == subject::EPOCH {
        return None;
    }
    FrameHead::read(&message.payload).ok().map(|head| head.at)
}

/// Adds messages to a segment until it has `limit` bytes, for it is cut off the stream whole or not at all; says
/// what is left of them. Compressing takes longer than others should wait.
async fn fill(
    mut segment: SegmentBuilder,
    mut messages: VecDeque<Message>,
    limit: u64,
) -> anyhow::Result<(SegmentBuilder, VecDeque<Message>)> {
    let filled = spawn_blocking(move || {
        while segment.raw_bytes() < limit
            && let Some(message) = messages.pop_front()
        {
            segment.push(&message)?;
        }
        Ok::<_, ReadError>((segment, messages))
    });
    filled.await?.context("this is not the log that is archived")
}
