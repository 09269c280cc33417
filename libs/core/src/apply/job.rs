//! Facts of a job, and what they change beside it: its worker's slots, its accounts, its dependents.

use std::{collections::BTreeSet, sync::Arc};

use nox_contract::{Entry, Fact, JobId, JobState, WorkerId};

use super::{ApplyError, misplaced};
use crate::{
    ended::{EndedJob, Request},
    job::{Job, Phase},
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
        let mut restands = false;
        for fact in entry.known_facts() {
            let illegal = |source| ApplyError::Illegal { n, source };
            if let Some(active) = self.job_mut(id) {
                let before = active.job.state();
                let holder = active.job.worker_id().cloned();
                active.job.apply(fact, at).map_err(illegal)?;
                let is_ended = active.job.state().is_ended();
                self.job_effects(id, owner, fact)?;
                restands |= changes_share(fact);
                if let Some(holder) = holder
                    && self.jobs.get(&id).is_none_or(|job| job.job.worker_id() != Some(&holder))
                {
                    self.free_slot(&holder, id, owner)?;
                    restands = true;
                }
                if is_ended && before == JobState::Draft {
                    self.count_drafts(owner, -1)?;
                    self.tell_end(id);
                } else if is_ended && !before.is_ended() {
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
        if restands {
            self.restand(owner);
        }
        Ok(())
    }

    fn admit(&mut self, job: Job, fact: &Fact, id: JobId, owner: &Owner) -> Result<(), ApplyError> {
        let mut needs = Needs::default();
        let (open, fingerprint): (BTreeSet<JobId>, Option<&str>) = match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
                match fact {
                    Fact::Drafted(_) => self.count_drafts(owner, 1)?,
                    _ => self.begin_queued(owner)?,
                }
                needs.concurrency = submitted.concurrency.as_deref().cloned();
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
        if let Fact::Submitted(submitted) | Fact::Drafted(submitted) = fact
            && let Some(trace) = &submitted.traceparent
        {
            self.traces.insert(id, trace.as_str().into());
        }
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
            queued_at: None,
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
                if let (Fact::Settled { overrun, .. }, Phase::Canceled { .. }) =
                    (fact, &active.job.phase)
                {
                    // How long its last attempt ran is in no other fact.
                    let all = cpu_seconds.saturating_add(*overrun).unsigned_abs();
                    let last = all.saturating_mul(1_000).saturating_sub(active.used_core_ms);
                    self.ledger.on_share(tenant, user_id, |share, served| {
                        share.charge(*served, last);
                    });
                }
                self.ledger.shift(tenant, user_id, *period, fact).map_err(ledger)?;
            }
            Fact::DraftSubmitted {} => {
                active.queued_at = Some(Box::new(self.at));
                self.count_drafts(owner, -1)?;
                self.begin_queued(owner)?;
            }
            Fact::Assigned { worker_id, attempt, work, request, .. } => {
                let resources = active.job.resources();
                if let Some(concurrency) = &active.needs.concurrency {
                    self.keys.take(tenant, concurrency);
                }
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
                let (priority, at) = (active.job.priority, self.at);
                self.ledger
                    .on_both(tenant, user_id, |account| {
                        account.running_jobs += 1;
                        account.pace.start(account.limits.starts_per_minute, at);
                    })
                    .map_err(ledger)?;
                self.ledger.on_share(tenant, user_id, |share, served| {
                    share.serve(served, priority, resources.cpu, at);
                });
                if let Some(module) = self.modules.get_mut(module) {
                    module.running += 1;
                    if let Some(per_minute) = module.versions.present.starts_per_minute {
                        module.pace.start(per_minute, at);
                    }
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
                let core_ms = active.core_ms(*wall_ms);
                active.used_core_ms = active.used_core_ms.saturating_add(core_ms);
                self.ledger.on_share(tenant, user_id, |share, served| {
                    share.charge(*served, core_ms);
                });
            }
            Fact::Submitted(_)
            | Fact::Drafted(_)
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
            | Fact::WorkerDrained { .. }
            | Fact::WorkerUndrained { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::WorkerLeft { .. }
            | Fact::ModuleDeclared { .. }
            | Fact::ModuleRegistered { .. }
            | Fact::ModuleSwitched { .. }
            | Fact::TopicRegistered { .. }
            | Fact::TopicRemoved {}
            | Fact::KeyCreated { .. }
            | Fact::KeyRevoked { .. }
            | Fact::ScheduleSet { .. }
            | Fact::SchedulePaused { .. }
            | Fact::ScheduleResumed { .. }
            | Fact::SchedulePlanned { .. }
            | Fact::ScheduleOccurred { .. }
            | Fact::ScheduleTriggered { .. }
            | Fact::ScheduleDeleted { .. }
            | Fact::WebhookSet { .. }
            | Fact::WebhookRotated { .. }
            | Fact::WebhookTested { .. }
            | Fact::WebhookRedelivered { .. }
            | Fact::WebhookDisabled { .. }
            | Fact::WebhookDeleted { .. }
            | Fact::Configured { .. }
            | Fact::InputsReset { .. } => return Err(misplaced(n, fact, "a job")),
        }
        Ok(())
    }

    /// Nothing of the attempt runs any more: its slot is counted out wherever it was counted in.
    fn free_slot(&mut self, worker: &WorkerId, id: JobId, owner: &Owner) -> Result<(), ApplyError> {
        let n = self.n;
        let Some(slot) = self.workers.free_slot(worker, id) else {
            return Err(ApplyError::Missing { n, fact: "end of an attempt", what: "worker" });
        };
        self.ledger.on_share(&owner.tenant, &owner.user_id, |share, _| {
            share.free(slot.resources.cpu);
        });
        if let Some(active) = self.jobs.get(&id)
            && let Some(concurrency) = &active.needs.concurrency
        {
            self.keys.give_back(&owner.tenant, concurrency);
        }
        if let Some(module) = self.modules.get_mut(&owner.module) {
            module.running -= 1;
        }
        self.ledger
            .on_both(&owner.tenant, &owner.user_id, |account| account.running_jobs -= 1)
            .map_err(|source| ApplyError::Ledger { n, source })
    }

    /// Counts a job in that is to run. A user who had nothing to do begins where the others are.
    fn begin_queued(&mut self, owner: &Owner) -> Result<(), ApplyError> {
        let Owner { tenant, user_id, .. } = owner;
        if self.ledger.user(tenant, user_id).is_some_and(|account| account.queued_jobs == 0) {
            self.ledger.on_share(tenant, user_id, |share, served| share.begin(*served));
        }
        self.count_queued(owner, 1)
    }

    fn count_drafts(&mut self, owner: &Owner, change: i32) -> Result<(), ApplyError> {
        let n = self.n;
        self.ledger
            .on_both(&owner.tenant, &owner.user_id, |account| {
                account.drafts = account.drafts.saturating_add_signed(change);
            })
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
        self.traces.remove(&id);
        for dependency in active.dependencies.iter().flat_map(|of| &of.open) {
            self.stop_waiting(*dependency, id);
        }
        let ended = EndedJob::new(&active.owner.tenant, active.request, active.job.state());
        self.ended.insert(id, ended, active.job.submitted_n, self.at);
    }
}

/// Whether its user's share is another one after this fact of a job.
fn changes_share(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Assigned { .. }
            | Fact::AttemptFailed { .. }
            | Fact::Succeeded { .. }
            | Fact::Settled { .. }
            | Fact::DraftSubmitted {}
    )
}
