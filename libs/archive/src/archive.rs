//! The segments of one life of the log: put, listed, found, read.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use nox_contract::{Chain, FrameNumber, Incarnation, Timestamp};
use nox_streams::Message;
use object_store::path::Path;

use crate::{
    Archive, ArchiveError, ClosedSegment, SegmentInfo, name,
    segment::{self, Index, TRAILER_BYTES},
};

/// Read at the end of a segment at once: its trailer and in nearly all cases its index.
const END_BYTES: u64 = 64 * 1024;

/// Indexes kept in memory, of some tens of KiB each.
const INDEXES_MAX: usize = 64;

/// The segments of one life of the log. Clones share what is known of them.
#[derive(Debug, Clone)]
pub struct LogArchive {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    archive: Archive,
    incarnation: Incarnation,
    folder: Path,
    known: Mutex<Known>,
}

/// What needs not be asked for again: segments never change.
#[derive(Debug, Default)]
struct Known {
    segments: Option<Segments>,
    /// The newest last.
    indexes: VecDeque<(SegmentInfo, Arc<Index>)>,
}

/// Segments by number. They may overlap: two leaders may have cut differently, and both are right.
#[derive(Debug, Clone)]
struct Segments {
    all: Arc<[SegmentInfo]>,
    /// Without those that lie within another one, so that first and last numbers both ascend.
    cover: Arc<[SegmentInfo]>,
}

impl Segments {
    fn new(mut all: Vec<SegmentInfo>) -> Self {
        all.sort_by_key(|segment| (segment.n_first, std::cmp::Reverse(segment.n_last)));
        let mut cover: Vec<SegmentInfo> = Vec::new();
        for segment in &all {
            if cover.last().is_none_or(|last| segment.n_last > last.n_last) {
                cover.push(segment.clone());
            }
        }
        Self { all: all.into(), cover: cover.into() }
    }

    /// The one with message `n` that reaches furthest.
    fn holding(&self, n: FrameNumber) -> Option<&SegmentInfo> {
        let after = self.cover.partition_point(|segment| segment.n_first <= n);
        self.cover[..after].last().filter(|segment| segment.holds(n))
    }

    /// The last segment before the first gap behind message `n`, if one holds it or ends right before it.
    fn end(&self, n: FrameNumber) -> Option<&SegmentInfo> {
        let follows = |pair: &&[SegmentInfo]| pair[1].n_first <= pair[0].n_last.next();
        let begin = self
            .cover
            .iter()
            .position(|segment| segment.n_first <= n && n <= segment.n_last.next())?;
        let joined = self.cover[begin..].windows(2).take_while(follows).count();
        self.cover.get(begin + joined)
    }
}

impl LogArchive {
    pub(crate) fn new(archive: Archive, incarnation: Incarnation, folder: Path) -> Self {
        let known = Mutex::default();
        Self { inner: Arc::new(Inner { archive, incarnation, folder, known }) }
    }

    pub fn incarnation(&self) -> &Incarnation {
        &self.inner.incarnation
    }

    /// The archive as it was named.
    pub fn location(&self) -> &str {
        self.inner.archive.location()
    }

    /// Stores a segment, unless it is there already, and reads it back: returns once it is on stable
    /// storage and says from the first message to the last what it should.
    ///
    /// # Errors
    /// The store is away, has something else of that name, or did not keep what it was given. What is
    /// there then may be a segment all the same.
    pub async fn put(&self, closed: ClosedSegment) -> Result<SegmentInfo, ArchiveError> {
        let info = closed.info();
        let path = self.path(&info);
        let archive = &self.inner.archive;
        let is_new = archive.put_if_absent(&path, closed.bytes.clone()).await?;
        let object = archive.get(&path).await?;
        let object = object.ok_or_else(|| info.damaged("it is not there after it was stored"))?;
        let equal = object == closed.bytes && segment::sha256(&object) == closed.sha256;
        if !equal && !is_new {
            return Err(ArchiveError::Conflict { segment: info.name() });
        }
        if !equal {
            return Err(info.damaged("it was not kept as it was written"));
        }
        self.verify_object(&info, object).await?;

        let mut known = self.known();
        if let Some(segments) = &known.segments
            && !segments.all.contains(&info)
        {
            let all = segments.all.iter().cloned().chain([info.clone()]).collect();
            known.segments = Some(Segments::new(all));
        }
        Ok(info)
    }

    /// Removes what writers left of segments that they had begun before `before` and did not get to end.
    pub async fn remove_unfinished(&self, before: Timestamp) -> Result<(), ArchiveError> {
        self.inner.archive.remove_unfinished(&self.inner.folder, before).await
    }

    /// All segments there are now, in order, overlapping ones included. What is not named as one is left
    /// out with a warning.
    pub async fn segments(&self) -> Result<Vec<SegmentInfo>, ArchiveError> {
        Ok(self.list().await?.all.to_vec())
    }

    /// The last number before the first gap, and the chain after it; 0 and the chain's start where the
    /// archive has no beginning.
    pub async fn end(&self) -> Result<(FrameNumber, Chain), ArchiveError> {
        let end = self.end_behind(FrameNumber(1)).await?;
        Ok(end.unwrap_or((FrameNumber(0), Chain::START)))
    }

    /// The last number before the first gap behind message `n`, and the chain after it; `None` if no segment
    /// holds that message or ends right before it.
    pub async fn end_behind(
        &self,
        n: FrameNumber,
    ) -> Result<Option<(FrameNumber, Chain)>, ArchiveError> {
        match self.list().await?.end(n) {
            None => Ok(None),
            Some(segment) => Ok(Some((segment.n_last, self.index(segment).await?.chain_after))),
        }
    }

    /// Message `n`, by reading one block; `None` if no segment has it.
    pub async fn frame(&self, n: FrameNumber) -> Result<Option<Message>, ArchiveError> {
        let Some(segment) = self.holding(n).await? else { return Ok(None) };
        let index = self.index(&segment).await?;
        let place =
            index.block_of(n).ok_or_else(|| segment.damaged("no block of it has a frame"))?;
        let messages = self.block(&segment, &index, place).await?;
        let at = n.0 - index.blocks[place].n.0;
        Ok(messages.into_iter().nth(at as usize))
    }

    /// The messages from `from` on, a block at a time, up to the first that no segment has.
    pub fn read(
        &self,
        from: FrameNumber,
    ) -> BoxStream<'static, Result<Vec<Message>, ArchiveError>> {
        let reading = Reading { log: self.clone(), next: from, at: None };
        stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.chunk().await {
                Ok(Some(messages)) => Some((Ok(messages), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// Reads a whole segment and checks all of it: hashes, numbers, and the chain from message to message.
    pub async fn verify(&self, segment: &SegmentInfo) -> Result<Index, ArchiveError> {
        let object = self.inner.archive.get(&self.path(segment)).await?;
        let object = object.ok_or_else(|| segment.damaged("it is not there any more"))?;
        self.verify_object(segment, object).await
    }

    async fn verify_object(
        &self,
        segment: &SegmentInfo,
        object: Bytes,
    ) -> Result<Index, ArchiveError> {
        let of = segment.clone();
        let verify = tokio::task::spawn_blocking(move || segment::verify(&of, &object));
        let verified = verify.await.unwrap_or_else(|error| Err(error.to_string()));
        verified.map_err(|reason| segment.damaged(reason))
    }

    /// The segment to read message `n` from. What is not known is asked for again.
    async fn holding(&self, n: FrameNumber) -> Result<Option<SegmentInfo>, ArchiveError> {
        let known = self.known().segments.clone();
        if let Some(segment) = known.as_ref().and_then(|segments| segments.holding(n)) {
            return Ok(Some(segment.clone()));
        }
        Ok(self.list().await?.holding(n).cloned())
    }

    async fn list(&self) -> Result<Segments, ArchiveError> {
        let mut all = Vec::new();
        for object in self.inner.archive.list(&self.inner.folder).await? {
            let file = object.location.filename().unwrap_or_default();
            let direct = object.location == self.inner.folder.clone().join(file);
            match name::numbers(file).filter(|_| direct) {
                Some((n_first, n_last)) => {
                    all.push(SegmentInfo { n_first, n_last, bytes: object.size });
                }
                None => tracing::warn!(object = %object.location, "Not a segment of the log"),
            }
        }
        let segments = Segments::new(all);
        self.known().segments = Some(segments.clone());
        Ok(segments)
    }

    /// What a segment holds, by reading its end.
    pub async fn index(&self, segment: &SegmentInfo) -> Result<Arc<Index>, ArchiveError> {
        let found = self.known().indexes.iter().find(|(of, _)| of == segment).cloned();
        if let Some((_, index)) = found {
            return Ok(index);
        }
        let index = Arc::new(self.read_index(segment).await?);
        let mut known = self.known();
        known.indexes.push_back((segment.clone(), index.clone()));
        if known.indexes.len() > INDEXES_MAX {
            known.indexes.pop_front();
        }
        Ok(index)
    }

    async fn read_index(&self, segment: &SegmentInfo) -> Result<Index, ArchiveError> {
        let size = segment.bytes;
        let from = size.saturating_sub(END_BYTES);
        let end = self.range(segment, from..size).await?;
        let trailer = &end[end.len().saturating_sub(TRAILER_BYTES)..];
        let damaged = |reason| segment.damaged(reason);
        let at = Index::locate(trailer, size).map_err(damaged)?;
        let bytes = if at.start >= from {
            end.slice((at.start - from) as usize..(at.end - from) as usize)
        } else {
            self.range(segment, at.clone()).await?
        };
        Index::decode(&bytes, at.start, trailer, segment).map_err(damaged)
    }

    async fn block(
        &self,
        segment: &SegmentInfo,
        index: &Index,
        place: usize,
    ) -> Result<Vec<Message>, ArchiveError> {
        let content = self.range(segment, index.blocks[place].range()).await?;
        index.block(place, &content).map_err(|reason| segment.damaged(reason))
    }

    async fn range(
        &self,
        segment: &SegmentInfo,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, ArchiveError> {
        if range.is_empty() {
            return Err(segment.damaged("it is empty"));
        }
        match self.inner.archive.get_range(&self.path(segment), range).await? {
            Some(bytes) => Ok(bytes),
            None => {
                // Listed anew by whoever asks next.
                self.known().segments = None;
                Err(segment.damaged("it is not there any more"))
            }
        }
    }

    fn path(&self, segment: &SegmentInfo) -> Path {
        self.inner.folder.clone().join(segment.name())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Reading {
    log: LogArchive,
    next: FrameNumber,
    /// The segment that is being read, and the block that comes next.
    at: Option<(SegmentInfo, Arc<Index>, usize)>,
}

impl Reading {
    async fn chunk(&mut self) -> Result<Option<Vec<Message>>, ArchiveError> {
        let (segment, index, place) = match self.at.take() {
            Some(at) => at,
            None => {
                let Some(segment) = self.log.holding(self.next).await? else { return Ok(None) };
                let index = self.log.index(&segment).await?;
                let place = index.block_of(self.next).unwrap_or_default();
                (segment, index, place)
            }
        };
        let mut messages = self.log.block(&segment, &index, place).await?;
        messages.retain(|message| message.seq >= self.next.0);
        self.next = messages.last().map_or(self.next, |last| FrameNumber(last.seq).next());
        if place + 1 < index.blocks.len() {
            self.at = Some((segment, index, place + 1));
        }
        Ok(Some(messages))
    }
}
