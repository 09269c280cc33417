//! Entries of what is parked: nothing of them is folded but what others rest on.

use nox_contract::{Blame, Entity, Entry, Fact, FactOrUnknown, JobId, RawJson, WorkerId};

use super::ApplyError;
use crate::{
    job::SUSPICIONS_MAX,
    parking::{can_be_parked, reason_of},
    state::{Owner, State},
    worker::AsideSlot,
};

impl State {
    /// Whether an entry cannot be folded by this version, or follows one that could not; then it is set aside.
    ///
    /// # Errors
    /// It cannot be: too much rests on what it is about.
    pub(super) fn set_aside(&mut self, entry: &Entry, entity: &Entity) -> Result<bool, ApplyError> {
        let unknown = entry.facts.iter().find_map(|fact| match fact {
            FactOrUnknown::Unknown(raw) => Some(raw),
            FactOrUnknown::Known(_) => None,
        });
        if unknown.is_none() && self.parking.is_empty() {
            return Ok(false);
        }
        let n = self.n;
        if let Some(raw) = unknown {
            let reason = reason_of(raw);
            if !can_be_parked(entity) {
                return Err(ApplyError::UnknownFact { n, what: kind(entity), reason });
            }
            self.park(entity, reason, Some(raw));
        } else if let Some(worker) = self.unseen_worker(entry) {
            self.park(entity, format!("it is at worker {worker}, which is parked"), None);
        } else if self.parking.of(entity).is_none() {
            return Ok(false);
        }
        if let Entity::Job { tenant, job_id, user_id, module } = entity {
            let owner =
                Owner { tenant: tenant.clone(), user_id: user_id.clone(), module: module.clone() };
            if !self.jobs.contains_key(job_id) {
                self.parking.see(*job_id, &owner);
            }
            for fact in entry.known_facts() {
                self.move_beside(*job_id, &owner, fact);
            }
        }
        Ok(true)
    }

    fn park(&mut self, entity: &Entity, reason: String, fact: Option<&RawJson>) {
        match entity {
            Entity::Job { job_id, .. } => self.unindex(*job_id),
            Entity::Schedule { schedule_id, .. } => {
                self.schedules.change(*schedule_id, |schedule| schedule.parked = true);
            }
            Entity::Worker(worker) => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.parked = true;
                }
            }
            _ => {}
        }
        self.parking.park(entity, self.n, reason, fact);
    }

    /// A worker that the entry hands work to, and that is not there, for the facts by which it came are not known.
    fn unseen_worker<'e>(&self, entry: &'e Entry) -> Option<&'e WorkerId> {
        entry.known_facts().find_map(|fact| match fact {
            Fact::Assigned { worker_id, .. } => Some(worker_id)
                .filter(|id| self.workers.get(id).is_none() && self.parking.worker(id).is_some()),
            _ => None,
        })
    }

    /// What a fact of a parked job moves of others': its accounts, as far as they have what is moved; its worker's slots;
    /// and the numbers of its worker's work, of which none may be used twice.
    fn move_beside(&mut self, id: JobId, owner: &Owner, fact: &Fact) {
        match fact {
            Fact::Reserved { period, cpu_seconds } => {
                self.move_reserved(id, owner, fact, (*period, *cpu_seconds));
            }
            Fact::Settled { period, cpu_seconds, .. } | Fact::Released { period, cpu_seconds } => {
                self.move_reserved(id, owner, fact, (*period, -*cpu_seconds));
            }
            Fact::Assigned { worker_id, work, .. } => {
                self.use_work(worker_id, *work);
                self.free_aside(id);
                self.hold_aside(id, worker_id);
            }
            Fact::StopRequested { worker_id, work, .. } => self.use_work(worker_id, *work),
            Fact::AttemptLost { blame, .. } => {
                self.free_aside(id);
                if let (Blame::Suspected, Some(parked)) = (blame, self.parking.job_mut(id)) {
                    parked.suspicions += 1;
                }
            }
            Fact::Succeeded { .. } | Fact::AttemptFailed { .. } | Fact::Stopped { .. } => {
                self.free_aside(id);
            }
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
                if let Some(parked) = self.parking.job_mut(id) {
                    parked.resources = Some(submitted.requested_resources);
                }
            }
            Fact::RetryScheduled { resources: Some(resources), .. } => {
                if let Some(parked) = self.parking.job_mut(id) {
                    parked.resources = Some(*resources);
                }
            }
            _ => {}
        }
    }

    fn use_work(&mut self, worker_id: &WorkerId, work: nox_contract::WorkNumber) {
        if let Some(worker) = self.workers.get_mut(worker_id) {
            worker.next_work = worker.next_work.max(work.next());
        }
    }

    /// The worker has an attempt of the parked job from here on.
    fn hold_aside(&mut self, id: JobId, worker_id: &WorkerId) {
        let Self { jobs, parking, workers, .. } = self;
        let (Some(parked), Some(worker)) = (parking.job_mut(id), workers.get_mut(worker_id)) else {
            return;
        };
        let job = jobs.get(&id).map(|active| &active.job);
        let suspicions = parked.suspicions + job.map_or(0, |job| job.suspicions);
        let slot = AsideSlot {
            resources: parked.resources.or(job.map(crate::job::Job::resources)),
            isolated: suspicions >= SUSPICIONS_MAX,
        };
        parked.worker_id = Some(worker_id.clone());
        worker.aside.insert(id, slot);
    }

    /// Nobody has an attempt of the parked job any more that was assigned since it is parked.
    fn free_aside(&mut self, id: JobId) {
        let holder = self.parking.job_mut(id).and_then(|parked| parked.worker_id.take());
        if let Some(worker) = holder.and_then(|holder| self.workers.get_mut(&holder)) {
            worker.aside.remove(&id);
        }
    }

    fn move_reserved(
        &mut self,
        id: JobId,
        owner: &Owner,
        fact: &Fact,
        (period, change): (nox_contract::Timestamp, i64),
    ) {
        let Self { jobs, parking, ledger, .. } = self;
        let (reserved, of) = match jobs.get_mut(&id).map(std::sync::Arc::make_mut) {
            Some(active) => (&mut active.reserved, &mut active.period),
            None => match parking.unseen_mut(id) {
                Some(unseen) => (&mut unseen.reserved, &mut unseen.period),
                None => return,
            },
        };
        let same_period = *reserved == 0 || *of == period;
        let Some(after) = reserved.checked_add(change).filter(|after| *after >= 0) else { return };
        // What it follows may be the very fact that is not known here.
        if same_period && ledger.can_shift(&owner.tenant, &owner.user_id, period, fact) {
            (*reserved, *of) = (after, period);
            let shifted = ledger.shift(&owner.tenant, &owner.user_id, period, fact);
            debug_assert!(shifted.is_ok(), "it was asked: {shifted:?}");
        }
    }
}

fn kind(entity: &Entity) -> &'static str {
    match entity {
        Entity::Job { .. } => "a job",
        Entity::Account { .. } => "an account",
        Entity::Worker(_) => "a worker",
        Entity::Module(_) => "a module",
        Entity::Topic { .. } => "a topic",
        Entity::Key { .. } => "an API key",
        Entity::Schedule { .. } => "a schedule",
        Entity::Webhook { .. } => "a webhook",
        Entity::Control => "the log itself",
    }
}
