//! What facts make of workers, modules and topics.

use std::collections::BTreeMap;

use nox_contract::{Entity, Fact, Timestamp, WorkerId};
use nox_core::versions::Versions;

use super::{Context, IllegalEntry, Projection};
use crate::rows::{self, Registered, StoredModule, StoredTopic, StoredWorker, WorkerState};

impl Projection<'_> {
    pub(super) fn move_worker(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Worker(id) = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.placed.n;
        if let (Fact::WorkerJoined { session, capacity, modules, labels, claimant, .. }, true) =
            (fact, storable)
        {
            let known = self.changes.workers.get(id).or_else(|| self.rows.workers.get(id));
            let worker = StoredWorker {
                // An operator's word on a name outlives its sessions.
                drained_by: known.and_then(|known| known.drained_by.clone()),
                session: *session,
                state: WorkerState::Joined,
                capacity: *capacity,
                modules: modules.clone(),
                labels: labels.clone(),
                claimant: claimant.clone(),
                joined_at: context.placed.at,
                seen_at: context.placed.at,
                left_at: None,
                n,
            };
            self.changes.gone.remove(id);
            self.changes.workers.insert(id.clone(), worker);
        }
        // There is no row if what the worker said when it joined could not be stored.
        let known = self.changes.workers.get(id).or_else(|| self.rows.workers.get(id));
        let Some(mut worker) = known.cloned() else { return Ok(()) };
        if let (Fact::WorkerOffered { capacity, modules, labels, .. }, true) = (fact, storable) {
            worker.capacity = *capacity;
            worker.modules.clone_from(modules);
            worker.labels.clone_from(labels);
        }
        if let Fact::WorkerDrained { by } = fact {
            worker.drained_by = Some(by.clone());
        }
        if let Fact::WorkerUndrained { .. } = fact {
            worker.drained_by = None;
        }
        if let Fact::WorkerDraining { .. } = fact {
            worker.state = WorkerState::Draining;
        }
        // One that is to stop does so whether it could run anything or not.
        if worker.state != WorkerState::Draining {
            match fact {
                Fact::WorkerPaused { .. } => worker.state = WorkerState::Paused,
                Fact::WorkerResumed { .. } => worker.state = WorkerState::Joined,
                _ => {}
            }
        }
        if let Fact::WorkerLeft { lost, .. } = fact {
            worker.state = if *lost { WorkerState::Lost } else { WorkerState::Left };
            worker.left_at = Some(context.placed.at);
            if worker.claimant.is_some() {
                self.changes.workers.remove(id);
                self.changes.gone.insert(id.clone());
                return Ok(());
            }
        }
        // That is the operator's word, and a lost one is not heard of.
        let heard = match fact {
            Fact::WorkerDrained { .. } | Fact::WorkerUndrained { .. } => false,
            Fact::WorkerLeft { lost, .. } => !lost,
            _ => true,
        };
        if heard {
            worker.seen_at = context.placed.at;
        }
        worker.n = n;
        self.changes.workers.insert(id.clone(), worker);
        Ok(())
    }

    /// What a worker reports of a job is heard of it.
    pub(super) fn see_worker(&mut self, id: &WorkerId, at: Timestamp) {
        let known = self.changes.workers.get(id).or_else(|| self.rows.workers.get(id));
        let late = |of: &&StoredWorker| {
            of.left_at.is_none() && at.since(of.seen_at) >= rows::SEEN_INTERVAL
        };
        if let Some(worker) = known.filter(late).cloned() {
            self.changes.workers.insert(id.clone(), StoredWorker { seen_at: at, ..worker });
        }
    }

    pub(super) fn move_module(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Module(name) = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.placed.n;
        if let (
            Fact::ModuleDeclared { manifest, enabled }
            | Fact::ModuleRegistered { manifest, enabled, .. },
            true,
        ) = (fact, storable)
        {
            let known = self.changes.modules.get(name).or_else(|| self.rows.modules.get(name));
            let manifest = (**manifest).clone();
            let version = manifest.version.clone();
            let (versions, mut registered) = match known.cloned() {
                Some(StoredModule { mut versions, registered, .. }) => {
                    versions.declare(manifest);
                    (versions, registered)
                }
                None => (Versions::new(manifest), BTreeMap::new()),
            };
            if let Fact::ModuleRegistered { by, .. } = fact {
                registered.insert(version, Registered { by: by.clone(), at: context.placed.at });
            }
            registered.retain(|version, _| versions.get(version).is_some());
            let module = StoredModule { versions, registered, enabled: *enabled, n };
            self.changes.modules.insert(name.clone(), module);
        }
        if let Fact::ModuleSwitched { enabled, .. } = fact {
            // There is no row if its manifest could not be stored.
            let known = self.changes.modules.get(name).or_else(|| self.rows.modules.get(name));
            let Some(module) = known.cloned() else { return Ok(()) };
            self.changes
                .modules
                .insert(name.clone(), StoredModule { enabled: *enabled, n, ..module });
        }
        Ok(())
    }

    pub(super) fn move_topic(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Topic { tenant, topic } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let row = match fact {
            Fact::TopicRegistered { schema, by } if storable => Some(StoredTopic {
                schema: schema.clone(),
                user_id: by.clone(),
                registered_at: context.placed.at,
                n: context.placed.n,
            }),
            _ => None,
        };
        self.changes.topics.insert((tenant.clone(), topic.clone()), row);
        Ok(())
    }
}
