//! How answers are read: from rows that have taken in what the asker knows of, from the log, from the store.

pub mod barrier;
pub mod bulk;
pub mod ends;
pub mod figures;
pub mod hub;
pub mod kept;
pub mod log_end;
pub mod log_news;
pub mod log_places;
pub mod modules;
pub mod named_jobs;
mod per_user;
pub mod progress;
pub mod required;
pub mod shared;
pub mod standstill;
pub mod states;
pub mod tallies;
pub mod together;
