//! Puts jobs through a system, from the first submit to the last row.

use std::time::Duration;

use anyhow::{Result, ensure};
use nox_readmodel::Reader;
use nox_service::Clock;

use super::{
    figures::{CPU, CPU_OF_SYSTEM, Figures, JOBS_PER_SECOND, OTHERS},
    processes::{self, Cost},
    profile,
    stack::{CLIENT, Stack},
    statistics::Latencies,
    submit::{Answers, How, submit},
};

/// How long jobs may take to come through after the last submit, without any of them ending.
const NOTHING_ENDS_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at Postgres; each is a read of some ten rows.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What jobs are put through.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub how: How,
    pub module: &'static str,
    pub jobs: usize,
}

/// What it came to.
pub struct Measured {
    pub took: Duration,
    pub cost: Cost,
    pub answers: Answers,
    /// The hottest functions by process, if they were asked for.
    pub profile: Option<String>,
}

/// Submits everything, and waits until Postgres says that it has ended.
pub async fn measure(stack: &Stack, work: Work, with_profile: bool) -> Result<Measured> {
    let clock = Clock::system();
    let reader = Reader::new(&stack.database_url, 1)?;
    let wanted = ended(&reader).await? + work.jobs as u64;

    let processes = stack.processes();
    let recording = if with_profile { profile::record(&processes).await? } else { None };
    let before = processes::spent(&processes, &clock)?;
    let begun = clock.monotonic();
    let Work { how, module, jobs } = work;
    let answers = submit(how, module, jobs, &stack.client, &clock).await?;
    all_ended(&reader, wanted).await?;
    let took = clock.monotonic().saturating_sub(begun);
    let cost = processes::spent(&processes, &clock)?.since(&before, jobs);
    let profile = match recording {
        Some(recording) => Some(recording.summary().await?),
        None => None,
    };
    Ok(Measured { took, cost, answers, profile })
}

/// How many jobs have ended, as the rows say.
pub async fn ended(reader: &Reader) -> Result<u64> {
    let metrics = reader.metrics().await?.value;
    let failed: u64 = metrics.failures.iter().map(|(_, count)| count).sum();
    ensure!(failed == 0, "{failed} jobs failed");
    Ok(metrics.durations.iter().map(|durations| durations.count).sum())
}

/// Waits until `wanted` jobs have ended.
pub async fn all_ended(reader: &Reader, wanted: u64) -> Result<()> {
    let clock = Clock::system();
    let (mut known, mut since) = (0, clock.monotonic());
    loop {
        let ended = ended(reader).await?;
        if ended >= wanted {
            return Ok(());
        }
        if ended > known {
            (known, since) = (ended, clock.monotonic());
        }
        let waited = clock.monotonic().saturating_sub(since);
        ensure!(
            waited < NOTHING_ENDS_WITHIN,
            "{ended} of {wanted} jobs ended, then none for {waited:?}"
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The figures that every load has.
pub fn figures(jobs: usize, took: Duration, cost: &Cost, answers: Vec<Duration>) -> Figures {
    let mut figures = Figures::default();
    figures.add(JOBS_PER_SECOND, jobs as f64 / took.as_secs_f64());
    add_cost(&mut figures, "", cost);
    figures.add_latencies("answer", Latencies::of(answers));
    figures.add(OTHERS, cost.others_cores);
    figures
}

/// Adds what jobs have cost, all together and by process, each name behind `prefix`.
pub fn add_cost(figures: &mut Figures, prefix: &str, cost: &Cost) {
    let all: f64 = cost.us_per_job.iter().map(|(_, us)| us).sum();
    let client: f64 =
        cost.us_per_job.iter().filter(|(name, _)| *name == CLIENT).map(|(_, us)| us).sum();
    figures.add(format!("{prefix}{CPU}"), all);
    figures.add(format!("{prefix}{CPU_OF_SYSTEM}"), all - client);
    for (name, us) in &cost.us_per_job {
        figures.add(format!("{prefix}CPU µs/job, {name}"), *us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_counted_apart_and_with_all() {
        let cost = Cost { us_per_job: vec![("postgres", 50.0), (CLIENT, 10.0)], others_cores: 0.1 };
        let figures = figures(200, Duration::from_secs(2), &cost, Vec::new());
        assert_eq!(figures.get(JOBS_PER_SECOND), Some(100.0));
        assert_eq!(figures.get(CPU), Some(60.0));
        assert_eq!(figures.get(CPU_OF_SYSTEM), Some(50.0));
        assert_eq!(figures.get("CPU µs/job, postgres"), Some(50.0));
    }
}
