//! What follows a failed attempt: another one, perhaps with more, or none.

use std::time::Duration;

use nox_contract::{
    Attempt, Fact, JobError, JobId, RaisedResource, Resources, RetryPolicy, Timestamp,
};

use super::{end::Failure, place::could_hold};
use crate::state::{ActiveJob, State};

/// Another attempt.
pub(super) struct Retry {
    due_at: Timestamp,
    /// What it is given, where that is more than the one before had.
    raised: Option<Resources>,
}

/// Why there is none.
pub(super) enum NoRetry {
    /// It would come to the same, or there were enough.
    Final,
    /// It would need more, and this is why it cannot have that.
    NoMore(String),
}

impl Retry {
    /// The facts that say so: beside `attempt_failed`.
    pub fn facts(self, job: &ActiveJob) -> Vec<Fact> {
        let attempt = job.job.attempt.next();
        let more = self.raised.map_or(0, |raised| cost_beyond(job, &raised));
        let reserved =
            (more > 0).then_some(Fact::Reserved { period: job.period, cpu_seconds: more });
        let scheduled =
            Fact::RetryScheduled { attempt, due_at: self.due_at, resources: self.raised };
        [scheduled].into_iter().chain(reserved).collect()
    }
}

/// Whether another attempt follows, when, and what it is given.
pub(super) fn retry(
    state: &State,
    id: JobId,
    job: &ActiveJob,
    failure: &Failure<'_>,
    now: Timestamp,
) -> Result<Retry, NoRetry> {
    let module = state.modules.get(&job.owner.module);
    let versions = module.map(|module| &module.versions);
    let manifest = versions.map(|of| of.get(&job.needs.version).unwrap_or(&of.present));
    let policy = manifest.map(|manifest| manifest.retry.clone()).unwrap_or_default();
    let due_at = now + backoff(&policy, id, job.job.attempt);
    if failure.crashed {
        let again = job.job.crashes + 1 < state.in_force().crashes_max;
        return if again { Ok(Retry { due_at, raised: None }) } else { Err(NoRetry::Final) };
    }
    if job.job.failures + 1 >= policy.attempts_max {
        return Err(NoRetry::Final);
    }
    let code = &failure.error.code;
    if policy.raise.iter().any(|raise| raise.after == *code) {
        let raised = raise(state, job, &policy, failure.error).map_err(NoRetry::NoMore)?;
        return Ok(Retry { due_at, raised: Some(raised) });
    }
    let again = if policy.on.is_empty() { failure.retryable } else { policy.on.contains(code) };
    if again { Ok(Retry { due_at, raised: None }) } else { Err(NoRetry::Final) }
}

/// What the attempt after a failure of this kind is given, or why it cannot be given more.
fn raise(
    state: &State,
    job: &ActiveJob,
    policy: &RetryPolicy,
    error: &JobError,
) -> Result<Resources, String> {
    let before = job.job.resources();
    let mut raised = before;
    for raise in policy.raise.iter().filter(|raise| raise.after == error.code) {
        let resource = match raise.resource {
            RaisedResource::MemMb => &mut raised.mem_mb,
            RaisedResource::WallTimeS => &mut raised.wall_time_s,
        };
        // One that asked for more than this from the beginning keeps it.
        *resource = resource.saturating_mul(raise.factor).min(raise.max).max(*resource);
    }
    if raised == before {
        return Err("its module allows no more".to_owned());
    }
    let (tenant, user) = (&job.owner.tenant, &job.owner.user_id);
    let more = cost_beyond(job, &raised);
    for account in [state.ledger.user(tenant, user), state.ledger.tenant(tenant)] {
        let Some(account) = account else { continue };
        if raised.mem_mb > account.limits.mem_mb {
            return Err(format!("its owner's largest request is {} MiB", account.limits.mem_mb));
        }
        // Of the day that it was submitted on, which pays for all of it.
        let free = account.periods.get(&job.period).map_or(0, |balance| balance.free);
        if more > free {
            return Err(format!("{more} core seconds more are not left in its owner's budget"));
        }
    }
    let module = &job.owner.module;
    // Where there is no worker now, one may come that has it.
    if state.workers.declaring(module, &job.needs).next().is_some()
        && !could_hold(state, module, &job.needs, &raised)
    {
        return Err(format!("no worker has {} MiB", raised.mem_mb));
    }
    Ok(raised)
}

/// Core seconds that attempts with `raised` need beyond those with what they have been given so far.
fn cost_beyond(job: &ActiveJob, raised: &Resources) -> i64 {
    raised.cpu_seconds().saturating_sub(job.job.resources().cpu_seconds())
}

/// How long the attempt after `attempt` waits: doubled each time, capped, and spread over the upper
/// half of the span by a hash, so that jobs that failed together do not come back together and a
/// replay agrees.
fn backoff(policy: &RetryPolicy, id: JobId, attempt: Attempt) -> Duration {
    let doublings = attempt.0.saturating_sub(1).min(32);
    let span = policy
        .backoff_ms
        .saturating_mul(1 << doublings)
        .min(policy.backoff_ms_max.max(policy.backoff_ms));
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.0.as_bytes());
    hasher.update(&attempt.0.to_be_bytes());
    let hash = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let spread = u64::from_be_bytes(first) % (span / 2 + 1);
    Duration::from_millis(span - spread)
}
