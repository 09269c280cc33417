//! The executor against real programs, and against a real broker.

mod engines;
mod life;
mod logs;
mod manifests;
mod outputs;
mod programs;
mod support;
