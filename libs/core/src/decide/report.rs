//! Reports: what a worker tells, believed only with the attempt's token.

use nox_contract::{
    Attempt, AttemptEnd, Blame, ERROR_CODE_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, Entity, Fact,
    HandBack, JobError, JobId, LostReason, OUTPUTS_BYTES_MAX, Report, SessionId, Timestamp, Token,
    WorkerId,
    report::{Ended, Hello, Offer, Progressed, Started, Stopped},
};

use super::{
    Decision, Rules,
    end::{self, Departure, Loss},
    job_entity, module,
    task::{bounded_progress, is_due},
};
use crate::{
    job::Phase,
    state::{ActiveJob, State},
    worker::Assignment,
};

pub(super) fn decide(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    session: SessionId,
    report: &Report,
    now: Timestamp,
) -> Decision {
    if let Report::Hello(hello) = report {
        return joined(state, rules, worker_id, session, hello);
    }
    // Words of a session that the log has given up change nothing.
    let Some(worker) = state.workers.get(worker_id).filter(|worker| worker.session == session)
    else {
        return Decision::nothing();
    };
    let about_worker = |fact| Decision::of(Entity::Worker(worker_id.clone()), vec![fact]);
    match report {
        Report::Hello(_) | Report::Unreadable => Decision::nothing(),
        Report::Started(report) => started(state, rules, worker_id, report),
        Report::Progressed(report) => progressed(state, rules, worker_id, report, now),
        Report::Ended(report) => ended(state, rules, worker_id, report, now),
        Report::Stopped(report) => stopped(state, rules, worker_id, report),
        Report::Draining if worker.draining => Decision::nothing(),
        Report::Draining => about_worker(Fact::WorkerDraining { session }),
        // A copy that was stored late, behind what the worker said afterwards.
        Report::Paused { number, .. } | Report::Resumed { number } if *number <= worker.pauses => {
            Decision::nothing()
        }
        Report::Paused { number, reason } => about_worker(Fact::WorkerPaused {
            session,
            number: *number,
            reason: cut(reason, ERROR_MESSAGE_BYTES_MAX),
        }),
        Report::Resumed { number } => {
            about_worker(Fact::WorkerResumed { session, number: *number })
        }
        Report::Offer(offer) if offer.number <= worker.offers => Decision::nothing(),
        Report::Offer(offer) => offered(state, rules, worker_id, session, offer),
        Report::Bye => {
            let departure = Departure::Planned(LostReason::Draining);
            Decision::of_draft(end::leave(rules, worker_id, worker, &departure))
        }
    }
}

/// A session begins, in steps: the one before is over, manifests that the log does not know are declared,
/// and it has joined.
fn joined(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    session: SessionId,
    hello: &Hello,
) -> Decision {
    let before = state.workers.get(worker_id);
    if before.is_some_and(|worker| worker.session == session) || state.workers.is_past(session) {
        return Decision::nothing();
    }
    let origin = hello.origin;
    let another = before.is_some_and(|worker| worker.origin.instance != origin.instance);
    if another && !rules.faults.living_worker_replaced {
        // Nobody else may take the place of a worker that lives. Its beats are answered with that.
        return Decision::nothing();
    }
    if let Some(worker) = before {
        let departure = if worker.origin.process == origin.process {
            // It lives, and has ended what it ran by itself.
            Departure::Planned(LostReason::NewSession)
        } else {
            Departure::Ended
        };
        return Decision::step(vec![end::leave(rules, worker_id, worker, &departure)]);
    }
    if let Some(declared) = hello.modules.iter().find_map(|m| module::declare(state, rules, m)) {
        return Decision::step(vec![declared]);
    }
    let fact = Fact::WorkerJoined {
        session,
        origin,
        capacity: hello.capacity,
        modules: module::served(state, rules, &hello.modules),
        labels: hello.labels.clone(),
        claimant: None,
    };
    Decision::of(Entity::Worker(worker_id.clone()), vec![fact])
}

/// What a worker offers has changed, in steps: manifests that the log does not know are declared first.
fn offered(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    session: SessionId,
    offer: &Offer,
) -> Decision {
    if let Some(declared) = offer.modules.iter().find_map(|m| module::declare(state, rules, m)) {
        return Decision::step(vec![declared]);
    }
    let fact = Fact::WorkerOffered {
        session,
        number: offer.number,
        capacity: offer.capacity,
        modules: module::served(state, rules, &offer.modules),
        labels: offer.labels.clone(),
    };
    Decision::of(Entity::Worker(worker_id.clone()), vec![fact])
}

/// The slot that a report speaks of, if whoever reports holds its token.
fn slot<'s>(
    state: &'s State,
    rules: &Rules,
    worker_id: &WorkerId,
    id: JobId,
    attempt: Attempt,
    token: &Token,
) -> Option<(&'s ActiveJob, &'s Assignment)> {
    let slot = state.workers.get(worker_id)?.assignments.get(&id)?;
    let expected = Token::compute(&rules.token_key, id, attempt, slot.assigned_n);
    let genuine = slot.attempt == attempt && expected.verify(token);
    if !genuine && !rules.faults.token_unchecked {
        return None;
    }
    Some((state.job(id)?, slot))
}

fn started(state: &State, rules: &Rules, worker_id: &WorkerId, report: &Started) -> Decision {
    let Some((job, slot)) =
        slot(state, rules, worker_id, report.job_id, report.attempt, &report.token)
    else {
        return Decision::nothing();
    };
    if !matches!(job.job.phase, Phase::Assigned { .. }) {
        return Decision::nothing();
    }
    let fact = Fact::Started {
        worker_id: worker_id.clone(),
        attempt: slot.attempt,
        elapsed_ms: report.elapsed_ms,
    };
    Decision::of(job_entity(report.job_id, job), vec![fact])
}

fn progressed(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    report: &Progressed,
    now: Timestamp,
) -> Decision {
    let Some((job, slot)) =
        slot(state, rules, worker_id, report.job_id, report.attempt, &report.token)
    else {
        return Decision::nothing();
    };
    let runs = matches!(job.job.phase, Phase::Assigned { .. } | Phase::Running { .. });
    if !runs || !is_due(state, job, report.job_id, now) {
        return Decision::nothing();
    }
    let progress = bounded_progress(&report.progress);
    let fact = Fact::Progressed { attempt: slot.attempt, progress };
    Decision::of(job_entity(report.job_id, job), vec![fact])
}

fn ended(
    state: &State,
    rules: &Rules,
    worker_id: &WorkerId,
    report: &Ended,
    now: Timestamp,
) -> Decision {
    let Some((job, slot)) =
        slot(state, rules, worker_id, report.job_id, report.attempt, &report.token)
    else {
        return Decision::nothing();
    };
    let id = report.job_id;
    let attempt = slot.attempt;
    let wall_ms = report.usage.wall_ms;
    if matches!(job.job.phase, Phase::Canceled { .. }) {
        return Decision::of(job_entity(id, job), after_cancel(worker_id, job, attempt, wall_ms));
    }
    if let AttemptEnd::HandedBack(why) = &report.end {
        let lost = end::lost(state, rules, worker_id, id, slot, handed_back(why));
        return lost.map(Decision::of_draft).unwrap_or_default();
    }
    let mut facts = Vec::with_capacity(4);
    let succeeded = matches!(report.end, AttemptEnd::Succeeded { .. });
    if matches!(job.job.phase, Phase::Assigned { .. }) && (report.started || succeeded) {
        let worker_id = worker_id.clone();
        facts.push(Fact::Started { worker_id, attempt, elapsed_ms: wall_ms });
    }
    match &report.end {
        AttemptEnd::Succeeded { outputs } if outputs.get().len() <= OUTPUTS_BYTES_MAX => {
            facts.push(Fact::Succeeded { attempt, outputs: outputs.clone(), wall_ms });
            facts.extend(end::settle(job, wall_ms));
        }
        AttemptEnd::Succeeded { outputs } => {
            let error = &outputs_too_large(outputs.get().len());
            let failure = end::Failure { error, retryable: false, crashed: false, wall_ms };
            facts.extend(end::failed(state, id, job, &failure, now));
        }
        AttemptEnd::Failed { error, retryable, crashed } => {
            let crashed = *crashed && report.started;
            let error = &bounded(error);
            let failure = end::Failure { error, retryable: *retryable, crashed, wall_ms };
            facts.extend(end::failed(state, id, job, &failure, now));
        }
        AttemptEnd::HandedBack(_) => {}
    }
    Decision::of(job_entity(id, job), facts)
}

fn handed_back(why: &HandBack) -> Loss {
    match why {
        HandBack::Draining => Loss::of_nobody(LostReason::Draining),
        HandBack::CannotRun { reason } => Loss {
            reason: LostReason::CannotRun,
            blame: Blame::Nobody,
            detail: Some(cut(reason, ERROR_MESSAGE_BYTES_MAX)),
        },
    }
}

fn outputs_too_large(bytes: usize) -> JobError {
    JobError {
        code: "output_invalid".to_owned(),
        message: format!("outputs of {bytes} bytes, {OUTPUTS_BYTES_MAX} are allowed"),
        exit_status: None,
    }
}

/// The error as far as the log takes it: an event repeats it, and no worker's words may make one
/// that the broker refuses.
pub(super) fn bounded(error: &JobError) -> JobError {
    JobError {
        code: cut(&error.code, ERROR_CODE_BYTES_MAX),
        message: cut(&error.message, ERROR_MESSAGE_BYTES_MAX),
        exit_status: error.exit_status,
    }
}

pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

fn stopped(state: &State, rules: &Rules, worker_id: &WorkerId, report: &Stopped) -> Decision {
    let Some((job, slot)) =
        slot(state, rules, worker_id, report.job_id, report.attempt, &report.token)
    else {
        return Decision::nothing();
    };
    if !matches!(job.job.phase, Phase::Canceled { .. }) {
        return Decision::nothing();
    }
    let facts = after_cancel(worker_id, job, slot.attempt, report.usage.wall_ms);
    Decision::of(job_entity(report.job_id, job), facts)
}

/// The attempt of a canceled job is over, however it ended.
fn after_cancel(
    worker_id: &WorkerId,
    job: &ActiveJob,
    attempt: Attempt,
    wall_ms: u64,
) -> Vec<Fact> {
    let mut facts = vec![Fact::Stopped { worker_id: worker_id.clone(), attempt }];
    facts.extend(end::settle(job, wall_ms));
    facts
}
