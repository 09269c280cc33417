//! Why the log cannot be kept or read.

use nox_contract::FrameNumber;
use nox_protocol::ReadError;
use nox_streams::{ConsumeError, Error};

/// Why the archive does not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArchiveError {
    /// The store did not answer, or not now: ask again.
    #[error("the archive {archive} is unavailable: {reason}")]
    Unavailable { archive: String, reason: String },
    /// A segment does not hold what was written into it: restore it from a backup.
    #[error("segment {segment} of the archive is damaged: {reason}")]
    Damaged { segment: String, reason: String },
    /// Another object has the name of a segment that was to be kept.
    #[error("the archive has another object named {segment}: move it away and look at it")]
    Conflict { segment: String },
    /// What was to be kept is not the log that was kept so far.
    #[error("not the log that is archived: {0}")]
    NotTheLog(#[from] ReadError),
    /// It is not named as an archive can be.
    #[error("cannot use {location} as an archive: {reason}")]
    Location { location: String, reason: String },
}

/// Why the log is read no further.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The stream was cut there, and the archive does not have it.
    #[error(
        "frame {n} of the log is neither in the stream nor in {}: name the archive that has it \
         (NOX_ARCHIVE), or restore its segments from a backup",
        .archive.as_deref().map_or("an archive, for none is named".to_owned(), |name| format!("the archive {name}"))
    )]
    Missing { n: FrameNumber, archive: Option<String> },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It is not the stream that was read before, or not as it should be.
    #[error(transparent)]
    Stream(#[from] ConsumeError),
    #[error(transparent)]
    Broker(#[from] Error),
}
