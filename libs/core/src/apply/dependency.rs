//! What the end of a job means for those that wait for it: in bounded steps at a bounded pace,
//! however many they are.

use std::{collections::BTreeSet, time::Duration};

use nox_contract::{JobId, JobState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::state::State;

/// Most dependents that one frame tells.
const TOLD_MAX: usize = 1_000;

/// Most dependents of one job that are told at a time, and how much later the next are, by log time: some 7,000 a
/// second, each of which is a job that ends or begins to compete. That is less than half of what two cores do, so that
/// others are served meanwhile as if nothing were. A job with fewer dependents has all of them told at once.
const TOLD_OF_ONE_MAX: usize = 100;
const TOLD_OF_ONE_EVERY: Duration = Duration::from_millis(15);

/// A job that ended, and those that are still to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndToTell {
    id: JobId,
    state: JobState,
    dependents: BTreeSet<JobId>,
    /// Not before then.
    #[serde(default)]
    due_at: Timestamp,
}

impl State {
    /// When the next dependents are to be told, if any are still: the first frame from then on does, whatever
    /// else it says.
    pub fn ends_due_at(&self) -> Option<Timestamp> {
        self.ends_to_tell.iter().map(|end| end.due_at).min()
    }

    /// Those that wait for `id` are told how it ended.
    pub(super) fn tell_end(&mut self, id: JobId) {
        let Some(state) = self.jobs.get(&id).map(|job| job.job.state()) else { return };
        if let Some(dependents) = self.dependents.remove(&id) {
            let due_at = Timestamp::default();
            self.ends_to_tell.push_back(EndToTell { id, state, dependents, due_at });
        }
    }

    pub(super) fn tell_dependents(&mut self) {
        let mut left = TOLD_MAX;
        for _ in 0..self.ends_to_tell.len().min(TOLD_MAX) {
            let Some(mut end) = self.ends_to_tell.pop_front() else { return };
            if end.due_at <= self.at {
                for _ in 0..left.min(TOLD_OF_ONE_MAX) {
                    let Some(dependent) = end.dependents.pop_first() else { break };
                    self.tell(dependent, end.id, end.state);
                    left -= 1;
                }
                end.due_at = self.at + TOLD_OF_ONE_EVERY;
            }
            if !end.dependents.is_empty() {
                self.ends_to_tell.push_back(end);
            }
        }
    }

    fn tell(&mut self, dependent: JobId, id: JobId, state: JobState) {
        self.unindex(dependent);
        let waiting = self.job_mut(dependent).and_then(|job| job.dependencies.as_mut());
        if let Some(dependencies) = waiting {
            dependencies.open.remove(&id);
            let doomed = (state != JobState::Succeeded).then_some((id, state));
            dependencies.doomed = dependencies.doomed.or(doomed);
        }
        self.index(dependent);
    }

    /// Enters a job among those that wait for `dependency`.
    pub(super) fn wait_for(&mut self, dependency: JobId, id: JobId) {
        self.dependents.entry(dependency).or_default().insert(id);
    }

    /// `id` waits for `dependency` no more.
    pub(super) fn stop_waiting(&mut self, dependency: JobId, id: JobId) {
        if let Some(waiting) = self.dependents.get_mut(&dependency) {
            waiting.remove(&id);
            if waiting.is_empty() {
                self.dependents.remove(&dependency);
            }
        }
    }
}
