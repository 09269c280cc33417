//! The executor against real programs, and against a real broker.

mod command_module;
#[path = "../../../../libs/molecule/tests/it/corpus.rs"]
mod corpus;
mod engines;
mod escapes;
mod kept_files;
mod lifecycle;
mod limits;
mod logs;
mod manifests;
mod molecules;
mod named_commands;
mod outputs;
mod printed;
mod programs;
mod quantum;
mod releases;
mod rules;
mod sandbox;
mod start_work;
mod stops;
mod support;
mod uploads;
mod xtb;
