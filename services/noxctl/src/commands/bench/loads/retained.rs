//! Whether what has ended costs those who come later, and what an ended job takes on disk.

use anyhow::Result;

use super::{Load, bulk, fill, options, with_stack};
use crate::{
    commands::bench::{
        Args,
        disk::Disk,
        figures::{CPU_OF_SYSTEM, Figures},
        measure::figures,
        stack::Stack,
        statistics::{Spread, ratio},
    },
    system::Sync,
    terminal::note,
};

pub const AGAINST_EMPTY: &str = "× CPU/job of an empty system";

pub async fn run(args: &Args, sync: Sync) -> Result<Vec<Figures>> {
    let jobs = Load::Retained.jobs(args);
    let mut empty = Vec::new();
    for round in 1..=args.rounds {
        note!("retained, {}: empty, round {round} of {}", sync.as_str(), args.rounds);
        let options = options(args, sync);
        let figures = with_stack(&options, async |stack| measured(stack, jobs).await).await?;
        empty.extend(figures.get(CPU_OF_SYSTEM));
    }
    let base = Spread::of(&empty).map_or(0.0, |spread| spread.median);
    with_stack(&options(args, sync), async |stack| {
        let retained = args.retained as usize;
        note!("retained, {}: {retained} jobs first", sync.as_str());
        let before = stack.disk()?;
        fill(stack, retained).await?;
        let after = stack.disk()?;
        let mut rounds = Vec::new();
        for round in 1..=args.rounds {
            note!("retained, {}: full, round {round} of {}", sync.as_str(), args.rounds);
            let mut figures = measured(stack, jobs).await?;
            figures.add(format!("{CPU_OF_SYSTEM}, empty (median)"), base);
            let times = figures.get(CPU_OF_SYSTEM).and_then(|cpu| ratio(cpu, base));
            figures.add(AGAINST_EMPTY, times.unwrap_or_default());
            add_disk(&mut figures, before, after, retained);
            rounds.push(figures);
        }
        Ok(rounds)
    })
    .await
}

async fn measured(stack: &Stack, jobs: usize) -> Result<Figures> {
    // A system that has just begun builds its caches first.
    bulk(stack, jobs / 5).await?;
    let measured = bulk(stack, jobs).await?;
    Ok(figures(jobs, measured.took, &measured.cost, measured.answers.latencies))
}

/// Adds what each of `jobs` jobs has added to each part of what is on disk.
pub fn add_disk(figures: &mut Figures, before: Disk, after: Disk, jobs: usize) {
    let mut sum = 0.0;
    for ((name, before), (_, after)) in before.parts().into_iter().zip(after.parts()) {
        let bytes = (after as f64 - before as f64) / jobs as f64;
        // The log is a part of the broker's.
        sum += if name == "broker, log" { 0.0 } else { bytes };
        figures.add(format!("bytes on disk/ended job, {name}"), bytes);
    }
    figures.add("bytes on disk/ended job, all", sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_apart_and_counted_once() {
        let after = Disk { broker: 300, log: 100, postgres: 500, archive: 200 };
        let mut figures = Figures::default();
        add_disk(&mut figures, Disk::default(), after, 10);
        assert_eq!(figures.get("bytes on disk/ended job, all"), Some(100.0));
        assert_eq!(figures.get("bytes on disk/ended job, broker, log"), Some(10.0));
    }
}
