//! Jobs that had not ended: who waited for what, and who ran.

use std::{collections::BTreeMap, fmt, str::FromStr};

use nox_contract::{
    Attempt, FrameNumber, JobId, JobState, ModuleName, Timestamp, UserId, WaitingCode, WorkerId,
};
use nox_core::state::ActiveJob;
use nox_protocol::Fold;
use nox_readmodel::query::NoCursor;

use crate::identity::auth::Caller;

/// A job in the order of submission: the frame and the entry that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(FrameNumber, u32);

impl Place {
    fn of(job: &ActiveJob) -> Self {
        Self(job.job.submitted_n, job.submitted_place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (n, entry) = text.split_once('-').ok_or(NoCursor)?;
        let n = n.parse().map_err(|_| NoCursor)?;
        Ok(Self(FrameNumber(n), entry.parse().map_err(|_| NoCursor)?))
    }
}

/// What was open, as far as the caller sees it.
#[derive(Debug, PartialEq)]
pub struct Queue {
    pub n: FrameNumber,
    pub at: Timestamp,
    pub states: BTreeMap<&'static str, u64>,
    pub waiting: BTreeMap<&'static str, u64>,
    /// One more than was asked for, if there are so many.
    pub jobs: Vec<Open>,
}

/// A job that had not ended.
#[derive(Debug, PartialEq)]
pub struct Open {
    pub place: Place,
    pub id: JobId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub module_version: String,
    pub state: JobState,
    pub waiting: Option<WaitingCode>,
    pub priority: u8,
    pub attempt: Attempt,
    pub worker_id: Option<WorkerId>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
}

/// The jobs that the caller sees, in the order of submission, those behind `after`; of a state, if one is named.
pub fn queue(
    fold: &Fold,
    caller: &Caller,
    wanted: Option<JobState>,
    (after, limit): (Option<Place>, usize),
) -> Queue {
    let state = fold.state();
    let mut queue = Queue {
        n: state.n,
        at: state.at,
        states: BTreeMap::new(),
        waiting: BTreeMap::new(),
        jobs: Vec::new(),
    };
    let mut found: BTreeMap<Place, (JobId, &ActiveJob)> = BTreeMap::new();
    for (id, job) in state.jobs() {
        if !caller.sees_jobs_of(&job.owner.tenant, &job.owner.user_id) {
            continue;
        }
        *queue.states.entry(job.job.state().as_str()).or_default() += 1;
        if let Some(code) = job.job.waiting() {
            *queue.waiting.entry(code.as_str()).or_default() += 1;
        }
        let place = Place::of(job);
        let is_behind = after.is_none_or(|after| place > after);
        if is_behind && wanted.is_none_or(|state| job.job.state() == state) {
            found.insert(place, (id, job));
            // No more than a page is kept, however many there are.
            if found.len() > limit {
                found.pop_last();
            }
        }
    }
    queue.jobs = found.into_iter().map(|(place, (id, job))| Open::of(place, id, job)).collect();
    queue
}

impl Open {
    fn of(place: Place, id: JobId, job: &ActiveJob) -> Self {
        let runs = job.job.state() == JobState::Running;
        Self {
            place,
            id,
            user_id: job.owner.user_id.clone(),
            module: job.owner.module.clone(),
            module_version: job.needs.version.clone(),
            state: job.job.state(),
            waiting: job.job.waiting(),
            priority: job.job.priority,
            attempt: job.job.attempt,
            worker_id: job.job.worker_id().cloned(),
            created_at: job.job.created_at,
            started_at: job.job.started_at.filter(|_| runs),
            due_at: job.job.due_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_a_place_and_nowhere_else() {
        let place = Place(FrameNumber(41_822), 3);
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        for other in ["", "7", "7-", "-7", "7-x", "x-7", "7-1-1"] {
            assert!(other.parse::<Place>().is_err(), "{other}");
        }
    }
}
