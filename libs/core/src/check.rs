//! What must hold of every state.

use std::collections::BTreeMap;

use nox_contract::{Capacity, JobId, ModuleName, TenantId, Timestamp, UserId};

use crate::{job::Phase, state::State};

impl State {
    /// Checks what must hold after every frame; for tests and the simulation.
    pub fn check(&self) -> Result<(), String> {
        let mut reserved: BTreeMap<(&TenantId, Option<&UserId>, Timestamp), i64> = BTreeMap::new();
        let mut queued: BTreeMap<(&TenantId, Option<&UserId>), u32> = BTreeMap::new();
        let mut drafts: BTreeMap<(&TenantId, Option<&UserId>), u32> = BTreeMap::new();
        let mut cores: BTreeMap<(&TenantId, &UserId), u64> = BTreeMap::new();
        let mut running: BTreeMap<(&TenantId, Option<&UserId>), u32> = BTreeMap::new();
        let mut of_module: BTreeMap<&ModuleName, u32> = BTreeMap::new();
        for (id, job) in &self.jobs {
            for user in [None, Some(&job.owner.user_id)] {
                let tenant = &job.owner.tenant;
                *reserved.entry((tenant, user, job.period)).or_default() += job.reserved;
                let is_draft = job.job.phase == Phase::Draft;
                *drafts.entry((tenant, user)).or_default() += u32::from(is_draft);
                *queued.entry((tenant, user)).or_default() +=
                    u32::from(!is_draft && !job.job.state().is_ended());
                *running.entry((tenant, user)).or_default() +=
                    u32::from(job.job.worker_id().is_some());
            }
            *of_module.entry(&job.owner.module).or_default() +=
                u32::from(job.job.worker_id().is_some());
            let live = self.workers.iter().map(|(_, worker)| &worker.assignments);
            let departed = self.workers.departed().map(|departed| &departed.assignments);
            let held: Vec<_> = live.chain(departed).filter_map(|held| held.get(id)).collect();
            let of_user = cores.entry((&job.owner.tenant, &job.owner.user_id)).or_default();
            *of_user += held.iter().map(|slot| u64::from(slot.resources.cpu)).sum::<u64>();
            let held = held.len();
            let expected = usize::from(job.job.worker_id().is_some());
            if held != expected {
                return Err(format!("job {id} in {:?} is held {held} times", job.job.phase));
            }
            if job.job.state().is_ended() && job.job.worker_id().is_none() {
                return Err(format!("job {id} ended and is still active"));
            }
            if job.job.phase == Phase::AttemptEnded {
                return Err(format!("job {id} was left between two attempts"));
            }
        }
        for unseen in self.parking.jobs().filter_map(|(_, job)| job.unseen.as_ref()) {
            let owner = &unseen.owner;
            for user in [None, Some(&owner.user_id)] {
                *reserved.entry((&owner.tenant, user, unseen.period)).or_default() +=
                    unseen.reserved;
            }
        }
        for (tenant, accounts) in &self.ledger.tenants {
            let users = accounts.users.iter().map(|(user, account)| (Some(user), account));
            for (user, account) in accounts.account.iter().map(|a| (None, a)).chain(users) {
                for (period, balance) in &account.periods {
                    let expected = reserved.remove(&(tenant, user, *period)).unwrap_or(0);
                    if !balance.is_balanced() || balance.reserved != expected {
                        return Err(format!(
                            "ledger of {tenant}/{user:?}: {balance:?}, jobs reserve {expected}"
                        ));
                    }
                }
                let expected = queued.get(&(tenant, user)).copied().unwrap_or(0);
                if account.queued_jobs != expected {
                    return Err(format!(
                        "{tenant}/{user:?} counts {} jobs, has {expected}",
                        account.queued_jobs
                    ));
                }
                let expected = drafts.get(&(tenant, user)).copied().unwrap_or(0);
                if account.drafts != expected {
                    return Err(format!(
                        "{tenant}/{user:?} counts {} drafts, has {expected}",
                        account.drafts
                    ));
                }
                let expected = user.and_then(|user| cores.get(&(tenant, user)).copied());
                if account.share.cores() != expected.unwrap_or(0) {
                    return Err(format!(
                        "{tenant}/{user:?} counts {} cores, has {expected:?}",
                        account.share.cores()
                    ));
                }
                let expected = running.get(&(tenant, user)).copied().unwrap_or(0);
                if account.running_jobs != expected {
                    return Err(format!(
                        "{tenant}/{user:?} counts {} attempts, has {expected}",
                        account.running_jobs
                    ));
                }
            }
        }
        if let Some((account, amount)) = reserved.iter().find(|(_, amount)| **amount != 0) {
            return Err(format!("{account:?} reserves {amount} in no period"));
        }
        for (name, module) in &self.modules {
            let expected = of_module.get(name).copied().unwrap_or(0);
            if module.running != expected {
                return Err(format!(
                    "module {name} counts {} attempts, has {expected}",
                    module.running
                ));
            }
        }
        for (tenant, key, holders) in self.keys.iter() {
            if holders.count > holders.least {
                return Err(format!("{tenant}: {key:?} is held as {holders:?} says"));
            }
        }
        for (id, worker) in self.workers.iter() {
            let mut used = Capacity::default();
            for (job, assignment) in &worker.assignments {
                used.take(&assignment.resources);
                let holder = self.jobs.get(job).and_then(|job| job.job.worker_id());
                if holder != Some(id) {
                    return Err(format!("worker {id} holds {job}, which {holder:?} has"));
                }
            }
            for job in worker.aside.keys() {
                let parked = self.parking.job(*job);
                if parked.and_then(|parked| parked.worker_id.as_ref()) != Some(id) {
                    return Err(format!("worker {id} is to have {job}, which is {parked:?}"));
                }
            }
            // Where a parked job is, is known as it was when it was parked.
            let alone = |id: &JobId| {
                let mut others = worker.assignments.keys().filter(|job| *job != id);
                worker.assignments.contains_key(id)
                    && others.all(|job| self.parking.job(*job).is_some())
            };
            if worker.isolated.is_some_and(|job| !alone(&job)) {
                return Err(format!("worker {id} runs {:?}, not alone", worker.isolated));
            }
            if worker.drained != self.workers.is_drained(id) {
                return Err(format!("worker {id} is drained and is not: {worker:?}"));
            }
            if used != worker.used {
                return Err(format!("worker {id} uses {used:?}, counts {:?}", worker.used));
            }
        }
        for departed in self.workers.departed() {
            let id = &departed.worker_id;
            if departed.assignments.is_empty() {
                return Err(format!("{departed:?} has nothing to be said of"));
            }
            for job in departed.assignments.keys() {
                let holder = self.jobs.get(job).and_then(|job| job.job.worker_id());
                if holder != Some(id) {
                    return Err(format!("{id} held {job}, which {holder:?} has"));
                }
            }
        }
        let mut rebuilt = self.clone();
        rebuilt.reindex();
        if rebuilt != *self {
            return Err("the indexes are not what the jobs say".to_owned());
        }
        Ok(())
    }
}
