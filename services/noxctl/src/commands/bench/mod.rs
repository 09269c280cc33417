//! `noxctl bench`: jobs that do nothing, through everything.
//!
//! Each service is a process of its own, so that what each costs can be read from the kernel.

mod cpu;
mod load;
mod machine;
mod report;
mod stack;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use nox_readmodel::Reader;
use nox_service::{Clock, Runtime, telemetry};

use crate::{
    exit::Exit,
    system::Sync,
    terminal::{note, say},
};
use load::Load;
use report::{Latencies, Report};
use stack::Stack;

/// What is run.
const MODULE: &str = "noop";

/// Jobs that open connections and fill caches before anything is measured.
const WARM_UP: usize = 1_000;

/// How long a load may take to come through after the last submit.
const ALL_ENDED_WITHIN: Duration = Duration::from_secs(300);
/// Between two looks at Postgres; each is a read of some ten rows.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How often a job is submitted where the wait for its start is measured, and for how long.
const PACED_PER_SECOND: usize = 50;
const PACED_SECONDS: usize = 20;

/// Services and servers have limits of their own; this one is longer than all of them together.
const STOP_WITHIN: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub struct Args {
    /// Jobs in the two loads that are as fast as they can be.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    jobs: u32,

    /// Only these loads, or only with this durability; repeatedly.
    #[arg(long, value_enum)]
    only: Vec<Only>,

    /// Attempts at a time.
    #[arg(long, default_value_t = 256)]
    slots: u32,

    /// Print a line of JSON for each measurement instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// POST /jobs/bulk, a thousand a request.
    Bulk,
    /// POST /jobs, 64 at a time.
    Single,
    /// POST /jobs, 50 a second.
    Paced,
    Strict,
    Relaxed,
}

impl Args {
    fn wants(&self, one: Only, among: [Option<Only>; 3]) -> bool {
        let named = |only: &Only| among.contains(&Some(*only));
        !self.only.iter().any(named) || self.only.contains(&one)
    }

    fn loads(&self) -> Vec<Load> {
        let jobs = self.jobs as usize;
        let paced = Load::Paced { per_second: PACED_PER_SECOND, seconds: PACED_SECONDS };
        [
            (Only::Bulk, Load::Bulk { jobs }),
            (Only::Single, Load::Single { jobs }),
            (Only::Paced, paced),
        ]
        .into_iter()
        .filter(|(only, _)| {
            self.wants(*only, [Some(Only::Bulk), Some(Only::Single), Some(Only::Paced)])
        })
        .map(|(_, load)| load)
        .collect()
    }

    fn durabilities(&self) -> Vec<Sync> {
        [(Only::Relaxed, Sync::Relaxed), (Only::Strict, Sync::Strict)]
            .into_iter()
            .filter(|(only, _)| self.wants(*only, [Some(Only::Strict), Some(Only::Relaxed), None]))
            .map(|(_, sync)| sync)
            .collect()
    }
}

pub async fn run(args: Args) -> Result<Exit> {
    telemetry::init_with("error");
    let runtime = Runtime::new();
    let mut done = false;
    let measurements = async {
        let outcome = tokio::select! {
            outcome = measure_all(&args) => outcome,
            // Dropping what is started kills it.
            () = runtime.stop.cancelled() => return Ok(()),
        };
        done = outcome.is_ok();
        runtime.stop.cancel();
        outcome
    };
    nox_service::supervise(&runtime, STOP_WITHIN, measurements).await?;
    ensure!(done, "interrupted");
    Ok(Exit::Done)
}

async fn measure_all(args: &Args) -> Result<()> {
    let machine = machine::describe()?;
    if !args.json {
        say!("{machine}")?;
    }
    if cfg!(debug_assertions) {
        note!("this is a debug build: its numbers say nothing; use `make bench`");
    }
    for sync in args.durabilities() {
        note!("starting everything ({})", sync.as_str());
        let mut stack = Stack::start(sync, args.slots).await?;
        let outcome = measure_stack(args, &mut stack, sync, &machine).await;
        if outcome.is_err() {
            stack.quote_logs();
        }
        stack.stop().await;
        outcome?;
    }
    Ok(())
}

async fn measure_stack(
    args: &Args,
    stack: &mut Stack,
    sync: Sync,
    machine: &machine::Machine,
) -> Result<()> {
    stack.ready(MODULE).await?;
    measure(stack, Load::Bulk { jobs: WARM_UP }).await?;
    let mut reports = Vec::new();
    for load in args.loads() {
        note!("{load}, {}", sync.as_str());
        let report = measure(stack, load).await?;
        if args.json {
            say!("{}", report.json(sync, machine))?;
        }
        reports.push(report);
    }
    if !args.json {
        report::print(&reports, sync)?;
    }
    Ok(())
}

/// Puts one load through the system, from the first submit to the last row.
async fn measure(stack: &Stack, load: Load) -> Result<Report> {
    let clock = Clock::system();
    let reader = Reader::new(&stack.database_url, 1)?;
    let wanted = ended(&reader).await? + load.jobs() as u64;

    let processes = stack.processes();
    let cpu_before = cpu::read(&processes)?;
    let begun = clock.monotonic();
    let answers = load.run(&stack.client, &clock).await?;
    let submitted = clock.monotonic();
    while ended(&reader).await? < wanted {
        let waited = clock.monotonic().saturating_sub(submitted);
        ensure!(
            waited < ALL_ENDED_WITHIN,
            "not all jobs had ended {ALL_ENDED_WITHIN:?} after the last submit"
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let took = clock.monotonic().saturating_sub(begun);
    let cpu_after = cpu::read(&processes)?;

    let starts = match load {
        Load::Paced { .. } => Some(Latencies::of(waits_for_start(&reader, load.jobs()).await?)),
        Load::Bulk { .. } | Load::Single { .. } => None,
    };
    Ok(Report {
        load,
        took,
        cpu: cpu::spent(&cpu_before, &cpu_after, load.jobs()),
        answers: Latencies::of(answers),
        starts,
    })
}

/// How many jobs have ended, as the rows say.
async fn ended(reader: &Reader) -> Result<u64> {
    let metrics = reader.metrics().await?.value;
    let failed: u64 = metrics.failures.iter().map(|(_, count)| count).sum();
    ensure!(failed == 0, "{failed} jobs failed");
    Ok(metrics.durations.iter().map(|durations| durations.count).sum())
}

/// From `created_at` to `started_at` of the newest `jobs` rows: both are the scheduler's times, of
/// the submit's decision, and of the start by the worker's own count backwards from its report.
async fn waits_for_start(reader: &Reader, jobs: usize) -> Result<Vec<Duration>> {
    let mut filter = nox_readmodel::Filter::of(nox_contract::TenantId::new("default")?, 1_000);
    let mut waits = Vec::with_capacity(jobs);
    loop {
        let page = reader.jobs(&filter).await?.value;
        for row in page.rows.iter().take(jobs - waits.len()) {
            if let Some(started_at) = row.started_at {
                waits.push(started_at.since(row.created_at));
            }
        }
        filter.before = page.next;
        if filter.before.is_none() || waits.len() >= jobs {
            return Ok(waits);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Line::parse_from([&["bench"], words].concat()).args
    }

    #[test]
    fn loads_and_durabilities_are_chosen_apart_from_each_other() {
        let all = args(&[]);
        assert_eq!((all.loads().len(), all.durabilities().len()), (3, 2));
        let strict = args(&["--only", "strict"]);
        assert_eq!((strict.loads().len(), strict.durabilities()), (3, vec![Sync::Strict]));
        let bulk = args(&["--only", "bulk", "--only", "relaxed", "--jobs", "7"]);
        assert_eq!(bulk.loads(), [Load::Bulk { jobs: 7 }]);
        assert_eq!(bulk.durabilities(), [Sync::Relaxed]);
    }
}
