//! Ends of attempts and what becomes of their jobs.

use nox_contract::{Blame, Entity, Fact, JobError, JobId, LostReason, Timestamp, WorkerId};

use super::{
    Decision, Draft, Rules, job_entity,
    retry::{NoRetry, retry},
    task,
};
use crate::{
    job::Phase,
    state::{ActiveJob, State},
    worker::{Assignment, Worker},
};

/// Moves what a job has reserved to used and free again, now that nothing of it runs.
/// `wall_ms` is how long its last attempt ran, beside what earlier ones used.
pub(super) fn settle(job: &ActiveJob, wall_ms: u64) -> Vec<Fact> {
    if job.reserved == 0 {
        // What reserved nothing does not keep its period either, once another one began.
        return Vec::new();
    }
    let used_ms = job.used_core_ms.saturating_add(job.core_ms(wall_ms));
    let used = i64::try_from(used_ms.div_ceil(1_000)).unwrap_or(i64::MAX);
    let settled = used.min(job.reserved);
    let (period, overrun) = (job.period, used - settled);
    let mut facts = Vec::with_capacity(2);
    if used > 0 {
        facts.push(Fact::Settled { period, cpu_seconds: settled, overrun });
    }
    if job.reserved > settled {
        facts.push(Fact::Released { period, cpu_seconds: job.reserved - settled });
    }
    facts
}

/// How an attempt ended by itself, and badly.
pub(super) struct Failure<'r> {
    pub error: &'r JobError,
    pub retryable: bool,
    pub crashed: bool,
    pub wall_ms: u64,
}

/// What follows from a failed attempt: another one, or the end of the job.
pub(super) fn failed(
    state: &State,
    id: JobId,
    job: &ActiveJob,
    failure: &Failure<'_>,
    now: Timestamp,
) -> Vec<Fact> {
    let Failure { error, crashed, wall_ms, .. } = *failure;
    let attempt = job.job.attempt;
    let mut facts = vec![Fact::AttemptFailed { attempt, error: error.clone(), crashed, wall_ms }];
    let no_retry = match retry(state, id, job, failure, now) {
        Ok(retry) => {
            facts.extend(retry.facts(job));
            return facts;
        }
        Err(no_retry) => no_retry,
    };
    let error = match no_retry {
        NoRetry::NoMore(why) => with_more_refused(error, &why),
        NoRetry::Final if crashed => crashed_too_often(job.job.crashes + 1, error),
        NoRetry::Final => error.clone(),
    };
    facts.push(Fact::Failed { error });
    facts.extend(settle(job, wall_ms));
    facts
}

/// How a worker's session came to its end.
pub(super) enum Departure {
    /// Nobody hears of it. That does not prove that it ended: it may stand still, or be cut off.
    Silent,
    /// Another process has begun in its place, so its own has ended.
    Ended,
    /// It said so, or begins another session by itself.
    Planned(LostReason),
    /// What it said went with the stream that it said it in.
    Forgotten,
}

/// An attempt that did not end, and what that says of its job.
pub(super) struct Loss {
    pub reason: LostReason,
    pub blame: Blame,
    pub detail: Option<String>,
}

impl Loss {
    /// A loss that no job is charged with.
    pub fn of_nobody(reason: LostReason) -> Self {
        Self { reason, blame: Blame::Nobody, detail: None }
    }
}

/// Most attempts that one step says are lost; with the longest names they fit into a frame.
const STEP_MAX: usize = 100;

/// The session of `worker` is over, and what that says of all that it holds. That each of them is lost
/// follows, see [`losses`].
///
/// Only what began a crash may be charged with it. Whatever was handed out may have run, for its start
/// may not be heard of yet: of several, all are suspects and none is charged. One alone is charged if it
/// is known that it ran and that the worker's process ended; else it is a suspect, too, until it has been
/// one often enough to run in isolation: a job that takes a whole machine down would else run for ever.
pub(super) fn leave(
    rules: &Rules,
    worker_id: &WorkerId,
    worker: &Worker,
    departure: &Departure,
) -> Draft {
    let faults = &rules.faults;
    let excused = worker.draining && !faults.planned_stop_counts;
    let (reason, planned) = match *departure {
        Departure::Silent | Departure::Ended if excused => (LostReason::Draining, true),
        Departure::Silent => (LostReason::WorkerSilent, false),
        Departure::Ended => (LostReason::NewSession, false),
        Departure::Planned(reason) => (reason, true),
        Departure::Forgotten => (LostReason::NewSession, true),
    };
    let ended = matches!(departure, Departure::Ended) || faults.silence_proves_an_end;
    let mut suspects = worker.assignments.iter().filter(|(_, slot)| ran(rules, slot));
    let alone = suspects.next().filter(|_| suspects.next().is_none() && worker.aside.is_empty());
    let charged = alone.is_some_and(|(id, slot)| {
        let started = slot.started || faults.unstarted_counts_as_crash;
        (started && ended) || worker.isolated == Some(*id)
    });
    let blame = match (planned, charged || faults.neighbours_blamed) {
        (true, _) => Blame::Nobody,
        (false, true) => Blame::Crashed,
        (false, false) => Blame::Suspected,
    };
    let lost = !matches!(departure, Departure::Planned(_));
    let fact = Fact::WorkerLeft { session: worker.session, lost, reason, blame };
    Draft { entity: Entity::Worker(worker_id.clone()), facts: vec![fact] }
}

/// Whether the attempt may have run.
fn ran(rules: &Rules, slot: &Assignment) -> bool {
    slot.started || !rules.faults.unheard_starts_excused
}

/// The next step of at most `losses_max` losses of attempts of sessions that are over: one draft for each
/// job. `None` when none is left.
pub(super) fn losses(state: &State, rules: &Rules, losses_max: u32, step: u32) -> Option<Decision> {
    let left = (losses_max as usize).saturating_sub(step as usize * STEP_MAX);
    let attempts = state
        .workers
        .departed()
        .flat_map(|departed| departed.assignments.iter().map(move |held| (departed, held)));
    let drafts: Vec<_> = attempts
        .filter(|(_, (id, _))| state.parking.job(**id).is_none())
        .take(left.min(STEP_MAX))
        .filter_map(|(departed, (id, slot))| {
            let blame = if ran(rules, slot) { departed.blame } else { Blame::Nobody };
            let loss = Loss { reason: departed.reason, blame, detail: None };
            lost(state, rules, &departed.worker_id, *id, slot, loss)
        })
        .collect();
    (!drafts.is_empty()).then(|| Decision { drafts, ..Decision::default() })
}

/// The attempt of `id` at `worker_id` is over, and did not end.
pub(super) fn lost(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    id: JobId,
    slot: &Assignment,
    loss: Loss,
) -> Option<Draft> {
    let job = state.job(id)?;
    let Loss { reason, blame, detail } = loss;
    let mut facts = vec![Fact::AttemptLost {
        worker_id: worker_id.clone(),
        attempt: slot.attempt,
        reason,
        blame,
        detail,
    }];
    if job.needs.topic.is_some() && !matches!(job.job.phase, Phase::Canceled { .. }) {
        facts.extend(task::after_loss(state, worker_id, job, slot, (reason, blame)));
        return Some(Draft { entity: job_entity(id, job), facts });
    }
    let canceled = matches!(job.job.phase, Phase::Canceled { .. });
    let crashes = job.job.crashes + 1;
    let parked = !canceled && blame == Blame::Crashed && crashes >= state.in_force().crashes_max;
    if parked {
        let how = match reason {
            LostReason::WorkerSilent => "fell silent",
            _ => "ended",
        };
        let message = format!("worker {worker_id} {how} while it had no other job");
        let error = JobError { code: "lost".to_owned(), message, exit_status: None };
        facts.push(Fact::Failed { error: crashed_too_often(crashes, &error) });
    }
    if (canceled || parked) && !rules.faults.reservation_kept_on_loss {
        facts.extend(settle(job, 0));
    }
    Some(Draft { entity: job_entity(id, job), facts })
}

/// A job that would have been tried again with more, and could not be given that.
fn with_more_refused(error: &JobError, why: &str) -> JobError {
    let message = format!("{}; not tried again with more, for {why}", error.message);
    JobError { message, ..error.clone() }
}

/// A job that takes its workers down with it is ended with the evidence.
fn crashed_too_often(crashes: u32, last: &JobError) -> JobError {
    JobError {
        code: "crashed".to_owned(),
        message: format!("{crashes} attempts crashed, the last one with: {}", last.message),
        exit_status: last.exit_status,
    }
}
