//! Turns: in which order waiting jobs are placed.

use std::{
    cmp::Ordering::{Equal, Greater, Less},
    ops::Bound::{self, Excluded, Unbounded},
};

use nox_contract::{FrameNumber, Timestamp};
use serde::{Deserialize, Serialize};

use crate::share::Share;

/// The most that one step of priority is worth, in microseconds: more than any log lasts, and no
/// priority runs over with it.
const STEP_MAX: i64 = i64::MAX / 512;

/// A job's place among its user's: by priority with ageing, then first come, first served.
///
/// One step of priority is worth a fixed span of waiting, so the order between two jobs never
/// changes while they wait, and a low priority is overtaken only by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// Microseconds: when it was admitted, less what its priority is worth.
    order: i64,
    /// The frame that made it, and the entry there in the lowest `ENTRY_BITS`: this stands in memory for
    /// every queued job.
    submitted: u64,
}

/// As many entries no frame can hold; 2^44 frames are more than any log lasts.
const ENTRY_BITS: u32 = 20;

impl Rank {
    pub fn new(
        queued_at: Timestamp,
        priority: u8,
        ageing_ms: u64,
        submitted: (FrameNumber, u32),
    ) -> Self {
        let (n, entry) = submitted;
        Self {
            order: order(queued_at, priority, ageing_ms),
            submitted: n.0 << ENTRY_BITS | u64::from(entry),
        }
    }

    pub(crate) const FIRST: Self = Self { order: i64::MIN, submitted: 0 };
    pub(crate) const LAST: Self = Self { order: i64::MAX, submitted: u64::MAX };
}

/// Whose turn it is: the first is the first to be placed.
///
/// Jobs of one user and priority stand in a lane, in the order of their ranks. Its first has waited since it
/// was admitted, or since one of the lane was last handed out, whichever is later; less what its priority is
/// worth, and what its user holds and has used on top of it. So a user with many jobs takes turns with one
/// who has few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// Microseconds.
    order: i64,
    rank: Rank,
}

impl Turn {
    /// The same turn, of another job.
    pub(crate) fn with_rank_of(self, other: Self) -> Self {
        Self { rank: other.rank, ..self }
    }
}

/// What turns of a lane rest on beside ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Nobody in the lane has waited for longer than from here on; as [`Rank`] counts.
    since: i64,
    /// What its user holds and has used, in microseconds.
    load: i64,
}

impl Standing {
    /// Of a user's jobs of `priority`.
    pub fn new(share: Option<&Share>, priority: u8, ageing_ms: u64) -> Self {
        let served_at = share.and_then(|share| share.served_at(priority));
        let since = served_at.map_or(i64::MIN, |at| order(at, priority, ageing_ms));
        Self { since, load: share.map_or(0, Share::load) }
    }

    pub fn turn(&self, rank: Rank) -> Turn {
        Turn { order: rank.order.max(self.since).saturating_add(self.load), rank }
    }

    /// From where on ranks have turns behind `turn`.
    pub(crate) fn behind(&self, turn: Turn) -> Bound<Rank> {
        if self.since.saturating_add(self.load) > turn.order {
            return Unbounded;
        }
        let order = turn.order.saturating_sub(self.load);
        match turn.rank.order.cmp(&order) {
            Greater => Excluded(Rank { order, submitted: u64::MAX }),
            // Of those that are as late by their order, ranks decide.
            Equal => Excluded(turn.rank),
            Less if self.since == order => Excluded(turn.rank),
            Less => Excluded(Rank { order, submitted: 0 }),
        }
    }
}

fn order(at: Timestamp, priority: u8, ageing_ms: u64) -> i64 {
    let step = i64::try_from(ageing_ms).unwrap_or(STEP_MAX).saturating_mul(1_000);
    at.as_micros().saturating_sub(i64::from(priority) * step.min(STEP_MAX))
}
