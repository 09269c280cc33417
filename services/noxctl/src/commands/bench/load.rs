//! The load: who submits how much, how fast.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use nox_service::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::MODULE;
use crate::{client::Client, views::Admitted};

/// Jobs in a bulk request: as many as the gateway takes.
const BULK: usize = 1_000;
/// Bulk requests at a time, so that the next is there when one is answered.
const BULKS_IN_FLIGHT: usize = 4;
/// Single requests at a time.
const SINGLES_IN_FLIGHT: usize = 64;

/// What is put on the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    Bulk { jobs: usize },
    Single { jobs: usize },
    Paced { per_second: usize, seconds: usize },
}

impl Load {
    pub fn jobs(self) -> usize {
        match self {
            Self::Bulk { jobs } | Self::Single { jobs } => jobs,
            Self::Paced { per_second, seconds } => per_second * seconds,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk { .. } => "bulk",
            Self::Single { .. } => "single",
            Self::Paced { .. } => "paced",
        }
    }

    /// Submits everything, and returns how long each request took to be answered.
    ///
    /// # Errors
    /// Any job is not admitted.
    pub async fn run(self, client: &Client, clock: &Clock) -> Result<Vec<Duration>> {
        match self {
            Self::Bulk { jobs } => bulk(jobs, client, clock).await,
            Self::Single { jobs } => single(jobs, client, clock).await,
            Self::Paced { per_second, .. } => paced(self.jobs(), per_second, client, clock).await,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bulk { jobs } => write!(
                f,
                "bulk: {jobs} jobs by POST /jobs/bulk, {BULK} a request, {BULKS_IN_FLIGHT} in flight"
            ),
            Self::Single { jobs } => {
                write!(f, "single: {jobs} jobs by POST /jobs, {SINGLES_IN_FLIGHT} in flight")
            }
            Self::Paced { per_second, seconds } => {
                write!(f, "paced: {per_second} jobs a second by POST /jobs, for {seconds} s")
            }
        }
    }
}

fn job() -> Value {
    json!({"module": MODULE, "inputs": {}})
}

/// Takes up to `most` of what is left.
fn take(left: &AtomicUsize, most: usize) -> usize {
    let taken = |left: usize| Some(left - left.min(most));
    // The closure never refuses, so the value before is there either way.
    let (Ok(before) | Err(before)) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
    before.min(most)
}

/// Runs `workers` tasks that each submit, `most` at a time, until nothing is left.
async fn until_none_left<F>(
    jobs: usize,
    workers: usize,
    most: usize,
    clock: &Clock,
    submit: impl Fn(usize) -> F,
) -> Result<Vec<Duration>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let submit = &submit;
    let left = &AtomicUsize::new(jobs);
    let worker = |_| async move {
        let mut answers = Vec::new();
        loop {
            let taken = take(left, most);
            if taken == 0 {
                return anyhow::Ok(answers);
            }
            let begun = clock.monotonic();
            // On a thread of its own choice, as the clients of many would be.
            tokio::spawn(submit(taken)).await??;
            answers.push(clock.monotonic().saturating_sub(begun));
        }
    };
    let answers = futures_util::future::try_join_all((0..workers).map(worker)).await?;
    Ok(answers.concat())
}

async fn bulk(jobs: usize, client: &Client, clock: &Clock) -> Result<Vec<Duration>> {
    /// What became of each job of a request.
    #[derive(Deserialize)]
    struct Bulk {
        jobs: Vec<Value>,
    }

    let full = Arc::new(json!({"jobs": vec![job(); BULK]}));
    until_none_left(jobs, BULKS_IN_FLIGHT, BULK, clock, |count| {
        let (client, full) = (client.clone(), full.clone());
        async move {
            let body = match count {
                BULK => full,
                count => Arc::new(json!({"jobs": vec![job(); count]})),
            };
            let answer: Bulk = client.post("/jobs/bulk", Some(&body)).await?.read()?;
            ensure!(answer.jobs.len() == count, "{} answers to {count} jobs", answer.jobs.len());
            match answer.jobs.iter().find(|job| job.get("accepted").is_none()) {
                Some(job) => bail!("a job was not admitted: {job}"),
                None => Ok(()),
            }
        }
    })
    .await
}

async fn single(jobs: usize, client: &Client, clock: &Clock) -> Result<Vec<Duration>> {
    let body = Arc::new(job());
    until_none_left(jobs, SINGLES_IN_FLIGHT, 1, clock, |_| submit(client, &body)).await
}

fn submit(client: &Client, body: &Arc<Value>) -> impl Future<Output = Result<()>> + use<> {
    let (client, body) = (client.clone(), body.clone());
    async move {
        let _: Admitted = client.post("/jobs", Some(&body)).await?.read()?;
        Ok(())
    }
}

/// Submits at even intervals, whether or not earlier requests were answered.
async fn paced(
    jobs: usize,
    per_second: usize,
    client: &Client,
    clock: &Clock,
) -> Result<Vec<Duration>> {
    let body = Arc::new(job());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for _ in 0..jobs {
        ticks.tick().await;
        let (request, clock) = (submit(client, &body), clock.clone());
        requests.spawn(async move {
            let begun = clock.monotonic();
            request.await?;
            anyhow::Ok(clock.monotonic().saturating_sub(begun))
        });
    }
    let mut answers = Vec::with_capacity(jobs);
    while let Some(answer) = requests.join_next().await {
        answers.push(answer??);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_taken_once() {
        let left = AtomicUsize::new(2_500);
        let taken: Vec<_> = (0..4).map(|_| take(&left, 1_000)).collect();
        assert_eq!(taken, [1_000, 1_000, 500, 0]);
    }
}
