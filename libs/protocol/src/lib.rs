//! The rules by which the log is written and read, as state machines without I/O.
//!
//! Each machine is told what happened (`on_*`) and says what to do next (effects); `nox-streams` and
//! the services only carry that out, and the simulation in `nox-testkit` drives the very same
//! machines on a broker that misbehaves.
//!
//! | file | the machine |
//! |---|---|
//! | [`reader`] | reads the log: order, chain |
//! | [`future`] | a version that is still to come, for tests |
//! | [`head_reader`] | the same without entries |
//! | [`sequencer`] | inputs in, frames and answers out |
//! | [`appender`] | gets frames into the log, or finds out that it may not |
//! | [`takeover`] | folds the log for a new leader |
//! | [`leader`] | who decides: all of the above together |
//! | [`term`] | the leader's loop, over whatever carries out what it says |
//! | [`recent`] | the frames that a leader wrote last, for the archive |
//! | [`agreement`] | whether archive and stream are of one log |
//! | [`retention`] | how much of the log its stream may lose |
//! | [`mod@fold`] | folds the log up to a place |
//! | [`replay`] | decides a recorded log again, and compares |
//! | [`ledger_proof`] | proves the ledger of a recorded log |
//! | [`snapshot`] | a fold that is kept, and the words by which it was made |
//! | [`liveness`] | which workers are alive, and what they hold |
//! | [`session`] | a worker's side: work received, attempts held, reports owed |

pub mod agreement;
pub mod appender;
pub mod faults;
#[cfg(test)]
mod fixtures;
pub mod fold;
pub mod future;
pub mod head_reader;
pub mod leader;
pub mod ledger_proof;
pub mod liveness;
pub mod reader;
pub mod recent;
pub mod replay;
pub mod retention;
pub mod sequencer;
pub mod session;
pub mod snapshot;
pub mod takeover;
pub mod term;

pub use agreement::Agreement;
pub use faults::Faults;
pub use fold::{Fold, FoldError};
pub use head_reader::HeadReader;
pub use leader::{Leader, LeaderConfig, Now};
pub use ledger_proof::LedgerProof;
pub use reader::{ReadError, Reader, Record};
pub use recent::RecentFrames;
pub use replay::Replay;
pub use retention::Retention;
pub use takeover::Takeover;
pub use term::Term;
