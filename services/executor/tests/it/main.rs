//! The executor against real programs, and against a real broker.

mod engines;
mod kept_files;
mod lifecycle;
mod logs;
mod manifests;
mod outputs;
mod printed;
mod programs;
mod start_work;
mod support;
mod uploads;
