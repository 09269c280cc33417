//! The executor against real programs, and against a real broker.

mod engines;
mod kept_files;
mod lifecycle;
mod limits;
mod logs;
mod manifests;
mod outputs;
mod printed;
mod programs;
mod sandbox;
mod start_work;
mod support;
mod uploads;
