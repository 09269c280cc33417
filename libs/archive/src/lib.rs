//! The log that lasts: closed stretches of NOX_EVENTS as immutable objects, and one reader that joins
//! them with the stream.
//!
//! | file | what it holds |
//! |---|---|
//! | `message` | messages as blocks hold them, byte for byte |
//! | [`segment`] | the format of a segment: blocks, index, trailer |
//! | [`builder`] | makes a segment from messages that follow one another |
//! | `name` | what a segment is called |
//! | [`store`] | the folder or bucket |
//! | `listing` | which segments there are, and how they follow one another |
//! | [`archive`] | the segments of one log: put, list, find, read |
//! | [`log`] | archive and stream as one log |
//! | `states` | folds of the log that are kept beside it |
//! | [`fold`] | the state behind any place, from the nearest of them |
//! | [`follower`] | one way to follow the log, for everything that does |
//!
//! Number `n` of a message is its sequence in the stream. Segments have no gap within them, and every
//! segment carries the chain before and after it, so that whoever wrote it, it is right or refused.

pub mod archive;
pub mod builder;
mod error;
pub mod fold;
pub mod follower;
mod listing;
pub mod log;
mod message;
mod name;
pub mod segment;
mod states;
pub mod store;

pub use archive::LogArchive;
pub use builder::{ClosedSegment, SegmentBuilder};
pub use error::{ArchiveError, LogError};
pub use fold::{Bounds, FoldUpError, Folded, UpTo, fold_up_to};
pub use follower::{FollowError, Followed, Follower};
pub use listing::Segments;
pub use log::Log;
pub use name::StateInfo;
pub use segment::SegmentInfo;
pub use states::ClosedState;
pub use store::Archive;
