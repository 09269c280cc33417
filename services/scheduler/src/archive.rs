//! Keeps the log in the archive, and cuts its stream where that gets full. A leader does this beside its
//! work; that it may have been deposed meanwhile harms nothing, see [`nox_protocol::retention`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures_util::{StreamExt, stream::BoxStream};
use nox_archive::{Archive, Log, LogArchive, LogError, SegmentBuilder};
use nox_contract::{FrameNumber, subject};
use nox_protocol::{
    Faults, Retention,
    retention::{Hold, Kept, LogUsage},
};
use nox_service::{Backoff, Runtime, crash_point};
use nox_streams::{Broker, Message};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{Scheduler, metrics::Metrics, snapshot};

/// The part of readiness that says whether the log is being archived.
const ARCHIVE: &str = "scheduler.archive";
/// Bytes of messages after which a segment is closed; of a small stream, a share of its limit, so that it
/// can be cut in steps.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
const SEGMENTS_OF_LIMIT: u64 = 16;
/// How often the log is looked at for frames to keep, and the stream for its size.
const READ_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two tries while broker or archive are away; doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What goes on beside a term.
pub struct Archiving {
    acked: watch::Sender<FrameNumber>,
    snapshot_wanted: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Archiving {
    /// Begins with the term of whoever leads; ends when it is dropped.
    pub fn start(scheduler: &Scheduler) -> Self {
        let Scheduler { config, runtime, broker, metrics, archive } = scheduler;
        let (acked, told) = watch::channel(FrameNumber(0));
        let snapshot_wanted = Arc::new(AtomicBool::new(false));
        let task = Task {
            broker: broker.clone(),
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            close_after: Duration::from_secs(config.archive_every_s),
            retention: config.retention(),
            acked: told,
            snapshot_wanted: snapshot_wanted.clone(),
        };
        let archive = archive.clone();
        let run = async move {
            match archive {
                Some(archive) => task.run(archive).await,
                None => task.runtime.readiness.note(ARCHIVE, "none; the log is never cut"),
            }
        };
        Self { acked, snapshot_wanted, _task: AbortOnDropHandle::new(tokio::spawn(run)) }
    }

    /// The log has all frames up to `n`.
    pub fn acked(&self, n: FrameNumber) {
        self.acked.send_if_modified(|acked| std::mem::replace(acked, n) != n);
    }

    /// Whether the stream cannot be cut for want of a snapshot; asked for once each time.
    pub fn takes_snapshot(&self) -> bool {
        self.snapshot_wanted.swap(false, Ordering::Relaxed)
    }
}

struct Task {
    broker: Broker,
    runtime: Runtime,
    metrics: Metrics,
    /// The longest that a frame waits for a segment of its own to be full.
    close_after: Duration,
    retention: Retention,
    acked: watch::Receiver<FrameNumber>,
    snapshot_wanted: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self, archive: Archive) {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            let Err(error) = self.keep(&archive, &mut backoff).await;
            let reason = format!("{error:#}");
            tracing::warn!(reason, "Cannot keep the log in the archive");
            self.runtime.readiness.note(ARCHIVE, format!("failing: {reason}"));
            self.metrics.archive_failing.set(1);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Goes on where the archive ends, for as long as all is well.
    async fn keep(&mut self, archive: &Archive, backoff: &mut Backoff) -> anyhow::Result<Never> {
        let incarnation = self.broker.incarnation(subject::EVENTS).await?;
        let log = Log::new(self.broker.clone(), incarnation, Some(archive));
        let kept = archive.log(log.incarnation());
        let mut open = Open::begin(&self.broker, &log, &kept).await?;
        let mut looked: Option<Duration> = None;
        loop {
            let now = self.runtime.clock.monotonic();
            if looked.is_none_or(|at| now >= at + LOOK_EVERY) {
                looked = Some(now);
                open.limit = self.cut(&kept).await.context("the log's stream cannot be cut")?;
            }
            while let Some(closed) = open.read(&self.acked, self.close_after, &self.runtime).await?
            {
                crash_point("scheduler.before_archive");
                let n = closed.n_last;
                let segment = kept.put(closed).await?;
                crash_point("scheduler.after_archive");
                self.metrics.archived_n.set(i64::try_from(n.0).unwrap_or(i64::MAX));
                tracing::info!(segment = segment.name(), bytes = segment.bytes, "Archived");
                looked = None;
            }
            self.metrics.archive_failing.set(0);
            self.runtime.readiness.note(ARCHIVE, format!("up to frame {}", open.after));
            *backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    /// Cuts the stream if it is full enough; says after how many bytes a segment is to be closed.
    async fn cut(&mut self, archive: &LogArchive) -> anyhow::Result<u64> {
        let usage = self.broker.usage(subject::EVENTS).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(SEGMENT_BYTES) };
        let limit = SEGMENT_BYTES.min(bytes_max / SEGMENTS_OF_LIMIT);
        if !self.retention.is_due(usage.bytes, bytes_max) {
            return Ok(limit);
        }
        let Some(first) = self.broker.first_frame().await? else { return Ok(limit) };
        let usage = LogUsage { bytes: usage.bytes, bytes_max, first: FrameNumber(first) };
        let mut segments = Vec::new();
        for segment in archive.segments().await? {
            if segment.n_last >= usage.first {
                segments.push((segment.n_last, archive.index(&segment).await?.raw_bytes));
            }
        }
        let readers = self.broker.readers().await?.into_iter();
        let readers =
            readers.filter(|(_, position)| position.incarnation == *archive.incarnation());
        let readers: Vec<_> = readers.map(|(name, at)| (name, FrameNumber(at.seq))).collect();
        let snapshot = snapshot::newest(&self.broker).await?;
        let kept = Kept { segments: &segments, snapshot, readers: &readers };
        let Some(cut) = self.retention.cut(usage, kept, Faults::default()) else {
            return Ok(limit);
        };

        for reader in &cut.left_behind {
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
}

/// Nothing but an error ends the archiving.
enum Never {}

/// The segment that is being filled.
struct Open {
    chunks: BoxStream<'static, Result<Vec<Message>, LogError>>,
    /// Read and not yet in the segment.
    pending: std::collections::VecDeque<Message>,
    /// Taken while it works elsewhere.
    builder: Option<SegmentBuilder>,
    /// The last frame before it.
    after: FrameNumber,
    /// When the first frame came in.
    began: Option<Duration>,
    /// Bytes after which it is closed.
    limit: u64,
}

impl Open {
    async fn begin(broker: &Broker, log: &Log, archive: &LogArchive) -> anyhow::Result<Self> {
        let (n, chain) = archive.end().await?;
        agree(broker, archive, n).await?;
        Ok(Self {
            chunks: log.follow(n.next()),
            pending: std::collections::VecDeque::new(),
            builder: Some(SegmentBuilder::new(n, chain)),
            after: n,
            began: None,
            limit: SEGMENT_BYTES,
        })
    }

    /// Takes in what the log has up to now. A segment, if that filled it, or it has waited for long enough.
    async fn read(
        &mut self,
        acked: &watch::Receiver<FrameNumber>,
        close_after: Duration,
        runtime: &Runtime,
    ) -> anyhow::Result<Option<nox_archive::ClosedSegment>> {
        loop {
            let builder = self.builder.take().ok_or_else(|| anyhow!("the segment is gone"))?;
            let now = runtime.clock.monotonic();
            let is_late = self.began.is_some_and(|began| now >= began + close_after);
            if builder.raw_bytes() >= self.limit || (is_late && !builder.is_empty()) {
                let (n, chain) = builder.end();
                (self.builder, self.after) = (Some(SegmentBuilder::new(n, chain)), n);
                self.began = None;
                return Ok(tokio::task::spawn_blocking(move || builder.close()).await?);
            }
            let end = builder.end().0;
            if self.pending.is_empty() {
                if end >= *acked.borrow() {
                    self.builder = Some(builder);
                    return Ok(None);
                }
                let chunk = self.chunks.next().await.ok_or_else(|| anyhow!("the log ended"))?;
                self.pending = chunk?.into();
            }
            let pending = std::mem::take(&mut self.pending);
            let (limit, mut builder) = (self.limit, builder);
            // Compressing takes longer than others should wait.
            let filled = tokio::task::spawn_blocking(move || {
                let mut pending = pending;
                while let Some(message) = pending.front() {
                    if builder.raw_bytes() >= limit {
                        break;
                    }
                    builder.push(message)?;
                    pending.pop_front();
                }
                Ok::<_, nox_protocol::ReadError>((builder, pending))
            });
            let (builder, pending) =
                filled.await?.context("this is not the log that is archived")?;
            self.began.get_or_insert(now);
            (self.builder, self.pending) = (Some(builder), pending);
        }
    }
}

/// Whether the log's stream has what the archive ends with. A log that lost its end may have grown as long
/// again, and then the archive is of what was lost: none of that may stand for what there is now.
async fn agree(broker: &Broker, archive: &LogArchive, end: FrameNumber) -> anyhow::Result<()> {
    for n in (1..=end.0).rev().map(FrameNumber) {
        // Cut off already, by somebody who had compared it.
        let Some(there) = broker.read_one(subject::EVENTS, n.0).await? else { return Ok(()) };
        let kept = archive.frame(n).await?.ok_or_else(|| anyhow!("frame {n} is not archived"))?;
        if there.payload != kept.payload {
            return Err(anyhow!(
                "frame {n} of the archive {} is another one than the log has: the log lost its end after \
                 that was archived; move its segments away",
                archive.location()
            ));
        }
        // A frame names all before it; the record of an epoch does not.
        if there.subject != subject::EPOCH {
            break;
        }
    }
    Ok(())
}
