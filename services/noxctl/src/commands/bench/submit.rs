//! The client: submits so many jobs in a given way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use nox_contract::{JobId, Timestamp};
use nox_service::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{client::Client, views::Admitted};

/// Jobs in a bulk request: as many as the gateway takes.
pub const BULK: usize = 900;
/// Bulk requests at a time, so that the next is there when one is answered.
pub const BULKS_IN_FLIGHT: usize = 4;
/// Single requests at a time.
pub const SINGLES_IN_FLIGHT: usize = 64;

/// In which way jobs are submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `POST /jobs/batch`, as fast as it goes.
    Bulk,
    /// `POST /jobs`, as fast as it goes.
    Single,
    /// `POST /jobs` at even intervals.
    Paced { per_second: usize },
    /// `POST /jobs/batch`, a part of so many jobs a second at even intervals.
    Steady { per_second: usize },
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answers {
    /// How long each request took.
    pub latencies: Vec<Duration>,
    /// Of paced jobs: when the client was about to call, by the machine's wall clock.
    pub calls: Vec<(JobId, Timestamp)>,
    /// Of jobs in bulk: the first of each request.
    pub sample: Vec<JobId>,
}

/// Submits `jobs` jobs of `module`.
///
/// # Errors
/// Any job is not admitted.
pub async fn submit(
    how: How,
    module: &'static str,
    jobs: usize,
    client: &Client,
    clock: &Clock,
) -> Result<Answers> {
    match how {
        How::Bulk => bulk(module, jobs, client, clock).await,
        How::Single => single(module, jobs, client, clock).await,
        How::Paced { per_second } => paced(module, jobs, per_second, client, clock).await,
        How::Steady { per_second } => steady(module, jobs, per_second, client, clock).await,
    }
}

fn job(module: &str) -> Value {
    json!({"module": module, "inputs": {}})
}

/// Takes up to `most` of what is left.
fn take(left: &AtomicUsize, most: usize) -> usize {
    let taken = |left: usize| Some(left - left.min(most));
    // The closure never refuses, so the value before is there either way.
    let (Ok(before) | Err(before)) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
    before.min(most)
}

/// Runs `workers` tasks that each submit, `most` at a time, until nothing is left.
async fn until_none_left<F, T>(
    jobs: usize,
    workers: usize,
    most: usize,
    clock: &Clock,
    submit: impl Fn(usize) -> F,
) -> Result<Vec<(Duration, T)>>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Clone + Send + 'static,
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
            let answer = tokio::spawn(submit(taken)).await??;
            answers.push((clock.monotonic().saturating_sub(begun), answer));
        }
    };
    let answers = futures_util::future::try_join_all((0..workers).map(worker)).await?;
    Ok(answers.concat())
}

/// One request; returns the first of the jobs.
async fn bulk_request(client: Client, body: Arc<Value>, jobs: usize) -> Result<JobId> {
    /// What became of each job of a request.
    #[derive(Deserialize)]
    struct Bulk {
        jobs: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        accepted: Option<Admitted>,
        problem: Option<Value>,
    }

    let answer: Bulk = client.post("/jobs/batch", Some(&body)).await?.read()?;
    ensure!(answer.jobs.len() == jobs, "{} answers to {jobs} jobs", answer.jobs.len());
    let mut first = None;
    for One { accepted, problem } in answer.jobs {
        match accepted {
            Some(admitted) => first = first.or(Some(admitted.job_id)),
            None => bail!("a job was not admitted: {}", problem.unwrap_or_default()),
        }
    }
    match first {
        Some(first) => Ok(first),
        None => bail!("an answer without jobs"),
    }
}

async fn bulk(module: &str, jobs: usize, client: &Client, clock: &Clock) -> Result<Answers> {
    let full = bodies(module, BULK);
    let all = until_none_left(jobs, BULKS_IN_FLIGHT, BULK, clock, |count| {
        let body = if count == BULK { full.clone() } else { bodies(module, count) };
        bulk_request(client.clone(), body, count)
    });
    let (latencies, sample) = all.await?.into_iter().unzip();
    Ok(Answers { latencies, sample, calls: Vec::new() })
}

fn bodies(module: &str, jobs: usize) -> Arc<Value> {
    Arc::new(json!({"jobs": vec![job(module); jobs], "atomic": false}))
}

async fn single(module: &str, jobs: usize, client: &Client, clock: &Clock) -> Result<Answers> {
    let body = Arc::new(job(module));
    let request = |_| one(client.clone(), body.clone());
    let all = until_none_left(jobs, SINGLES_IN_FLIGHT, 1, clock, request).await?;
    let latencies = all.into_iter().map(|(latency, _)| latency).collect();
    Ok(Answers { latencies, ..Answers::default() })
}

async fn one(client: Client, body: Arc<Value>) -> Result<JobId> {
    let admitted: Admitted = client.post("/jobs", Some(&body)).await?.read()?;
    Ok(admitted.job_id)
}

/// Submits at even intervals, whether or not earlier requests were answered.
async fn paced(
    module: &str,
    jobs: usize,
    per_second: usize,
    client: &Client,
    clock: &Clock,
) -> Result<Answers> {
    let body = Arc::new(job(module));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for _ in 0..jobs {
        ticks.tick().await;
        let (client, body, clock) = (client.clone(), body.clone(), clock.clone());
        requests.spawn(async move {
            let (begun, called_at) = (clock.monotonic(), clock.wall());
            let job_id = one(client, body).await?;
            anyhow::Ok((clock.monotonic().saturating_sub(begun), (job_id, called_at)))
        });
    }
    let mut answers = Answers::default();
    while let Some(answer) = requests.join_next().await {
        let (latency, call) = answer??;
        answers.latencies.push(latency);
        answers.calls.push(call);
    }
    Ok(answers)
}

/// Submits in bulk at even intervals, ten times a second.
async fn steady(
    module: &str,
    jobs: usize,
    per_second: usize,
    client: &Client,
    clock: &Clock,
) -> Result<Answers> {
    const REQUESTS_PER_SECOND: usize = 10;

    let mut ticks = tokio::time::interval(Duration::from_secs(1) / REQUESTS_PER_SECOND as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests: JoinSet<Result<(Duration, JobId)>> = JoinSet::new();
    let mut answers = Answers::default();
    let mut left = jobs;
    while left > 0 {
        ticks.tick().await;
        let mut due = (per_second / REQUESTS_PER_SECOND).clamp(1, left);
        left -= due;
        while due > 0 {
            let count = due.min(BULK);
            due -= count;
            let request = bulk_request(client.clone(), bodies(module, count), count);
            let clock = clock.clone();
            requests.spawn(async move {
                let begun = clock.monotonic();
                let first = request.await?;
                Ok((clock.monotonic().saturating_sub(begun), first))
            });
        }
        while let Some(answer) = requests.try_join_next() {
            answers.latencies.push(answer??.0);
        }
    }
    while let Some(answer) = requests.join_next().await {
        answers.latencies.push(answer??.0);
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
