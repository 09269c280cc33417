//! Everything that decisions rest on: a fold of the log, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use nox_contract::{
    Epoch, FrameNumber, Incarnation, JobId, JobState, Manifest, ModuleName, Positions,
    SchedulerConfig, TenantId, Timestamp, UserId, WaitingCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    apply::EndToTell,
    job::{Job, Phase},
    ledger::Ledger,
    queue::{ClassKey, Queue, Rank},
    worker::Workers,
};

/// How long an ended job or session is remembered, so that a repeated submit or `hello` finds it.
/// Much longer than any gateway retries a publish.
pub const ENDED_REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// The fold of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last message folded, or the frame that is being folded.
    pub n: FrameNumber,
    /// Its instant.
    pub at: Timestamp,
    /// The entries of frame `n` that were folded, while it is not whole.
    #[serde(skip)]
    pub(crate) entries: u32,
    /// How far the inputs are consumed, as the last whole frame says.
    pub pos: Positions,
    pub epoch: Epoch,
    /// When the present term began.
    pub epoch_at: Timestamp,
    /// The lives of the input streams that `pos` belongs to.
    pub commands: Incarnation,
    pub reports: Incarnation,
    pub config: Option<SchedulerConfig>,
    pub modules: BTreeMap<ModuleName, Module>,
    pub workers: Workers,
    pub ledger: Ledger,
    /// Jobs that have not ended, and canceled ones that still hold a slot.
    pub(crate) jobs: BTreeMap<JobId, ActiveJob>,
    /// Jobs that ended lately, and the order in which they did.
    pub(crate) ended: BTreeMap<JobId, EndedJob>,
    pub(crate) ended_order: VecDeque<(Timestamp, JobId)>,
    /// The newest `submitted` among ended jobs that are no longer remembered.
    pub forgotten: FrameNumber,
    /// Jobs that ended, with dependents that are still to be told.
    pub(crate) ends_to_tell: VecDeque<EndToTell>,
    // Derived from the above, and rebuilt from it after a snapshot.
    #[serde(skip)]
    pub(crate) queue: Queue,
    #[serde(skip)]
    pub(crate) timers: BTreeSet<(Timestamp, JobId)>,
    #[serde(skip)]
    pub(crate) dependents: BTreeMap<JobId, BTreeSet<JobId>>,
    #[serde(skip)]
    pub(crate) unblocked: BTreeSet<JobId>,
}

/// A module as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    pub manifest: Manifest,
    pub enabled: bool,
    /// Attempts that hold a slot.
    pub running: u32,
}

/// A job that has not ended, with what decisions need beside its life cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveJob {
    pub job: Job,
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub fingerprint: Option<Fingerprint>,
    /// Which entry of the frame `submitted_n` made the job: first come, first served.
    pub submitted_place: u32,
    /// Core seconds still reserved, and the period they are reserved in.
    pub reserved: i64,
    pub period: Timestamp,
    /// Core milliseconds that ended attempts used.
    pub used_core_ms: u64,
    /// Jobs that have to succeed first.
    pub after: BTreeSet<JobId>,
    /// The first of them that ended otherwise, and how: it never will.
    pub doomed: Option<(JobId, JobState)>,
}

/// What is remembered of an ended job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub state: JobState,
    pub n: FrameNumber,
    pub submitted_n: FrameNumber,
    pub fingerprint: Option<Fingerprint>,
}

/// What tells a request from another one under the same key: of the text that the submit names, a hash,
/// for there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
        Self(bytes)
    }
}

impl ActiveJob {
    /// Whom the match takes it for the like of.
    pub(crate) fn class(&self) -> ClassKey {
        ClassKey {
            tenant: self.tenant.clone(),
            user_id: self.user_id.clone(),
            resources: self.job.requested_resources,
            isolated: self.job.is_isolated(),
        }
    }

    /// Core milliseconds of an attempt that ran for `wall_ms`. A worker may claim any span, so this
    /// stops at what can be counted.
    pub(crate) fn core_ms(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_mul(u64::from(self.job.requested_resources.cpu))
    }
}

impl State {
    /// The job, unless it ended.
    pub fn job(&self, job: JobId) -> Option<&ActiveJob> {
        self.jobs.get(&job)
    }

    /// Whether the job exists and has not ended.
    pub(crate) fn is_open(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|job| !job.job.state().is_ended())
    }

    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &ActiveJob)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// What is remembered of a job that ended lately.
    pub fn ended(&self, job: JobId) -> Option<&EndedJob> {
        self.ended.get(&job)
    }

    /// When the next job that waits for an instant may run, and which; earliest first.
    pub fn timers(&self) -> impl Iterator<Item = (Timestamp, JobId)> {
        self.timers.iter().copied()
    }

    /// Whether a match could change anything that a queued job waits for.
    pub fn has_waiting(&self) -> bool {
        !self.queue.modules.is_empty() || !self.unblocked.is_empty()
    }

    /// Whether jobs wait for no other one any more, and the match has yet to say so.
    pub fn has_unblocked(&self) -> bool {
        !self.unblocked.is_empty()
    }

    /// How many kinds of jobs wait for the match.
    pub fn waiting_classes(&self) -> usize {
        self.queue.classes()
    }

    /// Rebuilds the derived indexes; after reading a snapshot.
    pub fn reindex(&mut self) {
        self.workers.reindex();
        self.queue = Queue::default();
        self.timers.clear();
        self.dependents.clear();
        self.unblocked.clear();
        self.share_names();
        let ids: Vec<_> = self.jobs.keys().copied().collect();
        for id in ids {
            self.index(id);
            let Some(job) = self.jobs.get(&id) else { continue };
            let open: Vec<_> = job.after.iter().copied().filter(|id| self.is_open(*id)).collect();
            for dependency in open {
                self.dependents.entry(dependency).or_default().insert(id);
            }
        }
    }

    /// Makes all jobs of an owner, and of a module, share one copy of each name.
    fn share_names(&mut self) {
        for job in self.jobs.values_mut() {
            self.ledger.share_names(&mut job.tenant, &mut job.user_id);
            if let Some((name, _)) = self.modules.get_key_value(&job.module) {
                job.module = name.clone();
            }
        }
        for job in self.ended.values_mut() {
            self.ledger.share_names(&mut job.tenant, &mut job.user_id);
        }
    }

    fn ageing_ms(&self) -> u64 {
        self.config.as_ref().map_or(0, |config| config.ageing_ms)
    }

    /// Enters a job where the match or the timer will find it.
    pub(crate) fn index(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Phase::Queued { waiting } = job.job.phase else { return };
        match waiting {
            WaitingCode::Scheduled | WaitingCode::Backoff => {
                self.timers.insert((job.job.due_at.unwrap_or(job.job.created_at), id));
            }
            WaitingCode::Dependency => {
                if job.doomed.is_some() || job.after.is_empty() {
                    self.unblocked.insert(id);
                }
            }
            code => {
                let (key, rank) = self.place_in_queue(job);
                let module = job.module.clone();
                self.queue.insert(&module, &key, rank, code, id);
            }
        }
    }

    /// Takes a job out of where [`Self::index`] entered it.
    pub(crate) fn unindex(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Phase::Queued { waiting } = job.job.phase else { return };
        match waiting {
            WaitingCode::Scheduled | WaitingCode::Backoff => {
                self.timers.remove(&(job.job.due_at.unwrap_or(job.job.created_at), id));
            }
            WaitingCode::Dependency => {
                self.unblocked.remove(&id);
            }
            code => {
                let (key, rank) = self.place_in_queue(job);
                let module = job.module.clone();
                self.queue.remove(&module, &key, rank, code);
            }
        }
    }

    fn place_in_queue(&self, job: &ActiveJob) -> (ClassKey, Rank) {
        let submitted = (job.job.submitted_n, job.submitted_place);
        let rank = Rank::new(job.job.created_at, job.job.priority, self.ageing_ms(), submitted);
        (job.class(), rank)
    }

    /// Checks what must hold after every frame; for tests and the simulation.
    pub fn check(&self) -> Result<(), String> {
        let mut reserved: BTreeMap<(&TenantId, Option<&UserId>, Timestamp), i64> = BTreeMap::new();
        let mut queued: BTreeMap<(&TenantId, Option<&UserId>), u32> = BTreeMap::new();
        let mut running: BTreeMap<(&TenantId, Option<&UserId>), u32> = BTreeMap::new();
        let mut of_module: BTreeMap<&ModuleName, u32> = BTreeMap::new();
        for (id, job) in &self.jobs {
            for user in [None, Some(&job.user_id)] {
                *reserved.entry((&job.tenant, user, job.period)).or_default() += job.reserved;
                *queued.entry((&job.tenant, user)).or_default() +=
                    u32::from(!job.job.state().is_ended());
                *running.entry((&job.tenant, user)).or_default() +=
                    u32::from(job.job.worker_id().is_some());
            }
            *of_module.entry(&job.module).or_default() += u32::from(job.job.worker_id().is_some());
            let held = self
                .workers
                .iter()
                .filter(|(_, worker)| worker.assignments.contains_key(id))
                .count();
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
        for (id, worker) in self.workers.iter() {
            let mut used = nox_contract::Capacity::default();
            for (job, assignment) in &worker.assignments {
                used.take(&assignment.resources);
                let holder = self.jobs.get(job).and_then(|job| job.job.worker_id());
                if holder != Some(id) {
                    return Err(format!("worker {id} holds {job}, which {holder:?} has"));
                }
            }
            let alone =
                |id: &JobId| worker.assignments.len() == 1 && worker.assignments.contains_key(id);
            if worker.isolated.is_some_and(|job| !alone(&job)) {
                return Err(format!("worker {id} runs {:?}, not alone", worker.isolated));
            }
            if used != worker.used {
                return Err(format!("worker {id} uses {used:?}, counts {:?}", worker.used));
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
