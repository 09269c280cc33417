//! How a fact changes the state. Every arm is total: an event that cannot follow is an error, and
//! then log or code is broken and the reader stops.

use std::collections::BTreeSet;

use nox_contract::{
    Capacity, Entity, EpochRecord, Event, EventNumber, Fact, FactOrUnknown, JobId, JobState,
    ModuleName, Positions, Source, TenantId, Timestamp, UserId, WorkNumber, WorkerId,
};

use crate::{
    job::{IllegalFact, Job},
    ledger::LedgerError,
    state::{ActiveJob, ENDED_REMEMBERED, EndedJob, Module, State},
    worker::{Assignment, Worker},
};

/// Why an event cannot follow what was folded before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("event {found} cannot follow event {after}")]
    OutOfOrder { after: EventNumber, found: EventNumber },
    #[error("event {n}: time runs backwards")]
    TimeRunsBackwards { n: EventNumber },
    #[error("event {n}: positions go back from {before:?} to {found:?}")]
    PositionsGoBack { n: EventNumber, before: Positions, found: Positions },
    #[error("event {n} has fields of several entities")]
    NoEntity { n: EventNumber },
    #[error("event {n} has a fact that this version does not know")]
    UnknownFact { n: EventNumber },
    #[error("event {n}: {fact} of an unknown {what}")]
    Missing { n: EventNumber, fact: &'static str, what: &'static str },
    #[error("event {n}: {fact} does not belong to {entity}")]
    Misplaced { n: EventNumber, fact: &'static str, entity: &'static str },
    #[error("event {n}: {source}")]
    Illegal { n: EventNumber, source: IllegalFact },
    #[error("event {n}: {source}")]
    Ledger { n: EventNumber, source: LedgerError },
}

impl State {
    /// Folds one event in.
    pub fn apply(&mut self, event: &Event) -> Result<(), ApplyError> {
        let n = event.n;
        if n != self.n.next() {
            return Err(ApplyError::OutOfOrder { after: self.n, found: n });
        }
        if event.at < self.at {
            return Err(ApplyError::TimeRunsBackwards { n });
        }
        if !event.positions_follow(self.pos) {
            let (before, found) = (self.pos, event.pos);
            return Err(ApplyError::PositionsGoBack { n, before, found });
        }
        if event.facts.iter().any(|fact| matches!(fact, FactOrUnknown::Unknown(_))) {
            return Err(ApplyError::UnknownFact { n });
        }
        match event.entity().ok_or(ApplyError::NoEntity { n })? {
            Entity::Job { tenant, job_id, user_id, module } => {
                self.apply_job(event, tenant, job_id, user_id, module)?;
            }
            Entity::Account { tenant, account } => self.apply_account(event, &tenant, &account)?,
            Entity::Worker(worker) => self.apply_worker(event, worker)?,
            Entity::Module(module) => self.apply_module(event, module)?,
            Entity::Control => self.apply_control(event)?,
        }
        self.n = n;
        self.at = event.at;
        self.pos = event.pos;
        self.forget();
        Ok(())
    }

    /// Folds the beginning of a term in.
    pub fn apply_epoch(&mut self, n: EventNumber, record: &EpochRecord) -> Result<(), ApplyError> {
        if n != self.n.next() {
            return Err(ApplyError::OutOfOrder { after: self.n, found: n });
        }
        if self.epoch.0 == 0 {
            self.commands = record.commands.clone();
            self.reports = record.reports.clone();
        }
        self.n = n;
        self.epoch = record.epoch;
        // The record is written before its leader has read the log, so its clock may be behind.
        self.at = self.at.max(record.at);
        self.epoch_at = self.at;
        Ok(())
    }

    fn apply_job(
        &mut self,
        event: &Event,
        tenant: TenantId,
        id: JobId,
        user_id: UserId,
        module: ModuleName,
    ) -> Result<(), ApplyError> {
        let n = event.n;
        self.unindex(id);
        for fact in event.known_facts() {
            let illegal = |source| ApplyError::Illegal { n, source };
            if let Some(active) = self.jobs.get_mut(&id) {
                let was_ended = active.job.state().is_ended();
                let holder = active.job.worker_id().cloned();
                active.job.apply(fact, event.at).map_err(illegal)?;
                let is_ended = active.job.state().is_ended();
                let resources = active.job.requested_resources;
                self.job_effects(event, &tenant, &user_id, id, fact)?;
                if let Some(holder) = holder
                    && self.jobs.get(&id).is_none_or(|job| job.job.worker_id() != Some(&holder))
                {
                    self.free_slot(&holder, id, &resources, n, &tenant, &user_id, &module)?;
                }
                if is_ended && !was_ended {
                    self.count_queued(&tenant, &user_id, n, -1)?;
                    self.wake_dependents(id);
                }
            } else {
                let job = Job::create(fact, n, event.at).map_err(illegal)?;
                self.admit(job, fact, id, &tenant, &user_id, &module, n)?;
            }
        }
        self.index(id);
        self.retire(id, n, event.at);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one call, and all of it is one new job")]
    fn admit(
        &mut self,
        job: Job,
        fact: &Fact,
        id: JobId,
        tenant: &TenantId,
        user_id: &UserId,
        module: &ModuleName,
        n: EventNumber,
    ) -> Result<(), ApplyError> {
        let (after, fingerprint): (BTreeSet<JobId>, _) = match fact {
            Fact::Submitted(submitted) => {
                self.count_queued(tenant, user_id, n, 1)?;
                // What has succeeded already holds nobody back.
                let open = submitted.after.iter().filter(|id| self.jobs.contains_key(*id));
                (open.copied().collect(), submitted.fingerprint.clone())
            }
            Fact::Rejected(rejected) => (BTreeSet::new(), rejected.fingerprint.clone()),
            _ => (BTreeSet::new(), None),
        };
        for dependency in &after {
            self.dependents.entry(*dependency).or_default().insert(id);
        }
        let active = ActiveJob {
            period: job.created_at,
            job,
            tenant: tenant.clone(),
            user_id: user_id.clone(),
            module: module.clone(),
            fingerprint,
            reserved: 0,
            used_core_ms: 0,
            after,
            doomed: None,
        };
        self.jobs.insert(id, active);
        Ok(())
    }

    /// What a job's fact changes beside the job.
    fn job_effects(
        &mut self,
        event: &Event,
        tenant: &TenantId,
        user: &UserId,
        id: JobId,
        fact: &Fact,
    ) -> Result<(), ApplyError> {
        let n = event.n;
        let missing = |what| ApplyError::Missing { n, fact: fact.name(), what };
        let ledger = |source| ApplyError::Ledger { n, source };
        let active = self.jobs.get_mut(&id).ok_or_else(|| missing("job"))?;
        match fact {
            Fact::Reserved { period, cpu_seconds } => {
                active.reserved += cpu_seconds;
                active.period = *period;
                self.ledger.shift(tenant, user, *period, fact).map_err(ledger)?;
            }
            Fact::Settled { period, cpu_seconds, .. } | Fact::Released { period, cpu_seconds } => {
                active.reserved -= cpu_seconds;
                self.ledger.shift(tenant, user, *period, fact).map_err(ledger)?;
            }
            Fact::Assigned { worker_id, attempt, work, .. } => {
                let resources = active.job.requested_resources;
                let module = active.module.clone();
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
                        stop: None,
                    },
                );
                self.ledger
                    .on_both(tenant, user, |account| account.running_jobs += 1)
                    .map_err(ledger)?;
                if let Some(module) = self.modules.get_mut(&module) {
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
            | Fact::WorkerDraining { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::WorkerLeft { .. }
            | Fact::ModuleDeclared { .. }
            | Fact::ModuleSwitched { .. }
            | Fact::Configured { .. }
            | Fact::Mark
            | Fact::InputsReset { .. } => return Err(misplaced(n, fact, "a job")),
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a slot is counted in five places")]
    fn free_slot(
        &mut self,
        worker: &WorkerId,
        id: JobId,
        resources: &nox_contract::Resources,
        n: EventNumber,
        tenant: &TenantId,
        user: &UserId,
        module: &ModuleName,
    ) -> Result<(), ApplyError> {
        let missing = ApplyError::Missing { n, fact: "end of an attempt", what: "worker" };
        let worker = self.workers.get_mut(worker).ok_or(missing)?;
        worker.assignments.remove(&id);
        worker.isolated.take_if(|isolated| *isolated == id);
        worker.used.give_back(resources);
        if let Some(module) = self.modules.get_mut(module) {
            module.running -= 1;
        }
        self.ledger
            .on_both(tenant, user, |account| account.running_jobs -= 1)
            .map_err(|source| ApplyError::Ledger { n, source })
    }

    fn count_queued(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        n: EventNumber,
        change: i32,
    ) -> Result<(), ApplyError> {
        self.ledger
            .on_both(tenant, user, |account| {
                account.queued_jobs = account.queued_jobs.saturating_add_signed(change);
            })
            .map_err(|source| ApplyError::Ledger { n, source })
    }

    /// Tells the jobs that wait for `id` how it ended.
    fn wake_dependents(&mut self, id: JobId) {
        let Some(state) = self.jobs.get(&id).map(|job| job.job.state()) else { return };
        let doomed = (state != JobState::Succeeded).then_some((id, state));
        for dependent in self.dependents.remove(&id).unwrap_or_default() {
            self.unindex(dependent);
            if let Some(job) = self.jobs.get_mut(&dependent) {
                job.after.remove(&id);
                job.doomed = job.doomed.or(doomed);
            }
            self.index(dependent);
        }
    }

    /// Moves an ended job that holds no slot out of the active ones.
    fn retire(&mut self, id: JobId, n: EventNumber, at: Timestamp) {
        let Some(active) = self.jobs.get(&id) else { return };
        if !active.job.state().is_ended() || active.job.worker_id().is_some() {
            return;
        }
        let Some(active) = self.jobs.remove(&id) else { return };
        for dependency in &active.after {
            if let Some(waiting) = self.dependents.get_mut(dependency) {
                waiting.remove(&id);
                if waiting.is_empty() {
                    self.dependents.remove(dependency);
                }
            }
        }
        let ended = EndedJob {
            state: active.job.state(),
            submitted_n: active.job.submitted_n,
            tenant: active.tenant,
            user_id: active.user_id,
            n,
            fingerprint: active.fingerprint,
        };
        self.ended.insert(id, ended);
        self.ended_order.push_back((at, id));
    }

    /// Forgets ended jobs and sessions that are old, counted from the beginning of the term at the
    /// earliest, so that what was submitted while nobody led still finds them.
    fn forget(&mut self) {
        let (at, epoch_at) = (self.at, self.epoch_at);
        let is_old = |ended_at: Timestamp| at.since(ended_at.max(epoch_at)) >= ENDED_REMEMBERED;
        self.workers.forget_past(is_old);
        while let Some((ended_at, id)) = self.ended_order.front().copied() {
            if !is_old(ended_at) {
                return;
            }
            self.ended_order.pop_front();
            if let Some(ended) = self.ended.remove(&id) {
                self.forgotten = self.forgotten.max(ended.submitted_n);
            }
        }
    }

    fn apply_account(
        &mut self,
        event: &Event,
        tenant: &TenantId,
        name: &str,
    ) -> Result<(), ApplyError> {
        let n = event.n;
        for fact in event.known_facts() {
            let missing = || ApplyError::Missing { n, fact: fact.name(), what: "account" };
            if let Fact::LimitsSet { role, limits } = fact {
                self.ledger.set_limits(tenant, name, role, *limits).ok_or_else(missing)?;
                continue;
            }
            let account = self.ledger.account_mut(tenant, name).ok_or_else(missing)?;
            match fact {
                Fact::Granted { period, .. } => {
                    account.grant(*period, fact).ok_or_else(|| ApplyError::Missing {
                        n,
                        fact: fact.name(),
                        what: "budget",
                    })?;
                }
                Fact::QuotaViolated { refusal, .. } => {
                    account.violated_at.insert(refusal.code, event.at);
                }
                other => return Err(misplaced(n, other, "an account")),
            }
        }
        Ok(())
    }

    fn apply_worker(&mut self, event: &Event, id: WorkerId) -> Result<(), ApplyError> {
        let n = event.n;
        for fact in event.known_facts() {
            match fact {
                Fact::WorkerJoined { session, origin, capacity, modules, .. } => self.workers.join(
                    id.clone(),
                    Worker {
                        session: *session,
                        origin: *origin,
                        capacity: *capacity,
                        used: Capacity::default(),
                        modules: modules.iter().map(|served| served.name.clone()).collect(),
                        draining: false,
                        paused: false,
                        isolated: None,
                        next_work: WorkNumber(1),
                        assignments: Default::default(),
                    },
                    event.at,
                ),
                Fact::WorkerDraining { .. } => {
                    if let Some(worker) = self.workers.get_mut(&id) {
                        worker.draining = true;
                    }
                }
                Fact::WorkerPaused { .. } | Fact::WorkerResumed { .. } => {
                    if let Some(worker) = self.workers.get_mut(&id) {
                        worker.paused = matches!(fact, Fact::WorkerPaused { .. });
                    }
                }
                Fact::WorkerLeft { .. } => self.workers.leave(&id, event.at),
                other => return Err(misplaced(n, other, "a worker")),
            }
        }
        Ok(())
    }

    fn apply_module(&mut self, event: &Event, name: ModuleName) -> Result<(), ApplyError> {
        let n = event.n;
        for fact in event.known_facts() {
            match fact {
                Fact::ModuleDeclared { manifest, enabled } => {
                    let running = self.modules.get(&name).map_or(0, |module| module.running);
                    let module =
                        Module { manifest: (**manifest).clone(), enabled: *enabled, running };
                    self.modules.insert(name.clone(), module);
                }
                Fact::ModuleSwitched { enabled, .. } => {
                    let missing = ApplyError::Missing { n, fact: fact.name(), what: "module" };
                    self.modules.get_mut(&name).ok_or(missing)?.enabled = *enabled;
                }
                other => return Err(misplaced(n, other, "a module")),
            }
        }
        Ok(())
    }

    fn apply_control(&mut self, event: &Event) -> Result<(), ApplyError> {
        let n = event.n;
        for fact in event.known_facts() {
            match fact {
                Fact::Mark => {}
                Fact::Configured { config } => {
                    self.config = Some((**config).clone());
                    // Ranks depend on the worth of a priority.
                    self.reindex();
                }
                Fact::InputsReset { src, incarnation, .. } => match src {
                    Source::Commands => self.commands = incarnation.clone(),
                    Source::Reports => self.reports = incarnation.clone(),
                    _ => return Err(misplaced(n, fact, "an input that is in no stream")),
                },
                other => return Err(misplaced(n, other, "the log")),
            }
        }
        Ok(())
    }
}

fn misplaced(n: EventNumber, fact: &Fact, entity: &'static str) -> ApplyError {
    ApplyError::Misplaced { n, fact: fact.name(), entity }
}
