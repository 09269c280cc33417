//! Tasks: jobs that workers claim over HTTP, and those workers.

pub mod claim;
pub mod find;
pub mod register;
pub mod submit;
pub mod sweeper;
pub mod topic;
pub mod update;
pub mod worker;
