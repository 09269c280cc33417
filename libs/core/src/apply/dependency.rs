//! What the end of a job means for those that wait for it: in bounded steps, one a frame, however
//! many they are.

use std::collections::BTreeSet;

use nox_contract::{JobId, JobState};
use serde::{Deserialize, Serialize};

use crate::state::State;

/// Most dependents that one frame tells: what others wait for meanwhile is a millisecond of deciding and a few tens of KiB
/// to write.
const TOLD_MAX: usize = 200;

/// A job that ended, and those that are still to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndToTell {
    id: JobId,
    state: JobState,
    dependents: BTreeSet<JobId>,
}

impl State {
    /// Whether dependents are still to be told: the next frame does, whatever else it says.
    pub fn has_ends_to_tell(&self) -> bool {
        !self.ends_to_tell.is_empty()
    }

    /// Those that wait for `id` are told how it ended.
    pub(super) fn tell_end(&mut self, id: JobId) {
        let Some(state) = self.jobs.get(&id).map(|job| job.job.state()) else { return };
        if let Some(dependents) = self.dependents.remove(&id) {
            self.ends_to_tell.push_back(EndToTell { id, state, dependents });
        }
    }

    pub(super) fn tell_dependents(&mut self) {
        for _ in 0..TOLD_MAX {
            let Some(end) = self.ends_to_tell.front_mut() else { return };
            let (id, state, next) = (end.id, end.state, end.dependents.pop_first());
            let Some(dependent) = next else {
                self.ends_to_tell.pop_front();
                continue;
            };
            self.unindex(dependent);
            let waiting = self.job_mut(dependent).and_then(|job| job.dependencies.as_mut());
            if let Some(dependencies) = waiting {
                dependencies.open.remove(&id);
                let doomed = (state != JobState::Succeeded).then_some((id, state));
                dependencies.doomed = dependencies.doomed.or(doomed);
            }
            self.index(dependent);
        }
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
