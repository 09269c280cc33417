//! Every service as a process of its own, against a real broker and a real database.

mod audit;
mod bad_input;
mod barrier;
mod curl_pages;
mod dependents;
mod digits;
mod disk_full;
mod doctored;
mod durability;
mod engines;
mod events;
mod feed;
mod frozen_leader;
mod frozen_worker;
mod fuzz;
mod guards;
mod innocents;
mod killed_executor;
mod kills;
mod load;
mod log_repair;
mod namesakes;
mod offers;
mod operators;
mod past;
mod policy;
mod progress;
mod raw_commands;
mod rebuild;
mod registered_modules;
mod releases;
mod replays;
mod replicas;
mod retention;
mod schedules;
mod seed_steps;
mod slept_machine;
mod snapshots;
mod streamed;
mod tasks;
mod unstorable;
mod versions;
mod webhooks;
mod why;
mod zombies;

use std::process::Command;

use anyhow::{Context, Result};
use nox_contract::{FrameNumber, JobId};
use nox_testkit::system::{client::Client, recorder::Heard};
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

/// The same, which takes a while.
fn slow_mark(name: &str, seconds: f64) -> Value {
    let mut body = mark(name);
    body["inputs"]["sleep"] = json!(seconds);
    body
}

/// What a job's history has of one kind of fact.
async fn facts(client: &Client, job: JobId, kind: &str) -> Result<Vec<Value>> {
    let answer = client.get(0, &format!("/jobs/{job}/events")).await.map_err(anyhow::Error::msg)?;
    let events = answer.body["events"].as_array().context("no history")?;
    let facts = events.iter().flat_map(|event| event["facts"].as_array().into_iter().flatten());
    Ok(facts.filter_map(|fact| fact.get(kind).cloned()).collect())
}

/// A number that the environment may set, for runs that are longer than those of `make test`.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[track_caller]
fn admitted(heard: Heard) -> (JobId, FrameNumber) {
    match heard {
        Heard::Admitted { job, n: Some(n) } => (job, n),
        other => panic!("not admitted and decided: {other:?}"),
    }
}
