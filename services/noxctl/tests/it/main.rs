//! `noxctl` as its users have it: the program itself, against a system that it has started.

#![expect(clippy::disallowed_methods, reason = "waits for real processes, in real time")]

mod artifacts;
mod bench;
mod commands;
mod demo;
mod dev;
mod gateway;
mod inputs;
mod job_words;
mod keys;
mod lifecycle;
mod listed;
mod modules;
mod operations;
mod outputs;
mod own_modules;
mod permissions;
mod program;
mod quotas;
mod raw_commands;
mod schedules;
mod steps;
mod terminal;
mod workers;
