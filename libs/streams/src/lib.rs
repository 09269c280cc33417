//! All traffic with the broker (NATS JetStream), and no decisions: what it means that a write was
//! refused, or that a stream is not the one that was read before, others decide.
//!
//! | file | what it does |
//! |---|---|
//! | `connect` | connects, and refuses brokers that would ignore guards or lose writes |
//! | `api` | asks the broker, while the connection lasts |
//! | `denied` | what the broker does not let its user do |
//! | [`declare`] | makes the broker have the streams of `nats/streams.toml` |
//! | `difference` | what to do where the broker's are other than wanted |
//! | [`publish`] | writes with acknowledgements, pipelined; `mux` matches them |
//! | [`facts`] | the log of facts: epoch, guarded appends, reads from the leader |
//! | [`feed`] | the events that are published of it |
//! | [`consume`] | a stream from a position on, each message once; `pull` is one attachment |
//! | `follow` | the same for those who may make no consumer; `direct` reads by sequence |
//! | [`hear`] | what is sent and not kept: work |
//! | `listener` | whether anybody hears that |
//! | [`answers`] | the scheduler's answers to whoever waits for them |
//! | `health`, `durability` | whether the broker still writes, and syncs; `monitor` asks it |
//! | [`lease`] | who may try to lead |
//! | [`snapshots`] | the scheduler's state, kept for the next one |
//! | [`logs`], `log_gaps` | what running jobs print, and what of it is missing |
//! | [`repair`] | the log made again without messages that are none of ours |
//! | `trim` | room in the input streams and in the log |
//! | `readers` | how far readers of the log have come |

pub mod answers;
mod api;
mod broker;
mod connect;
pub mod consume;
pub mod declare;
mod denied;
mod difference;
mod direct;
mod durability;
mod error;
pub mod facts;
pub mod feed;
mod follow;
mod health;
pub mod hear;
mod layout;
pub mod lease;
mod listener;
mod log_gaps;
pub mod logs;
mod monitor;
mod mux;
mod options;
pub mod publish;
mod pull;
mod readers;
pub mod repair;
pub mod snapshots;
mod trim;
mod url;
mod version;
mod waiting;

pub use answers::AnswerInbox;
pub use broker::{Broker, Message, Usage};
pub use consume::Chunks;
pub use declare::DeclareError;
pub use denied::{Denied, NOT_PERMITTED, Verb};
pub use durability::{Durability, UnknownDurability};
pub use error::{ConsumeError, Drift, Error};
pub use facts::{EpochAt, Guard, LogRecord};
pub use feed::{FeedEnd, FeedEvent, FeedLast, FeedSource};
pub use health::DiskSpace;
pub use hear::Heard;
pub use layout::{Layout, LayoutError};
pub use lease::Lease;
pub use log_gaps::{LogGaps, LogText};
pub use logs::{LogChunk, LogPiece, LogStream};
pub use mux::Link;
pub use options::{ConnectError, ConnectOptions};
pub use publish::{Ack, Headers, PublishError};
pub use readers::Readers;
pub use repair::{DroppedMessage, LogFinding};
