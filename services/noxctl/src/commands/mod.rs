//! One file a command.

mod archive;
pub mod audit;
pub mod bench;
pub mod capsule;
pub mod completions;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod events;
pub mod job;
pub mod key;
pub mod ledger;
pub mod log;
pub mod me;
pub mod module;
pub mod projection;
pub mod prune;
pub mod queue;
pub mod quota;
pub mod replay;
pub mod report;
pub mod schedule;
mod source;
pub mod token;
pub mod upload;
pub mod webhook;
pub mod worker;
