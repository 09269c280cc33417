//! Figures of jobs and of the system, which are kept for some seconds.

use nox_archive::SegmentInfo;
use nox_contract::{FrameNumber, Timestamp};
use nox_readmodel::query::{Span, Stats};
use nox_streams::Usage;

/// What became of jobs within a span.
pub struct JobStats {
    pub span: Span,
    pub stats: Stats,
}

/// What was asked for, each `None` where it could not be told; `troubles` say why.
pub struct SystemState {
    pub at: Timestamp,
    /// The newest frame that the rows have.
    pub view_n: Option<FrameNumber>,
    pub streams: Vec<(&'static str, Option<Usage>)>,
    pub readers: Option<Vec<ReaderPlace>>,
    /// In order; `None` as well where this gateway was given no archive.
    pub segments: Option<Vec<SegmentInfo>>,
    pub troubles: Vec<Trouble>,
}

/// How far a reader of the log had come when it said so last.
pub struct ReaderPlace {
    pub name: String,
    /// `None`: in another life of the log.
    pub n: Option<FrameNumber>,
}

/// Something that could not be told.
pub struct Trouble {
    pub part: &'static str,
    pub detail: String,
}
