//! Half of what the system can do, for long, with a log that is full early on: whether anything grows that should not.

use anyhow::Result;

use super::{Load, bulk, options, retained::add_disk, with_stack};
use crate::{
    commands::bench::{
        Args,
        figures::Figures,
        measure::{Work, figures, measure},
        processes,
        stack::{NOOP, StackOptions},
        statistics::ratio,
        submit::How,
    },
    system::Sync,
    terminal::note,
};

const MIB: f64 = 1_048_576.0;

pub async fn run(args: &Args, sync: Sync) -> Result<Figures> {
    let options = StackOptions { log_bytes: Some(args.log_bytes.clone()), ..options(args, sync) };
    with_stack(&options, async |stack| {
        let pilot = Load::Soak.jobs(args);
        let measured = bulk(stack, pilot).await?;
        let speed = pilot as f64 / measured.took.as_secs_f64();
        let per_second = (speed / 2.0).max(1.0) as usize;
        let jobs = (per_second as f64 * args.minutes * 60.0).max(1.0) as usize;
        note!("soak, {}: {per_second} jobs/s for {} minutes", sync.as_str(), args.minutes);

        let processes = stack.processes();
        let (memory_before, disk_before) = (processes::memory(&processes)?, stack.disk()?);
        let how = How::Steady { per_second };
        let measured = measure(stack, Work { how, module: NOOP, jobs }, args.profile).await?;
        let (memory, disk) = (processes::memory(&processes)?, stack.disk()?);

        let latencies = measured.answers.latencies;
        let mut figures = figures(jobs, measured.took, &measured.cost, latencies);
        figures.add("jobs", jobs as f64);
        figures.add("jobs/s that were measured before", speed);
        figures.add("jobs/s that were submitted", per_second as f64);
        for ((name, before), (_, after)) in memory_before.into_iter().zip(memory) {
            let (before, after) = (before as f64 / MIB, after as f64 / MIB);
            figures.add(format!("MiB of memory before, {name}"), before);
            figures.add(format!("MiB of memory after, {name}"), after);
            figures.add(format!("× memory, {name}"), ratio(after, before).unwrap_or_default());
        }
        figures.add("MiB of the log on disk before", disk_before.log as f64 / MIB);
        figures.add("MiB of the log on disk after", disk.log as f64 / MIB);
        add_disk(&mut figures, disk_before, disk, jobs);
        Ok(figures)
    })
    .await
}
