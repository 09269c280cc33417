//! Every service as a process of its own, against a real broker and a real database.

mod bad_input;
mod barrier;
mod disk_full;
mod doctored;
mod durability;
mod frozen_leader;
mod frozen_worker;
mod guards;
mod innocents;
mod kills;
mod log_repair;
mod namesakes;
mod rebuild;
mod seed_steps;
mod snapshots;
mod unstorable;

use nox_contract::{FrameNumber, JobId};
use nox_testkit::system::recorder::Heard;
use serde_json::{Value, json};

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
