//! Everything queued before anything runs: what a queued job takes of memory, and whether a long queue
//! costs more for each job than a short one.

use anyhow::Result;
use nox_readmodel::Reader;
use nox_service::Clock;

use super::{Load, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::{CPU_OF_SYSTEM, Figures},
        measure::{add_cost, all_ended, ended, figures},
        processes,
        stack::{EXECUTOR, NOOP, Stack},
        statistics::{Spread, ratio},
        submit::{How, submit},
    },
    system::Sync,
    terminal::note,
};

/// The short queue has one of so many jobs.
const SHORTER: usize = 5;

pub async fn run(args: &Args, sync: Sync) -> Result<Vec<Figures>> {
    let jobs = Load::Queued.jobs(args);
    let short = (jobs / SHORTER).max(1);
    let mut rounds = Vec::new();
    let mut short_cpu = Vec::new();
    for round in 1..=args.rounds {
        note!("queued, {}, round {round} of {}: {short}, then {jobs}", sync.as_str(), args.rounds);
        let of_short = one(args, sync, short).await?;
        short_cpu.extend(of_short.get(CPU_OF_SYSTEM));
        rounds.push(one(args, sync, jobs).await?);
    }
    let base = Spread::of(&short_cpu).map_or(0.0, |spread| spread.median);
    for figures in &mut rounds {
        figures.add(format!("{CPU_OF_SYSTEM}, {short} queued (median)"), base);
        let times = figures.get(CPU_OF_SYSTEM).and_then(|cpu| ratio(cpu, base));
        figures.add(AGAINST_SHORT, times.unwrap_or_default());
    }
    Ok(rounds)
}

pub const AGAINST_SHORT: &str = "× CPU/job of a fifth as many";

async fn one(args: &Args, sync: Sync, jobs: usize) -> Result<Figures> {
    with_stack(&options(args, sync), async |stack| queue(stack, jobs).await).await
}

async fn queue(stack: &mut Stack, jobs: usize) -> Result<Figures> {
    let clock = Clock::system();
    let reader = Reader::new(&stack.database_url, 1)?;
    let wanted = ended(&reader).await? + jobs as u64;
    stack.end(EXECUTOR).await?;

    let processes = stack.processes();
    let memory_before = processes::memory(&processes)?;
    let before = processes::spent(&processes, &clock)?;
    let begun = clock.monotonic();
    let answers = submit(How::Bulk, NOOP, jobs, &stack.client, &clock).await?;
    let queued = processes::spent(&processes, &clock)?;
    let memory = processes::memory(&processes)?;

    stack.begin(EXECUTOR)?;
    all_ended(&reader, wanted).await?;
    let took = clock.monotonic().saturating_sub(begun);
    let after = processes::spent(&stack.processes(), &clock)?;

    let mut figures = figures(jobs, took, &after.since(&before, jobs), answers.latencies);
    add_cost(&mut figures, "while it runs: ", &after.since(&queued, jobs));
    for ((name, before), (_, after)) in memory_before.into_iter().zip(memory) {
        let bytes = after as f64 - before as f64;
        figures.add(format!("bytes of memory/queued job, {name}"), bytes / jobs as f64);
    }
    Ok(figures)
}
