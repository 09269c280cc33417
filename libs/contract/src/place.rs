//! Places in the input streams, and which life of a stream they count in; places of facts in the log.

use std::{cmp::Ordering, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::FrameNumber;

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

/// Where a fact stands in the log: `<frame>-<entry>-<fact>`, the last two counted from 0.
///
/// The id of what is published of it: no two facts have the same, and later ones have larger ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct FactPlace {
    pub n: FrameNumber,
    pub entry: u32,
    pub fact: u32,
}

/// Why a text is no place of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no place in the log, such as 41822-0-2")]
pub struct NoPlace;

impl fmt::Display for FactPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.n, self.entry, self.fact)
    }
}

impl FromStr for FactPlace {
    type Err = NoPlace;

    /// Reads what [`Display`](fmt::Display) writes, and nothing beside it: one place has one text.
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NoPlace);
        let (n, entry, fact) = (part()?, part()?, part()?);
        let place = Self {
            n: FrameNumber(n.parse().map_err(|_| NoPlace)?),
            entry: entry.parse().map_err(|_| NoPlace)?,
            fact: fact.parse().map_err(|_| NoPlace)?,
        };
        (place.to_string() == text).then_some(place).ok_or(NoPlace)
    }
}

impl Serialize for FactPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FactPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
