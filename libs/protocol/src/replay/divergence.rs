//! Where record and decision part.

use std::fmt;

use nox_contract::{Cause, FrameNumber};
use nox_core::ApplyError;

use super::rules;

/// Why a log is not what these rules make of its inputs.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// Something else follows.
    #[error("{0}")]
    Divergence(Box<Divergence>),
    #[error(
        "frame {n} was decided by version {rules} of the rules; this noxctl knows {}",
        rules::known()
    )]
    UnknownRules { n: FrameNumber, rules: u32 },
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What the frame embeds is no input that this version can read, or is not there.
    #[error("frame {n}: input {place} {reason}")]
    Unreadable { n: FrameNumber, place: u64, reason: String },
    /// An [`super::Observer`] said so.
    #[error("frame {n}, entry {entry}: {what}")]
    Observed { n: FrameNumber, entry: usize, what: String },
}

/// The first place at which something else follows than what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    pub n: FrameNumber,
    /// The entry in the frame, and the fact in the entry, both counted from 0; none of a frame that says
    /// less than what follows, or whose positions are others.
    pub entry: Option<usize>,
    pub fact: Option<usize>,
    /// The part of an input that it is about.
    pub by: Option<Cause>,
    /// What follows, and what is recorded.
    pub expected: String,
    pub found: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.n)?;
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        if let Some(fact) = self.fact {
            write!(f, ", fact {fact}")?;
        }
        if let Some(Cause { src, seq, part }) = self.by {
            write!(f, ", of part {part} of {src:?} {seq}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}
