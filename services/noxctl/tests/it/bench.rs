//! The measurements measure something.

use serde_json::Value;

use crate::program::{noxctl, run};

/// A short one; returns the lines that it prints.
fn measured(words: &[&str]) -> Vec<Value> {
    let mut command = noxctl();
    command.args(["bench", "--rounds", "1", "--durability", "relaxed", "--json"]).args(words);
    let printed = run(command).with(0);
    println!("{printed}");
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn positive(line: &Value, figure: &str) {
    let value = line["figures"][figure]["median"].as_f64();
    assert!(value.is_some_and(|value| value > 0.0), "{figure}: {line}");
}

#[test]
fn a_short_measurement_runs_each_usual_load_and_accounts_for_each_process() {
    let lines = measured(&["--jobs", "200", "--seconds", "1"]);
    let loads: Vec<&str> = lines.iter().filter_map(|line| line["load"].as_str()).collect();
    assert_eq!(loads, ["bulk", "single", "latency"]);
    for line in lines.iter().filter(|line| line["load"].is_string()) {
        assert_eq!(line["subject"], "relaxed");
        positive(line, "jobs/s");
        for process in ["gateway", "scheduler", "executor", "projector", "nats-server", "postgres"]
        {
            assert!(line["figures"][format!("CPU µs/job, {process}")].is_object(), "{line}");
        }
    }
    positive(&lines[2], "call to start p50 ms");
    let verdicts: Vec<&str> = lines.iter().filter_map(|line| line["verdict"].as_str()).collect();
    assert!(verdicts.contains(&"latency, relaxed: call to start p99 ms"), "{verdicts:?}");
}

#[test]
fn processes_queues_and_what_is_retained_are_measured() {
    // A process's time is told by the hundredth of a second: of fewer jobs it may be none.
    let lines =
        measured(&["--load", "process,queued,retained", "--jobs", "400", "--retained", "300"]);
    positive(&lines[0], "CPU µs/job, executor");
    positive(&lines[1], "× CPU/job of a fifth as many");
    positive(&lines[2], "× CPU/job of an empty system");
    positive(&lines[2], "bytes on disk/ended job, broker, log");
    assert_eq!(lines[0]["jobs"], 400);
}

#[test]
fn parts_begin_anew_and_a_soak_ends() {
    let short = ["--jobs", "100", "--retained", "300", "--minutes", "0.05"];
    let lines = measured(&[&["--load", "restart,soak"], &short[..]].concat());
    positive(&lines[0], "broker: s from stop until a new job has ended");
    positive(&lines[0], "scheduler: s from start until it is ready");
    positive(&lines[0], "projector: s from start until 20 jobs are in the rows");
    positive(&lines[1], "MiB of memory after, scheduler");
    positive(&lines[1], "jobs/s that were submitted");
}
