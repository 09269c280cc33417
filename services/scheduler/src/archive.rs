//! Keeps the log in the archive, and cuts its stream where that gets full. A leader does this beside its
//! work; that it may have been deposed meanwhile harms nothing, see [`nox_protocol::retention`].

mod health;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use nox_archive::{Log, LogArchive, LogError, SegmentBuilder, SegmentInfo};
use nox_contract::{Chain, FrameHead, FrameNumber, Timestamp, subject};
use nox_protocol::{Faults, ReadError, RecentFrames, recent::Following};
use nox_service::{Backoff, Clock, crash_point};
use nox_streams::{Broker, Message};
use tokio::{sync::Notify, task::spawn_blocking};
use tokio_util::task::AbortOnDropHandle;

use self::health::Health;
use crate::{Scheduler, archive_of, cut::Cutting, lost_end, metrics::Metrics, verified};

/// Bytes of messages after which a segment is closed; of a small stream, a share of its limit, so that it
/// can be cut in steps.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
const SEGMENTS_OF_LIMIT: u64 = 16;
/// Bytes of frames that are kept in memory until they are archived, and those that are taken at once: enough
/// to compress them well.
const RECENT_BYTES: usize = 4 * 1024 * 1024;
const PORTION_BYTES: usize = 512 * 1024;
/// Files of segments that nobody finished are removed when they are so old: long after a writer is done with
/// one, or dead.
const UNFINISHED_FOR: Duration = Duration::from_secs(3600);
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
    _task: AbortOnDropHandle<()>,
}

impl Archiving {
    /// Begins with the term of whoever leads, when the log has all up to `end`; ends when it is dropped.
    pub fn start(scheduler: &Scheduler, log: &Log, end: FrameNumber) -> Self {
        let Scheduler { config, runtime, broker, metrics, .. } = scheduler;
        let archive = archive_of(log);
        let recent = Arc::new(Recent::new(RECENT_BYTES, end));
        let snapshot_wanted = Arc::new(AtomicBool::new(false));
        let task = Task {
            broker: broker.clone(),
            clock: runtime.clock.clone(),
            health: Health::new(runtime.readiness.clone(), metrics.clone()),
            metrics: metrics.clone(),
            log: log.clone(),
            cutting: Cutting::new(scheduler, log, archive),
            archive: archive.clone(),
            close_after: Duration::from_secs(config.archive_every_s),
            recent: recent.clone(),
            snapshot_wanted: snapshot_wanted.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run()));
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
    clock: Clock,
    health: Health,
    metrics: Metrics,
    log: Log,
    archive: LogArchive,
    cutting: Cutting,
    /// The longest that a frame waits for a segment of its own to be full.
    close_after: Duration,
    recent: Arc<Recent>,
    snapshot_wanted: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self) {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            // Begun anew, whatever it came to grief on.
            let Err(error) = health::outcome(self.keep(&mut backoff)).await;
            self.health.failing(&format!("{error:#}"));
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Goes on where the archive ends, for as long as all is well.
    async fn keep(&mut self, backoff: &mut Backoff) -> anyhow::Result<Never> {
        let (n, chain) = self.begin().await?;
        let mut source = Source { log: &self.log, recent: &self.recent, chunks: None };
        let mut segment = SegmentBuilder::new(n, chain);
        // Read, and still to go into a segment: what is read at once may be more than one takes.
        let mut pending = VecDeque::new();
        let mut archived = n;
        // When it is closed at the latest, once it has something.
        let mut close_at: Option<Duration> = None;
        let mut held: Option<String> = None;
        let mut limit = SEGMENT_BYTES;
        let mut looked: Option<Duration> = None;
        let mut look_after = LOOK_EVERY;
        loop {
            let now = self.clock.monotonic();
            if looked.is_none_or(|at| now >= at + look_after) {
                let cut = self.cutting.cut(archived, now).await;
                let cut = cut.context("the log's stream cannot be cut")?;
                limit = segment_bytes(cut.bytes_max);
                let waits = cut.wants_snapshot;
                held = cut.held;
                if waits {
                    self.snapshot_wanted.store(true, Ordering::Relaxed);
                }
                (looked, look_after) = (Some(now), if waits { LOOK_AGAIN } else { LOOK_EVERY });
            }
            let is_full = segment.raw_bytes() >= limit;
            if !is_full && pending.is_empty() {
                pending = source.after(segment.end().0).await?.into();
            }
            if !is_full && !pending.is_empty() {
                close_at = close_at.or_else(|| Some(now + self.waits(&pending)));
                (segment, pending) = fill(segment, pending, limit).await?;
                continue;
            }
            // What was written long ago waits for what follows it, if that is there.
            let is_late = close_at.is_some_and(|at| now >= at);
            if is_full || is_late {
                let (n, chain) = segment.end();
                if let Some((segment, raw_bytes)) = self.put(segment).await? {
                    self.cutting.verified.add(&segment, raw_bytes);
                }
                segment = SegmentBuilder::new(n, chain);
                // More may go now.
                (archived, close_at, look_after) = (n, None, Duration::ZERO);
                self.tell(archived, held.as_deref());
                continue;
            }
            self.tell(archived, held.as_deref());
            *backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
            // Either way it is looked what there is.
            let _ = tokio::time::timeout(READ_EVERY, self.recent.grown.notified()).await;
        }
    }

    fn tell(&self, archived: FrameNumber, held: Option<&str>) {
        let requests = i64::try_from(self.archive.requests()).unwrap_or(i64::MAX);
        self.metrics.archive_requests.set(requests);
        self.health.goes_on(archived, self.cutting.verified.damage().as_deref(), held);
    }

    /// How long a segment that begins with these may wait for what follows. By how old they are, as far as their
    /// own time can be believed: it may have run ahead of this clock.
    fn waits(&self, messages: &VecDeque<Message>) -> Duration {
        let Some(at) = messages.iter().find_map(written_at) else { return self.close_after };
        let age = self.clock.now().as_micros().saturating_sub(at.as_micros());
        let age = Duration::from_micros(u64::try_from(age).unwrap_or_default());
        self.close_after.saturating_sub(age)
    }

    /// Where to go on: behind what the archive has of the stream. If it has nothing of its beginning, all of
    /// the stream is archived, once more where it was before.
    async fn begin(&mut self) -> anyhow::Result<(FrameNumber, Chain)> {
        let before = self.clock.now() - UNFINISHED_FOR;
        if let Err(error) = self.archive.remove_unfinished(before).await {
            tracing::warn!(%error, "Cannot remove what writers left unfinished");
        }
        let first = FrameNumber(self.broker.first_frame().await?.unwrap_or(1));
        let end = match self.cutting.verified.end(first, self.clock.monotonic()).await? {
            Some(end) => end,
            None if verified::has_all(&self.broker, FrameNumber(1), first).await? => {
                return Ok((FrameNumber(0), Chain::START));
            }
            None => {
                tracing::warn!(
                    first = first.0,
                    "The archive does not have what was cut off the log"
                );
                let chain = verified::chain_before(&self.log, first).await?;
                return Ok((FrameNumber(first.0 - 1), chain));
            }
        };
        lost_end::agree(&self.broker, &self.archive, end.0).await?;
        Ok(end)
    }

    /// Closes a segment and puts it into the archive, where it is read back; what it is, with the bytes of its
    /// messages. `None` of an empty one.
    async fn put(&self, segment: SegmentBuilder) -> anyhow::Result<Option<(SegmentInfo, u64)>> {
        let Some(closed) = spawn_blocking(move || segment.close()).await? else { return Ok(None) };
        crash_point("scheduler.before_archive");
        let (n, raw_bytes) = (closed.n_last, closed.raw_bytes);
        let segment = self.archive.put(closed).await?;
        crash_point("scheduler.after_archive");
        self.metrics.archived_n.set(i64::try_from(n.0).unwrap_or(i64::MAX));
        tracing::info!(segment = segment.name(), bytes = segment.bytes, "Archived");
        Ok(Some((segment, raw_bytes)))
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

/// After how many bytes of messages a segment is closed, of a stream with this limit.
fn segment_bytes(bytes_max: Option<u64>) -> u64 {
    bytes_max.map_or(SEGMENT_BYTES, |max| SEGMENT_BYTES.min(max / SEGMENTS_OF_LIMIT))
}

/// Adds messages to a segment until it has `limit` bytes, for it is cut off the stream whole or not at all; says
/// what is left of them. Compressing takes longer than others should wait.
pub async fn fill(
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
