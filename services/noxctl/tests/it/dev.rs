//! A development system of a test's own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Ended, noxctl, run};

/// A debug build beside other tests.
const READY_WITHIN: Duration = Duration::from_secs(90);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running `noxctl dev`. Dropping it kills it.
pub struct Dev {
    child: Child,
    /// The line with which it said that it is ready.
    pub ready: Value,
}

impl Dev {
    /// Starts it in `data`, on free ports, and waits until it says that it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more in its environment.
    pub fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = noxctl();
        command.envs(environment.iter().copied());
        command
            .args(["dev", "--headless", "--http-addr", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("NOX_LOG", "warn")
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, line) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = match line.recv_timeout(READY_WITHIN) {
            Ok(line) => line,
            Err(_) => {
                child.kill().unwrap();
                panic!("not ready after {READY_WITHIN:?}");
            }
        };
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}"));
        Self { child, ready }
    }

    pub fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    pub fn token(&self) -> &str {
        self.ready["token"].as_str().unwrap()
    }

    /// `noxctl` that finds this system by its data folder.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = noxctl();
        command.args(words).env("NOX_DATA", self.ready["data"].as_str().unwrap());
        command
    }

    pub fn run(&self, words: &[&str]) -> Ended {
        run(self.command(words))
    }

    /// Everything that it has started and that still runs.
    pub fn children(&self) -> Vec<u32> {
        descendants(self.child.id())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; returns its exit status, which a killed process has none of.
    pub fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < ENDED_WITHIN, "still there after {ENDED_WITHIN:?}");
            thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until none of `processes` runs any more.
pub fn until_gone(processes: &[u32]) {
    let begun = Instant::now();
    while processes.iter().any(|pid| runs(*pid)) {
        assert!(begun.elapsed() < ENDED_WITHIN, "some of {processes:?} still run");
        thread::sleep(LOOK_AGAIN);
    }
}

/// Whether there is such a process, and it is more than an entry for its parent to read.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn descendants(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = threads
        .flat_map(|thread| {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let below = children.iter().flat_map(|child| descendants(*child)).collect::<Vec<_>>();
    [children, below].concat()
}
