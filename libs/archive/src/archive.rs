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
    Archive, ArchiveError, ClosedSegment, SegmentInfo, Segments, name,
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

impl LogArchive {
    pub(crate) fn new(archive: Archive, incarnation: Incarnation, folder: Path) -> Self {
        let known = Mutex::default();
        Self { inner: Arc::new(Inner { archive, incarnation, folder, known }) }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.inner.archive
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
        let archive = &self.inner.archive;
        let path = self.path(&closed.info());
        let is_new = archive.put_if_absent(&path, closed.bytes.clone()).await?;
        self.read_back(closed, is_new).await
    }

    /// The same in the place of a damaged segment of that name: whoever reads finds the one or the other, and
    /// never neither.
    pub async fn replace(&self, closed: ClosedSegment) -> Result<SegmentInfo, ArchiveError> {
        self.inner.archive.put(&self.path(&closed.info()), closed.bytes.clone()).await?;
        self.read_back(closed, true).await
    }

    async fn read_back(
        &self,
        closed: ClosedSegment,
        is_ours: bool,
    ) -> Result<SegmentInfo, ArchiveError> {
        let info = closed.info();
        let object = self.inner.archive.get(&self.path(&info)).await?;
        let object = object.ok_or_else(|| info.damaged("it is not there after it was stored"))?;
        let equal = object == closed.bytes && segment::sha256(&object) == closed.sha256;
        if !equal && !is_ours {
            return Err(ArchiveError::Conflict { segment: info.name() });
        }
        if !equal {
            return Err(info.damaged("it was not kept as it was written"));
        }
        self.verify_object(&info, object).await?;

        let mut known = self.known();
        if let Some(segments) = &known.segments
            && !segments.all().contains(&info)
        {
            let others = segments.all().iter().filter(|other| other.name() != info.name());
            let all = others.cloned().chain([info.clone()]).collect();
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
        Ok(self.list().await?.all().to_vec())
    }

    /// Requests to the store so far, by all that share it: a bucket's each cost something.
    pub fn requests(&self) -> u64 {
        self.inner.archive.requests()
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
        let Some(Block { index, place, messages, .. }) = self.find(n).await? else {
            return Ok(None);
        };
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

    /// The segments that there are now.
    pub async fn list(&self) -> Result<Segments, ArchiveError> {
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

    /// The block with message `n`, of a segment that is not damaged there; `None` if none holds it. Segments
    /// overlap, and what is damaged may have been archived again.
    async fn find(&self, n: FrameNumber) -> Result<Option<Block>, ArchiveError> {
        let Some(segment) = self.holding(n).await? else { return Ok(None) };
        let damage = match self.block_with(&segment, n).await {
            Err(damage @ ArchiveError::Damaged { .. }) => damage,
            found => return found.map(Some),
        };
        self.forget(&segment);
        for other in self.list().await?.all().iter().filter(|other| other.holds(n)) {
            match self.block_with(other, n).await {
                Err(ArchiveError::Damaged { .. }) => self.forget(other),
                found => return found.map(Some),
            }
        }
        Err(damage)
    }

    async fn block_with(
        &self,
        segment: &SegmentInfo,
        n: FrameNumber,
    ) -> Result<Block, ArchiveError> {
        let index = self.index(segment).await?;
        let place =
            index.block_of(n).ok_or_else(|| segment.damaged("no block of it has a frame"))?;
        self.block(segment.clone(), index, place).await
    }

    async fn block(
        &self,
        segment: SegmentInfo,
        index: Arc<Index>,
        place: usize,
    ) -> Result<Block, ArchiveError> {
        let content = self.range(&segment, index.blocks[place].range()).await?;
        let messages = index.block(place, &content).map_err(|reason| segment.damaged(reason))?;
        Ok(Block { segment, index, place, messages })
    }

    /// What is damaged may be put in order at any time, and be of another size then.
    fn forget(&self, segment: &SegmentInfo) {
        let mut known = self.known();
        known.segments = None;
        known.indexes.retain(|(of, _)| of != segment);
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
                self.forget(segment);
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

/// A block as it was read.
struct Block {
    segment: SegmentInfo,
    index: Arc<Index>,
    place: usize,
    messages: Vec<Message>,
}

struct Reading {
    log: LogArchive,
    next: FrameNumber,
    /// The segment that is being read, and the block that comes next.
    at: Option<(SegmentInfo, Arc<Index>, usize)>,
}

impl Reading {
    async fn chunk(&mut self) -> Result<Option<Vec<Message>>, ArchiveError> {
        let found = match self.at.take() {
            None => self.log.find(self.next).await?,
            Some((segment, index, place)) => match self.log.block(segment, index, place).await {
                Err(ArchiveError::Damaged { .. }) => self.log.find(self.next).await?,
                found => Some(found?),
            },
        };
        let Some(Block { segment, index, place, mut messages }) = found else { return Ok(None) };
        messages.retain(|message| message.seq >= self.next.0);
        self.next = messages.last().map_or(self.next, |last| FrameNumber(last.seq).next());
        if place + 1 < index.blocks.len() {
            self.at = Some((segment, index, place + 1));
        }
        Ok(Some(messages))
    }
}
