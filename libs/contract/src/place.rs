//! Places in the input streams, and which life of a stream they count in.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far the input streams are consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Positions {
    pub commands: Place,
    pub reports: Place,
}

/// Where to go on in an input stream: everything before part `part` of message `seq` is consumed.
///
/// The beginning of a stream is `0, 0`: the first message that there is, is behind it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Place {
    pub seq: u64,
    /// Counted from 0. Not 0 only where a frame ended within message `seq`.
    pub part: u32,
}

impl Place {
    /// Behind all of message `seq`.
    pub fn after(seq: u64) -> Self {
        Self { seq: seq + 1, part: 0 }
    }

    /// The last message of which nothing is left to consume; 0 if there is none.
    pub fn whole(self) -> u64 {
        self.seq.saturating_sub(1)
    }

    /// How many parts of message `seq` are consumed; `None` if it is consumed whole.
    pub fn parts_of(self, seq: u64) -> Option<u32> {
        match seq.cmp(&self.seq) {
            Ordering::Less => None,
            Ordering::Equal => Some(self.part),
            Ordering::Greater => Some(0),
        }
    }
}

/// Which life of a stream a position belongs to: sequences begin anew when a stream does.
///
/// The creation time as the broker tells it, and an id that we put into the stream's metadata.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Incarnation(pub String);

/// A place in a stream: a sequence, and the life of the stream that it counts in.
///
/// Places in two lives of a stream are neither before nor behind each other, however large the numbers:
/// `>=` is false both ways, and whoever waits for one does not take the other for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub incarnation: Incarnation,
    pub seq: u64,
}

impl Position {
    /// Whether this is `other` or behind it in the same life of the stream.
    pub fn reaches(&self, other: &Self) -> bool {
        self >= other
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.incarnation == other.incarnation).then(|| self.seq.cmp(&other.seq))
    }
}

impl From<(Incarnation, u64)> for Position {
    fn from((incarnation, seq): (Incarnation, u64)) -> Self {
        Self { incarnation, seq }
    }
}
