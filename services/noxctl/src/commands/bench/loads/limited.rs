//! Many more jobs than the log's stream holds: nothing may stop, grow without end, or be lost.

use anyhow::{Context, Result, ensure};
use nox_contract::JobId;
use nox_service::Clock;
use serde_json::Value;

use super::{Load, PART, bulk, options, retained::add_disk, with_stack};
use crate::{
    commands::bench::{
        Args,
        disk::Disk,
        figures::{Figures, JOBS_PER_SECOND},
        processes,
        stack::{SCHEDULER, Stack, StackOptions},
        statistics::{Latencies, ratio},
    },
    system::Sync,
    terminal::note,
    views::Events,
};

/// The broker's memory at the end is compared with that after one of so many jobs.
const EARLY: usize = 10;
/// Jobs whose history is asked for.
const SAMPLE: usize = 200;
/// Every job has two entries at least: it is submitted and assigned, and it ends.
const ENTRIES: &str = "nox_scheduler_entries_total";
const EVENTS: &str = "NOX_EVENTS";
const BROKER: &str = "nats-server";
const MIB: f64 = 1_048_576.0;

pub const AGAINST_EARLY: &str = "× memory of the broker after a tenth";

pub async fn run(args: &Args, sync: Sync) -> Result<Figures> {
    let log_bytes = Some(args.log_bytes.clone());
    let options = StackOptions { log_bytes, ..options(args, sync) };
    with_stack(&options, async |stack| limited(stack, args).await).await
}

async fn limited(stack: &mut Stack, args: &Args) -> Result<Figures> {
    let jobs = Load::Limited.jobs(args);
    let limit = bytes(&args.log_bytes)?;
    let (max, _) = stack.stream(EVENTS).await?;
    ensure!(
        max == limit,
        "the log's stream may hold {max} bytes, not the {limit} that were asked for"
    );

    let clock = Clock::system();
    let begun = clock.monotonic();
    let before = stack.disk()?;
    let (mut early, mut peak) = (None, Disk::default());
    let (mut sample, mut done) = (Vec::new(), 0);
    let part = PART.min(jobs.div_ceil(EARLY));
    while done < jobs {
        // An admission that is refused ends the measurement.
        let measured = bulk(stack, part.min(jobs - done)).await?;
        done += part.min(jobs - done);
        sample.extend(measured.answers.sample);
        let disk = stack.disk()?;
        peak = if disk.log > peak.log { disk } else { peak };
        if early.is_none() && done >= jobs / EARLY {
            early = Some(broker_memory(stack)?);
        }
        note!("  {done} of {jobs} jobs have ended, the log takes {:.0} MiB", disk.log as f64 / MIB);
    }
    let took = clock.monotonic().saturating_sub(begun).as_secs_f64();
    let entries = stack.counted(SCHEDULER, ENTRIES).await?;

    let mut figures = Figures::default();
    figures.add(JOBS_PER_SECOND, jobs as f64 / took);
    let (early, late) = (early.unwrap_or_default(), broker_memory(stack)?);
    figures.add("MiB of memory after a tenth, broker", early / MIB);
    figures.add("MiB of memory at the end, broker", late / MIB);
    figures.add(AGAINST_EARLY, ratio(late, early).unwrap_or_default());
    figures.add("MiB of the log's stream, limit", limit as f64 / MIB);
    figures.add("MiB of the log on disk, most", peak.log as f64 / MIB);
    add_disk(&mut figures, before, stack.disk()?, jobs);
    histories(stack, &clock, &sample, &mut figures).await?;
    rebuild(stack, entries, &mut figures).await?;
    Ok(figures)
}

fn broker_memory(stack: &Stack) -> Result<f64> {
    let broker = stack.processes().into_iter().filter(|(name, _)| *name == BROKER);
    let memory = processes::memory(&broker.collect::<Vec<_>>())?;
    memory.first().map(|(_, bytes)| *bytes as f64).context("no broker of our own")
}

/// Reads what happened to jobs of all ages.
async fn histories(
    stack: &Stack,
    clock: &Clock,
    all: &[JobId],
    figures: &mut Figures,
) -> Result<()> {
    let mut latencies = Vec::new();
    for job in all.iter().step_by(all.len().div_ceil(SAMPLE).max(1)) {
        let begun = clock.monotonic();
        let page: Events = stack.client.read(&format!("/jobs/{job}/events")).await?;
        latencies.push(clock.monotonic().saturating_sub(begun));
        let says = |fact: &str| page.events.iter().any(|entry| entry.get().contains(fact));
        ensure!(
            says("\"submitted\"") && says("\"succeeded\""),
            "the history of {job} is not whole: {} entries",
            page.events.len()
        );
    }
    figures.add("histories read", latencies.len() as f64);
    figures.add_latencies("history", Latencies::of(latencies));
    Ok(())
}

/// Makes all rows anew, from archive and stream.
async fn rebuild(stack: &Stack, entries: f64, figures: &mut Figures) -> Result<()> {
    note!("  rebuilding the rows");
    let output = stack.noxctl(&["projection", "rebuild", "-o", "json"])?.output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "projection rebuild: {}", text(&output.stderr));
    let rebuilt: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("projection rebuild said {}", text(&output.stdout)))?;
    ensure!(rebuilt["equal"] == true, "the rows that were made anew differ: {rebuilt}");
    let seconds = rebuilt["seconds"].as_f64().context("no seconds")?;
    figures.add("rebuild: s", seconds);
    figures.add("rebuild: entries/s", entries / seconds);
    Ok(())
}

/// Bytes of a size such as `1GiB`.
fn bytes(size: &str) -> Result<i64> {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let known = units.iter().find_map(|(unit, shift)| Some((size.strip_suffix(unit)?, shift)));
    let (number, shift) = known.with_context(|| format!("{size:?} is no size such as 1GiB"))?;
    let number: u32 = number.parse().with_context(|| format!("{size:?} is no size"))?;
    Ok(i64::from(number) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("1GiB").unwrap(), 1 << 30);
        assert_eq!(bytes("64MiB").unwrap(), 64 << 20);
        assert!(bytes("1e3GiB").is_err() && bytes("7").is_err());
    }
}
