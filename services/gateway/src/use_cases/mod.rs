//! What can be asked of Nox: typed in, typed out. Nothing here knows how a request or an answer is written.

pub mod beat;
pub mod cancel;
pub mod concurrently;
pub mod decided;
pub mod entries;
pub mod find;
pub mod follow;
pub mod job_request;
pub mod keys;
pub mod list;
pub mod log_rows;
pub mod look_over;
pub mod look_through;
pub mod many;
pub mod modules;
pub mod outputs;
pub mod past;
pub mod quotas;
pub mod retry;
pub mod schedules;
pub mod submit;
pub mod submit_batch;
pub mod submit_draft;
pub mod tasks;
pub mod why;
pub mod workers;
