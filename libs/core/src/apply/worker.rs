//! Facts of a worker.

use nox_contract::{Capacity, Entry, Fact, WorkNumber, WorkerId};

use super::{ApplyError, misplaced};
use crate::{state::State, worker::Worker};

impl State {
    pub(super) fn apply_worker(&mut self, entry: &Entry, id: &WorkerId) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            match fact {
                Fact::WorkerJoined { session, origin, capacity, modules, labels } => {
                    if self.workers.get(id).is_some() {
                        // The session before has to be over first, with all that it held.
                        return Err(misplaced(n, fact, "a worker that is there"));
                    }
                    let worker = Worker {
                        session: *session,
                        origin: *origin,
                        capacity: *capacity,
                        used: Capacity::default(),
                        modules: modules
                            .iter()
                            .map(|served| (served.name.clone(), served.version.clone()))
                            .collect(),
                        labels: labels.iter().cloned().collect(),
                        draining: false,
                        paused: false,
                        pauses: 0,
                        isolated: None,
                        next_work: WorkNumber(1),
                        assignments: Default::default(),
                    };
                    self.workers.join(id.clone(), worker);
                }
                Fact::WorkerDraining { .. } => {
                    if let Some(worker) = self.workers.get_mut(id) {
                        worker.draining = true;
                    }
                }
                Fact::WorkerPaused { number, .. } | Fact::WorkerResumed { number, .. } => {
                    if let Some(worker) = self.workers.get_mut(id) {
                        worker.paused = matches!(fact, Fact::WorkerPaused { .. });
                        worker.pauses = *number;
                    }
                }
                Fact::WorkerLeft { reason, blame, .. } => {
                    self.workers.leave(id, (*reason, *blame), at);
                }
                other => return Err(misplaced(n, other, "a worker")),
            }
        }
        Ok(())
    }
}
