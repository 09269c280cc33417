//! The rows: the log of facts folded into Postgres, and everything that is read from there.
//!
//! | file | what it holds |
//! |---|---|
//! | [`batch`] | verified messages of the log, in order |
//! | `raw_frame` | the entries of a frame, byte for byte |
//! | [`rows`] | what is stored of each thing |
//! | [`project`] | how an entry changes rows; pure |
//! | `storable` | what of an entry Postgres can store; pure |
//! | `checkpoint` | the place in the log that they are a fold of |
//! | [`store`] | one transaction a batch, and what becomes of one that fails |
//! | `consequence` | what follows from an error of Postgres |
//! | `apply` | entries into rows, within that transaction |
//! | `load`, `write` | its statements, one a function |
//! | `session` | transactions that work through any pooler |
//! | [`mod@past`] | a job as it was; pure |
//! | [`query`] | answers |
//! | [`metrics`] | the metrics of jobs, as numbers |
//! | [`audit`] | whether the ledger balances; what all rows together hash to |
//! | [`outbox`] | what webhooks have to send: the notifier's tables |
//! | [`schema`] | generations, and the migrations of each |
//! | [`mod@rebuild`] | a new generation from the log |
//! | [`scratch`] | rows of then in a schema of somebody's own |
//!
//! A batch is applied once: the checkpoint moves by compare-and-set in its transaction. Whatever is in
//! memory is a copy that can be dropped.

mod apply;
pub mod audit;
pub mod batch;
mod checkpoint;
mod consequence;
mod load;
pub mod metrics;
pub mod outbox;
pub mod past;
pub mod project;
pub mod query;
mod raw_frame;
pub mod rebuild;
pub mod rows;
pub mod schema;
pub mod scratch;
mod session;
#[doc(hidden)]
pub mod sql;
mod storable;
pub mod store;
mod write;

pub use audit::ContentHash;
pub use batch::{Batch, EntryPlace, LogMessage, ReadMessage};
pub use checkpoint::Checkpoint;
pub use metrics::MetricsSnapshot;
pub use nox_core::versions::Versions;
pub use outbox::{Outbox, OutboxError};
pub use past::{AsOf, Past, PastError, Standing, past};
pub use project::IllegalEntry;
pub use query::{
    At, Cursor, Filter, JobRow, ModuleRow, Page, Progress, QueryError, Reader, TaskFilter,
    TopicRow, WorkerRow,
};
pub use rebuild::{RebuildError, Rebuilt, rebuild, rebuild_to_end, switch};
pub use rows::Parked;
pub use store::{Committed, Remedy, Store, StoreError};
