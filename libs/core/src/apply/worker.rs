//! Facts of a worker.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{Capacity, Entry, Fact, ModuleName, WorkNumber, WorkerId, fact::ServedModule};

use super::{ApplyError, misplaced};
use crate::{
    state::State,
    worker::{Claims, Worker},
};

impl State {
    pub(super) fn apply_worker(&mut self, entry: &Entry, id: &WorkerId) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            match fact {
                Fact::WorkerJoined { session, origin, capacity, modules, labels, claimant } => {
                    if self.workers.get(id).is_some() {
                        // The session before has to be over first, with all that it held.
                        return Err(misplaced(n, fact, "a worker that is there"));
                    }
                    let worker = Worker {
                        session: *session,
                        origin: *origin,
                        capacity: *capacity,
                        used: Capacity::default(),
                        modules: served(modules),
                        labels: labels.iter().cloned().collect(),
                        claims: claimant.clone().map(|claimant| Claims::new(claimant, labels)),
                        offers: 0,
                        draining: false,
                        drained: false,
                        parked: false,
                        paused: false,
                        pauses: 0,
                        isolated: None,
                        next_work: WorkNumber(1),
                        assignments: Default::default(),
                        aside: Default::default(),
                    };
                    self.workers.join(id.clone(), worker);
                    self.join_topics(id);
                }
                Fact::WorkerOffered { number, capacity, modules, labels, .. } => {
                    self.leave_topics(id);
                    self.workers.offer(id, |worker| {
                        worker.offers = *number;
                        worker.capacity = *capacity;
                        worker.modules = served(modules);
                        worker.labels = labels.iter().cloned().collect();
                        let claims = worker.claims.take();
                        worker.claims = claims.map(|of| Claims::new(of.claimant, labels));
                    });
                    self.join_topics(id);
                }
                Fact::WorkerDraining { .. } => {
                    if let Some(worker) = self.workers.get_mut(id) {
                        worker.draining = true;
                    }
                }
                Fact::WorkerDrained { .. } | Fact::WorkerUndrained { .. } => {
                    self.workers.drain(id, matches!(fact, Fact::WorkerDrained { .. }));
                }
                Fact::WorkerPaused { number, .. } | Fact::WorkerResumed { number, .. } => {
                    if let Some(worker) = self.workers.get_mut(id) {
                        worker.paused = matches!(fact, Fact::WorkerPaused { .. });
                        worker.pauses = *number;
                    }
                }
                Fact::WorkerLeft { reason, blame, .. } => {
                    self.leave_topics(id);
                    self.workers.leave(id, (*reason, *blame), at);
                }
                other => return Err(misplaced(n, other, "a worker")),
            }
        }
        Ok(())
    }

    /// Enters a worker where the tasks are that it claims.
    pub(crate) fn join_topics(&mut self, id: &WorkerId) {
        let Some(claims) = self.workers.get(id).and_then(|worker| worker.claims.as_ref()) else {
            return;
        };
        for topic in &claims.topics {
            self.topics.join(&claims.claimant.tenant, topic, id);
        }
    }

    fn leave_topics(&mut self, id: &WorkerId) {
        let Some(claims) = self.workers.get(id).and_then(|worker| worker.claims.as_ref()) else {
            return;
        };
        for topic in &claims.topics {
            self.topics.leave(&claims.claimant.tenant, topic, id);
        }
    }
}

fn served(modules: &[ServedModule]) -> BTreeMap<ModuleName, BTreeSet<String>> {
    let mut by_name: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for ServedModule { name, version } in modules {
        by_name.entry(name.clone()).or_default().insert(version.clone());
    }
    by_name
}
