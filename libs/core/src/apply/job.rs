//! Facts of a job, and what they change beside it: its worker's slots, its accounts, its dependents.

use std::{collections::BTreeSet, sync::Arc};

use nox_contract::{Entry, Fact, JobId, WorkerId};

use super::{ApplyError, misplaced};
use crate::{
    ended::{EndedJob, Request},
    job::Job,
    state::{ActiveJob, Dependencies, Needs, Owner, State, share_names},
    worker::Assignment,
};

impl State {
    pub(super) fn apply_job(
        &mut self,
        entry: &Entry,
        id: JobId,
        owner: &Owner,
    ) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        self.unindex(id);
        for fact in entry.known_facts() {
            let illegal = |source| ApplyError::Illegal { n, source };
            if let Some(active) = self.job_mut(id) {
                let was_ended = active.job.state().is_ended();
                let holder = active.job.worker_id().cloned();
                active.job.apply(fact, at).map_err(illegal)?;
                let is_ended = active.job.state().is_ended();
                self.job_effects(id, owner, fact)?;
                if let Some(holder) = holder
                    && self.jobs.get(&id).is_none_or(|job| job.job.worker_id() != Some(&holder))
                {
                    self.free_slot(&holder, id, owner)?;
                }
                if is_ended && !was_ended {
                    self.count_queued(owner, -1)?;
                    self.count_open(id, -1);
                    self.tell_end(id);
                }
            } else {
                let job = Job::create(fact, n, at).map_err(illegal)?;
                self.admit(job, fact, id, owner)?;
            }
        }
        self.index(id);
        self.retire(id);
        Ok(())
    }

    fn admit(&mut self, job: Job, fact: &Fact, id: JobId, owner: &Owner) -> Result<(), ApplyError> {
        let mut needs = Needs::default();
        let (open, fingerprint): (BTreeSet<JobId>, Option<&str>) = match fact {
            Fact::Submitted(submitted) => {
                self.count_queued(owner, 1)?;
                needs.version.clone_from(&submitted.module_version);
                needs.labels.clone_from(&submitted.worker_labels);
                needs.topic = submitted.task.as_ref().map(|task| task.topic.clone());
                // What has succeeded already holds nobody back.
                let open = submitted.after.iter().filter(|id| self.is_open(**id));
                (open.copied().collect(), submitted.fingerprint.as_deref())
            }
            Fact::Rejected(rejected) => (BTreeSet::new(), rejected.fingerprint.as_deref()),
            _ => (BTreeSet::new(), None),
        };
        for dependency in &open {
            self.wait_for(*dependency, id);
        }
        let request = Request::new(&owner.tenant, &owner.user_id, fingerprint);
        let mut owner = owner.clone();
        share_names(&self.ledger, &self.modules, &mut owner);
        let active = ActiveJob {
            period: job.created_at,
            job,
            needs: self.shared(&owner.module, needs),
            owner,
            request,
            submitted_place: self.entries,
            reserved: 0,
            used_core_ms: 0,
            dependencies: (!open.is_empty()).then(|| Box::new(Dependencies { open, doomed: None })),
        };
        let is_open = !active.job.state().is_ended();
        self.jobs.insert(id, Arc::new(active));
        if is_open {
            self.count_open(id, 1);
        }
        Ok(())
    }

    /// Counts a task that begins or ends where its topic is.
    fn count_open(&mut self, id: JobId, change: i32) {
        let Some(active) = self.jobs.get(&id) else { return };
        if let Some(topic) = &active.needs.topic {
            self.topics.count_open(&active.owner.tenant, topic, change);
        }
    }

    /// What a job's fact changes beside the job.
    fn job_effects(&mut self, id: JobId, owner: &Owner, fact: &Fact) -> Result<(), ApplyError> {
        let n = self.n;
        let missing = |what| ApplyError::Missing { n, fact: fact.name(), what };
        let ledger = |source| ApplyError::Ledger { n, source };
        let Owner { tenant, user_id, module } = owner;
        let active = self.jobs.get_mut(&id).map(Arc::make_mut).ok_or_else(|| missing("job"))?;
        match fact {
            Fact::Reserved { period, cpu_seconds } => {
                active.reserved += cpu_seconds;
                active.period = *period;
                self.ledger.shift(tenant, user_id, *period, fact).map_err(ledger)?;
            }
            Fact::Settled { period, cpu_seconds, .. } | Fact::Released { period, cpu_seconds } => {
                active.reserved -= cpu_seconds;
                self.ledger.shift(tenant, user_id, *period, fact).map_err(ledger)?;
            }
            Fact::Assigned { worker_id, attempt, work, request, .. } => {
                let resources = active.job.resources();
                let worker = self.workers.get_mut(worker_id).ok_or_else(|| missing("worker"))?;
                worker.used.take(&resources);
                worker.isolated = active.job.is_isolated().then_some(id);
                worker.next_work = work.next();
                worker.assignments.insert(
                    id,
                    Assignment {
                        attempt: *attempt,
                        work: *work,
                        assigned_n: n,
                        resources,
                        started: false,
                        progressed_at: None,
                        request: *request,
                        stop: None,
                    },
                );
                self.ledger
                    .on_both(tenant, user_id, |account| account.running_jobs += 1)
                    .map_err(ledger)?;
                if let Some(module) = self.modules.get_mut(module) {
                    module.running += 1;
                }
            }
            Fact::Started { worker_id, .. } => {
                if let Some(slot) = self
                    .workers
                    .get_mut(worker_id)
                    .and_then(|worker| worker.assignments.get_mut(&id))
                {
                    slot.started = true;
                }
            }
            Fact::Progressed { .. } => {
                let at = self.at;
                let holder = active.job.worker_id().cloned();
                let worker = holder.and_then(|holder| self.workers.get_mut(&holder));
                if let Some(slot) = worker.and_then(|worker| worker.assignments.get_mut(&id)) {
                    slot.progressed_at = Some(at);
                }
            }
            Fact::StopRequested { worker_id, work, .. } => {
                let worker = self.workers.get_mut(worker_id).ok_or_else(|| missing("worker"))?;
                worker.next_work = work.next();
                if let Some(slot) = worker.assignments.get_mut(&id) {
                    slot.stop = Some(*work);
                }
            }
            Fact::AttemptFailed { wall_ms, .. } | Fact::Succeeded { wall_ms, .. } => {
                active.used_core_ms = active.used_core_ms.saturating_add(active.core_ms(*wall_ms));
            }
            Fact::Submitted(_)
            | Fact::Rejected(_)
            | Fact::Canceled { .. }
            | Fact::Waiting { .. }
            | Fact::RetryScheduled { .. }
            | Fact::AttemptLost { .. }
            | Fact::Stopped { .. }
            | Fact::Failed { .. } => {}
            Fact::LimitsSet { .. }
            | Fact::Granted { .. }
            | Fact::QuotaViolated { .. }
            | Fact::WorkerJoined { .. }
            | Fact::WorkerOffered { .. }
            | Fact::WorkerDraining { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::WorkerLeft { .. }
            | Fact::ModuleDeclared { .. }
            | Fact::ModuleSwitched { .. }
            | Fact::TopicRegistered { .. }
            | Fact::TopicRemoved {}
            | Fact::Configured { .. }
            | Fact::InputsReset { .. } => return Err(misplaced(n, fact, "a job")),
        }
        Ok(())
    }

    /// Nothing of the attempt runs any more: its slot is counted out wherever it was counted in.
    fn free_slot(&mut self, worker: &WorkerId, id: JobId, owner: &Owner) -> Result<(), ApplyError> {
        let n = self.n;
        if !self.workers.free_slot(worker, id) {
            return Err(ApplyError::Missing { n, fact: "end of an attempt", what: "worker" });
        }
        if let Some(module) = self.modules.get_mut(&owner.module) {
            module.running -= 1;
        }
        self.ledger
            .on_both(&owner.tenant, &owner.user_id, |account| account.running_jobs -= 1)
            .map_err(|source| ApplyError::Ledger { n, source })
    }

    fn count_queued(&mut self, owner: &Owner, change: i32) -> Result<(), ApplyError> {
        let n = self.n;
        self.ledger
            .on_both(&owner.tenant, &owner.user_id, |account| {
                account.queued_jobs = account.queued_jobs.saturating_add_signed(change);
            })
            .map_err(|source| ApplyError::Ledger { n, source })
    }

    /// Moves an ended job that holds no slot out of the active ones.
    fn retire(&mut self, id: JobId) {
        let Some(active) = self.jobs.get(&id) else { return };
        if !active.job.state().is_ended() || active.job.worker_id().is_some() {
            return;
        }
        let Some(active) = self.jobs.remove(&id) else { return };
        for dependency in active.dependencies.iter().flat_map(|of| &of.open) {
            self.stop_waiting(*dependency, id);
        }
        let ended = EndedJob::new(&active.owner.tenant, active.request, active.job.state());
        self.ended.insert(id, ended, active.job.submitted_n, self.at);
    }
}
