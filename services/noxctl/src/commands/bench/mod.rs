//! `noxctl bench`: jobs that do nothing, through everything.
//!
//! Each service is a process of its own, so that what each costs can be read from the kernel. Each round
//! of a short load begins with a system of its own, and nothing else runs meanwhile; rounds of different
//! systems alternate. docs/performance.md says what the numbers mean.

mod disk;
mod figures;
mod judge;
mod loads;
mod machine;
mod measure;
mod peer;
mod processes;
mod profile;
mod report;
mod stack;
mod starts;
mod statistics;
mod submit;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use nox_service::{Runtime, telemetry};

use crate::{
    exit::Exit,
    system::Sync,
    terminal::{note, say},
};
use figures::Series;
use loads::Load;
use peer::{PG_BOSS, PgBoss};
use report::Form;

/// Services and servers have limits of their own; this one is longer than all of them together.
const STOP_WITHIN: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub struct Args {
    /// What is put on the system, one or several; bulk, single and latency, if left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    load: Vec<Load>,

    /// What an acknowledgement has survived; if left out, relaxed, and strict as well for short loads.
    #[arg(long, value_enum, value_delimiter = ',')]
    durability: Vec<Sync>,

    /// Measure this as well, in turns with Nox: bulk, single and latency.
    #[arg(long, value_enum)]
    against: Option<Against>,

    /// Jobs in a load; if left out 100,000, one by one 20,000, as processes 10,000, limited 2,000,000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    jobs: Option<u32>,

    /// Rounds, whose median counts. A soak and a limited log have one.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,

    /// Jobs that have ended before, for `retained` and `restart`.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    retained: u32,

    /// Seconds of a round of `latency`.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,

    /// Minutes of a `soak`.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,

    /// The size of the log's stream in `limited` and `soak`, as `64MiB` or `1GiB`.
    #[arg(long, default_value = "1GiB")]
    log_bytes: String,

    /// Attempts at a time; at most 16 where each is a process.
    #[arg(long, default_value_t = 256)]
    slots: u32,

    /// Print which functions of each process take most time, where there is `perf`.
    #[arg(long, conflicts_with = "json")]
    profile: bool,

    /// Print a line of JSON for each measurement instead of tables.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Print tables in Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Against {
    /// pg-boss, on Node and Postgres.
    PgBoss,
}

impl Args {
    fn loads(&self) -> &[Load] {
        if self.load.is_empty() { &Load::USUAL } else { &self.load }
    }

    fn durabilities(&self, load: Load) -> &[Sync] {
        match (self.durability.is_empty(), load.is_short()) {
            (false, _) => &self.durability,
            (true, true) => &[Sync::Relaxed, Sync::Strict],
            (true, false) => &[Sync::Relaxed],
        }
    }

    fn form(&self) -> Form {
        match (self.json, self.markdown) {
            (true, _) => Form::Json,
            (_, true) => Form::Markdown,
            _ => Form::Table,
        }
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
    let form = args.form();
    report::print_machine(&machine, form)?;
    if cfg!(debug_assertions) {
        note!("this is a debug build: its numbers say nothing; use `make bench`");
    }
    let peer = match args.against {
        Some(Against::PgBoss) => PgBoss::install().await?,
        None => None,
    };
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for load in args.loads() {
        match measure_load(*load, args, peer.as_ref()).await {
            Ok(series) => {
                report::print_load(&series, load.size(args), &machine, form)?;
                all.extend(series);
            }
            // The others take hours, and say something without this one.
            Err(error) => {
                note!("{}: {error:#}", load.name());
                failed.push(load.name());
            }
        }
    }
    report::print_verdicts(&judge::verdicts(&all), form)?;
    if form != Form::Json {
        say!("median (least–most); CPU of descendants included; 1 ms = 1000 µs, 1 MiB = 1024 KiB")?;
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

/// All rounds of one load, on each system.
async fn measure_load(load: Load, args: &Args, peer: Option<&PgBoss>) -> Result<Vec<Series>> {
    let new = |subject| Series { load: load.name(), subject, rounds: Vec::new() };
    let subjects = load.subjects(args);
    let mut all: Vec<Series> = subjects.iter().map(|(subject, _)| new(subject)).collect();
    if !load.is_short() {
        for ((subject, sync), series) in subjects.iter().zip(&mut all) {
            note!("{}, {subject}", load.name());
            series.rounds = load.run(args, subject, *sync).await?;
        }
        return Ok(all);
    }
    let mut of_peer = new(PG_BOSS);
    for round in 1..=args.rounds {
        for ((subject, sync), series) in subjects.iter().zip(&mut all) {
            note!("{}, {subject}, round {round} of {}", load.name(), args.rounds);
            series.rounds.extend(load.run(args, subject, *sync).await?);
        }
        if let Some(peer) = peer.filter(|_| load != Load::Feed) {
            note!("{}, {PG_BOSS}, round {round} of {}", load.name(), args.rounds);
            of_peer.rounds.extend(peer.run(load, args).await?);
        }
    }
    all.extend((!of_peer.rounds.is_empty()).then_some(of_peer));
    Ok(all)
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
        let usual = args(&[]);
        assert_eq!(usual.loads(), Load::USUAL);
        assert_eq!(usual.durabilities(Load::Bulk), [Sync::Relaxed, Sync::Strict]);
        assert_eq!(usual.durabilities(Load::Limited), [Sync::Relaxed]);
        let chosen = args(&["--load", "queued,soak", "--durability", "strict"]);
        assert_eq!(chosen.loads(), [Load::Queued, Load::Soak]);
        assert_eq!(chosen.durabilities(Load::Queued), [Sync::Strict]);
    }

    #[test]
    fn each_load_has_a_number_of_jobs_of_its_own() {
        let usual = args(&[]);
        let jobs = |load: Load| load.jobs(&usual);
        assert_eq!(jobs(Load::Bulk), 100_000);
        assert_eq!(jobs(Load::Limited), 2_000_000);
        assert_eq!(jobs(Load::Latency), 1_000);
        assert_eq!(Load::Bulk.jobs(&args(&["--jobs", "70"])), 70);
    }
}
