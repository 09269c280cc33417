//! Inputs that are in no stream. The log embeds them whole, so that a replay decides alike.

use nox_contract::{
    Entity, Fact, Incarnation, JobId, LostReason, ScheduleId, SchedulerConfig, SessionId, Source,
    Timestamp, WorkerId, beat::Held,
};
use serde::{Deserialize, Serialize};

use super::{
    Decision, Rules,
    end::{self, Departure, Loss},
    matching,
    occurrence::{self, Due, Plan},
    reason,
};
use crate::{state::State, turn::Turn};

/// How far a look at the queue goes: so many jobs are moved, and so many looked at and workers asked.
pub(super) struct Limit {
    pub most: u32,
    pub looks_max: u32,
}

/// Something that the leader noticed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Internal {
    /// The instant of these jobs has come.
    Timer { due: Vec<JobId> },
    /// A worker was silent for longer than its lease.
    WorkerSilent { worker_id: WorkerId, session: SessionId },
    /// A worker lives but does not hold these attempts, which it was sent.
    AttemptsMissing { worker_id: WorkerId, session: SessionId, missing: Vec<Held> },
    /// Say of attempts of sessions that are over that they are lost, of at most so many.
    Losses { losses_max: u32 },
    /// Place queued jobs, at most so many. Of the kinds of jobs that wait, look at those whose first is
    /// behind `behind`, and end when as many jobs were looked at and workers were asked as `looks_max` says.
    Match { placements_max: u32, looks_max: u32, behind: Option<Turn> },
    /// Bring the reasons of queued jobs up to date, at most so many; likewise.
    Reasons { reasons_max: u32, looks_max: u32, behind: Option<Turn> },
    /// These schedules are due then.
    Plan { plans: Vec<Plan> },
    /// These schedules are due at `wall` by the wall clock, which is `at` in the log.
    Due { wall: Timestamp, at: Timestamp, due: Vec<Due> },
    /// The jobs have ended that occurrences of these schedules wait for; at `wall`, which is `at` in the log.
    Unqueue { wall: Timestamp, at: Timestamp, schedules: Vec<ScheduleId> },
    /// Decide by this configuration from now on.
    Configure { config: SchedulerConfig },
    /// An operator accepts that an input stream was lost; its inputs are read from behind
    /// `position` on.
    ResetInputs { src: Source, incarnation: Incarnation, position: u64, by: String },
}

impl Internal {
    /// Where the log says that this came from.
    pub fn source(&self) -> Source {
        match self {
            Self::Timer { .. } | Self::Plan { .. } | Self::Due { .. } | Self::Unqueue { .. } => {
                Source::Timer
            }
            Self::WorkerSilent { .. } | Self::AttemptsMissing { .. } | Self::Losses { .. } => {
                Source::Detector
            }
            Self::Match { .. } | Self::Reasons { .. } => Source::Match,
            Self::Configure { .. } => Source::Configuration,
            Self::ResetInputs { .. } => Source::Operator,
        }
    }
}

pub(super) fn decide(
    state: &State,
    rules: &Rules,
    input: &Internal,
    part: u32,
    now: Timestamp,
) -> Option<Decision> {
    match input {
        Internal::Timer { due } => {
            let id = due.get(part as usize)?;
            Some(matching::due(state, rules, *id, now).unwrap_or_default())
        }
        Internal::Plan { plans } => {
            let plan = plans.get(part as usize)?;
            Some(occurrence::plan(state, plan))
        }
        Internal::Due { wall, at, due } => {
            let due = due.get(part as usize)?;
            Some(occurrence::due(state, rules, due, (*wall, *at)))
        }
        Internal::Unqueue { wall, at, schedules } => {
            let id = schedules.get(part as usize)?;
            Some(occurrence::unqueue(state, rules, *id, (*wall, *at)))
        }
        Internal::WorkerSilent { worker_id, session } => {
            let known = state.workers.get(worker_id).filter(|worker| worker.session == *session);
            let worker = known.filter(|_| part == 0)?;
            Some(Decision::of_draft(end::leave(rules, worker_id, worker, &Departure::Silent)))
        }
        Internal::AttemptsMissing { worker_id, session, missing } => {
            let held = missing.get(part as usize)?;
            let slot = state
                .workers
                .get(worker_id)
                .filter(|worker| worker.session == *session)
                .and_then(|worker| worker.assignments.get(&held.job_id))
                .filter(|slot| slot.attempt == held.attempt);
            // The worker lives, so the attempt did nothing to it.
            let loss = Loss::of_nobody(LostReason::NotHeld);
            let lost = slot
                .and_then(|slot| end::lost(state, rules, worker_id, held.job_id, slot, loss))
                .map(Decision::of_draft);
            Some(lost.unwrap_or_default())
        }
        Internal::Losses { losses_max } => end::losses(state, rules, *losses_max, part),
        Internal::Match { placements_max, looks_max, behind } if part == 0 => {
            Some(matching::placements(
                state,
                rules,
                Limit { most: *placements_max, looks_max: *looks_max },
                *behind,
                now,
            ))
        }
        Internal::Reasons { reasons_max, looks_max, behind } if part == 0 => Some(reason::reasons(
            state,
            rules,
            Limit { most: *reasons_max, looks_max: *looks_max },
            *behind,
            now,
        )),
        Internal::Match { .. } | Internal::Reasons { .. } => None,
        Internal::Configure { config } => {
            if part > 0 || state.config.as_ref() == Some(config) {
                return None;
            }
            let fact = Fact::Configured { config: Box::new(config.clone()) };
            Some(Decision::of(Entity::Control, vec![fact]))
        }
        Internal::ResetInputs { src, incarnation, by, .. } => {
            (part == 0).then(|| reset(state, rules, *src, incarnation, by))
        }
    }
}

/// The next step of taking an input stream for another one. With the reports went ends of attempts, and
/// words that sessions began with, and nobody tells them twice: every session is over, so that its
/// worker begins anew. The last step says so of the stream: a leader that dies before it leaves the
/// next one to find the same.
fn reset(
    state: &State,
    rules: &Rules,
    src: Source,
    incarnation: &Incarnation,
    by: &str,
) -> Decision {
    let mut sessions = state.workers.iter().filter(|(_, worker)| !worker.parked);
    let over = sessions.next().filter(|_| src == Source::Reports);
    if let Some((worker_id, worker)) = over {
        let left = end::leave(rules, worker_id, worker, &Departure::Forgotten);
        return Decision::step(vec![left]);
    }
    let fact = Fact::InputsReset { src, incarnation: incarnation.clone(), by: by.to_owned() };
    Decision::of(Entity::Control, vec![fact])
}
