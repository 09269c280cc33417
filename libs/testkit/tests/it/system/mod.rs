//! Every service as a process of its own, against a real broker and a real database.

mod bad_input;
mod barrier;
mod digits;
mod disk_full;
mod doctored;
mod durability;
mod frozen_leader;
mod frozen_worker;
mod guards;
mod innocents;
mod kills;
mod load;
mod log_repair;
mod namesakes;
mod raw_commands;
mod rebuild;
mod replicas;
mod retention;
mod seed_steps;
mod snapshots;
mod tasks;
mod unstorable;

use std::process::Command;

use nox_contract::{FrameNumber, JobId};
use nox_testkit::system::recorder::Heard;
use serde_json::{Value, json};

/// Runs `noxctl`: its status, and all that it said.
fn noxctl(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("noxctl");
    let output = Command::new(program).args(args).envs(env.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A job that tells that it ran.
fn mark(mark: &str) -> Value {
    json!({"module": "mark", "inputs": {"mark": mark}})
}

/// A job of which every attempt is done at once.
fn noop() -> Value {
    json!({"module": "noop", "inputs": {}})
}

#[track_caller]
fn admitted(heard: Heard) -> (JobId, FrameNumber) {
    match heard {
        Heard::Admitted { job, n: Some(n) } => (job, n),
        other => panic!("not admitted and decided: {other:?}"),
    }
}
