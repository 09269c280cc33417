//! What attempts printed and the broker has not stored for certain: bounded, in order, and no byte
//! goes without being counted where it is missing.
//!
//! Each attempt has a lane, of which one piece at a time is under way: so pieces are stored in order
//! whatever is refused or sent again. A piece bears a number, by which the broker knows it when it
//! comes a second time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use nox_contract::{Attempt, JobId, StartWork, TenantId};

use crate::manifest::Stream;

/// Bytes of all lanes: memory that a broker that is away may cost.
const BYTES_MAX: usize = 64 << 20;

/// Bytes of one lane: what is kept of a stream and some more, so that a single job that prints as much
/// as it may loses nothing, and leaves room for others.
const LANE_BYTES_MAX: usize = 17 << 20;

/// What a piece counts for beside its bytes.
const PIECE_BYTES: usize = 256;

/// How long a stored piece is kept, to be sent again if the connection is lost: a broker that was killed
/// has forgotten what it acknowledged in the moments before, for logs do not wait for its disk.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// Whose pieces are in one lane.
pub type Lane = (JobId, Attempt);

/// A part of what an attempt printed to one of its streams; it does not cut a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub stream: Stream,
    /// How many bytes were printed before these.
    pub offset: u64,
    /// How many bytes right before these are in no piece.
    pub missing: u64,
    /// How many of these the attempt printed: all, or none if they are a word of the executor's.
    pub length: u64,
    pub bytes: Bytes,
    /// Nothing follows.
    pub end: bool,
}

/// A piece on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub lane: Lane,
    pub tenant: TenantId,
    /// Its number in the lane.
    pub number: u64,
    pub piece: Piece,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct LogBuffer {
    lanes: BTreeMap<Lane, Pieces>,
    /// Lanes with something to send, and nothing under way.
    ready: VecDeque<Lane>,
    bytes: usize,
}

/// One lane.
#[derive(Debug)]
struct Pieces {
    tenant: TenantId,
    /// Stored ones, then others.
    pieces: VecDeque<Piece>,
    /// When those were stored.
    stored_at: VecDeque<Duration>,
    /// The number of the first of all.
    first: u64,
    bytes: usize,
    /// The number after the last that ever was stored.
    stored_up_to: u64,
    under_way: bool,
    /// To be sent again from the first one when what is under way has come back.
    rewind: bool,
    streams: BTreeMap<Stream, Printed>,
    lost: u64,
    is_open: bool,
}

/// How far a stream has come.
#[derive(Debug, Default)]
struct Printed {
    offset: u64,
    /// Bytes that no piece has and that the next one tells of.
    missing: u64,
}

impl LogBuffer {
    /// Makes a lane for an attempt, until it is [closed](Self::close).
    pub fn open(&mut self, start: &StartWork) -> Lane {
        let lane = (start.job_id, start.attempt);
        let streams = [Stream::Stdout, Stream::Stderr].map(|stream| (stream, Printed::default()));
        let pieces = Pieces {
            tenant: start.tenant.clone(),
            pieces: VecDeque::new(),
            stored_at: VecDeque::new(),
            first: 0,
            stored_up_to: 0,
            bytes: 0,
            under_way: false,
            rewind: false,
            streams: streams.into(),
            lost: 0,
            is_open: true,
        };
        if let Some(old) = self.lanes.insert(lane, pieces) {
            self.bytes -= old.bytes;
        }
        lane
    }

    /// The attempt is over: its lane goes when all of it is stored.
    pub fn close(&mut self, lane: Lane) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.end(lane, stream);
        }
        if let Some(pieces) = self.lanes.get_mut(&lane) {
            pieces.is_open = false;
        }
        self.forget_if_done(lane);
    }

    /// Takes what an attempt has printed; returns how much of that had to be dropped.
    pub fn add(&mut self, lane: Lane, stream: Stream, bytes: Bytes) -> u64 {
        let length = bytes.len() as u64;
        self.push(lane, stream, bytes, length, false)
    }

    /// Takes a word of the executor's own.
    pub fn note(&mut self, lane: Lane, stream: Stream, text: String) {
        self.push(lane, stream, text.into(), 0, false);
    }

    /// So many bytes were printed and are not to be kept.
    pub fn skip(&mut self, lane: Lane, stream: Stream, bytes: u64) {
        let Some(pieces) = self.lanes.get_mut(&lane) else { return };
        let Some(printed) = pieces.streams.get_mut(&stream) else { return };
        printed.missing += bytes;
        printed.offset += bytes;
        pieces.lost += bytes;
    }

    /// Ends a stream, once.
    pub fn end(&mut self, lane: Lane, stream: Stream) {
        let Some(pieces) = self.lanes.get_mut(&lane) else { return };
        let Some(printed) = pieces.streams.get_mut(&stream) else { return };
        if printed.offset > 0 {
            self.push(lane, stream, Bytes::new(), 0, true);
        }
        if let Some(pieces) = self.lanes.get_mut(&lane) {
            pieces.streams.remove(&stream);
        }
    }

    fn push(&mut self, lane: Lane, stream: Stream, bytes: Bytes, length: u64, end: bool) -> u64 {
        // The executor's own words are few and short, and nothing would tell that one is missing.
        let fits = length == 0 || self.make_room(lane, bytes.len() + PIECE_BYTES);
        let Some(pieces) = self.lanes.get_mut(&lane) else { return 0 };
        let Some(printed) = pieces.streams.get_mut(&stream) else { return 0 };
        if !fits {
            printed.offset += length;
            printed.missing += length;
            pieces.lost += length;
            return length;
        }
        let missing = std::mem::take(&mut printed.missing);
        let piece = Piece { stream, offset: printed.offset, missing, length, bytes, end };
        printed.offset += length;
        let cost = piece.cost();
        pieces.pieces.push_back(piece);
        pieces.bytes += cost;
        self.bytes += cost;
        self.offer(lane);
        0
    }

    /// Whether so many more bytes fit; what is stored has to go first.
    fn make_room(&mut self, lane: Lane, bytes: usize) -> bool {
        let of_lane = |buffer: &Self| buffer.lanes.get(&lane).map_or(0, |pieces| pieces.bytes);
        if of_lane(self) + bytes > LANE_BYTES_MAX {
            self.forget_stored(lane, Duration::MAX);
        }
        if self.bytes + bytes > BYTES_MAX {
            for lane in self.lanes.keys().copied().collect::<Vec<_>>() {
                self.forget_stored(lane, Duration::MAX);
            }
        }
        of_lane(self) + bytes <= LANE_BYTES_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// The next piece to send; it is under way until it is [`stored`](Self::stored) or has
    /// [`failed`](Self::failed).
    pub fn next_piece(&mut self) -> Option<Sent> {
        loop {
            let lane = self.ready.pop_front()?;
            let Some(pieces) = self.lanes.get_mut(&lane) else { continue };
            let at = pieces.stored_at.len();
            let Some(piece) = pieces.pieces.get(at) else { continue };
            pieces.under_way = true;
            let number = pieces.first + at as u64;
            return Some(Sent {
                lane,
                tenant: pieces.tenant.clone(),
                number,
                piece: piece.clone(),
            });
        }
    }

    /// Returns how much that is, where it was not stored before.
    pub fn stored(&mut self, sent: &Sent, now: Duration) -> u64 {
        let mut stored = 0;
        if let Some(pieces) = self.back(sent.lane) {
            pieces.stored_at.push_back(now);
            if pieces.stored_up_to <= sent.number {
                pieces.stored_up_to = sent.number + 1;
                stored = sent.piece.length;
            }
        }
        self.offer(sent.lane);
        self.forget_if_done(sent.lane);
        stored
    }

    /// It is sent again, or, where that is `hopeless`, told of as missing. Returns how much is lost.
    pub fn failed(&mut self, sent: &Sent, hopeless: bool) -> u64 {
        let (mut lost, mut freed) = (0, 0);
        if let Some(pieces) = self.back(sent.lane)
            && let Some(piece) = pieces.pieces.get_mut(pieces.stored_at.len())
            && hopeless
        {
            lost = std::mem::take(&mut piece.length);
            piece.missing += lost;
            piece.offset += lost;
            freed = std::mem::take(&mut piece.bytes).len();
            pieces.lost += lost;
            pieces.bytes -= freed;
        }
        self.bytes -= freed;
        self.offer(sent.lane);
        lost
    }

    fn back(&mut self, lane: Lane) -> Option<&mut Pieces> {
        let pieces = self.lanes.get_mut(&lane)?;
        pieces.under_way = false;
        if std::mem::take(&mut pieces.rewind) {
            pieces.stored_at.clear();
            return None;
        }
        Some(pieces)
    }

    /// The connection was lost: whatever is still here is sent again.
    pub fn rewind(&mut self) {
        for (lane, pieces) in &mut self.lanes {
            if pieces.under_way {
                pieces.rewind = true;
            } else if !pieces.stored_at.is_empty() {
                pieces.stored_at.clear();
                if !self.ready.contains(lane) {
                    self.ready.push_back(*lane);
                }
            }
        }
    }

    /// Forgets what was stored long ago.
    pub fn tick(&mut self, now: Duration) {
        for lane in self.lanes.keys().copied().collect::<Vec<_>>() {
            self.forget_stored(lane, now.saturating_sub(KEPT_FOR));
            self.forget_if_done(lane);
        }
    }

    /// Whether all that an attempt has printed is stored.
    pub fn is_stored(&self, lane: Lane) -> bool {
        self.lanes.get(&lane).is_none_or(|pieces| pieces.stored_at.len() == pieces.pieces.len())
    }

    /// How much of what an attempt has printed is lost, or was not kept.
    pub fn lost(&self, lane: Lane) -> u64 {
        self.lanes.get(&lane).map_or(0, |pieces| pieces.lost)
    }

    /// How many bytes wait to be stored, all lanes together.
    pub fn waiting(&self) -> u64 {
        let waiting = |pieces: &Pieces| -> u64 {
            pieces.pieces.iter().skip(pieces.stored_at.len()).map(|piece| piece.length).sum()
        };
        self.lanes.values().map(waiting).sum()
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.lanes.keys().all(|lane| self.is_stored(*lane))
    }

    fn offer(&mut self, lane: Lane) {
        let Some(pieces) = self.lanes.get(&lane) else { return };
        let has_more = pieces.stored_at.len() < pieces.pieces.len();
        if has_more && !pieces.under_way && !self.ready.contains(&lane) {
            self.ready.push_back(lane);
        }
    }

    /// Forgets what was stored before `before`.
    fn forget_stored(&mut self, lane: Lane, before: Duration) {
        let Some(pieces) = self.lanes.get_mut(&lane) else { return };
        while pieces.stored_at.front().is_some_and(|at| *at <= before) {
            pieces.stored_at.pop_front();
            let cost = pieces.pieces.pop_front().map_or(0, |piece| piece.cost());
            pieces.first += 1;
            pieces.bytes -= cost;
            self.bytes -= cost;
        }
    }

    fn forget_if_done(&mut self, lane: Lane) {
        let is_done = |pieces: &Pieces| !pieces.is_open && pieces.pieces.is_empty();
        if self.lanes.get(&lane).is_some_and(is_done) {
            self.lanes.remove(&lane);
        }
    }
}

impl Piece {
    fn cost(&self) -> usize {
        self.bytes.len() + PIECE_BYTES
    }
}

#[cfg(test)]
mod tests;
