//! Everything that decisions rest on: a fold of the log, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

use nox_contract::{
    Concurrency, Entity, Epoch, Fact, FrameNumber, Incarnation, JobId, JobState, ModuleName,
    Positions, SchedulerConfig, TenantId, Timestamp, TopicName, UserId, WaitingCode,
};
use serde::{Deserialize, Serialize};

use crate::{
    api_keys::{ApiKeys, Gone},
    apply::EndToTell,
    concurrency::Keys,
    ended::{Ended, EndedJob, Request},
    job::{Job, Phase},
    ledger::Ledger,
    pace::Pace,
    parking::Parking,
    queue::{ClassKey, Queue, Spot},
    registrations::Registrations,
    schedules::{Schedule, Schedules},
    topics::Topics,
    turn::{Rank, Standing},
    versions::Versions,
    webhooks::Webhooks,
    worker::Workers,
};

/// How long an ended session is remembered, so that a repeated `hello` finds it. Much longer than any
/// worker tries to say it.
pub const SESSIONS_REMEMBERED: Duration = Duration::from_secs(15 * 60);

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
    /// How often a version of a module was registered.
    #[serde(default)]
    pub registrations: u64,
    pub workers: Workers,
    #[serde(default)]
    pub topics: Topics,
    pub ledger: Ledger,
    #[serde(default, skip_serializing_if = "ApiKeys::is_empty")]
    pub api_keys: ApiKeys,
    #[serde(default, skip_serializing_if = "Schedules::is_empty")]
    pub schedules: Schedules,
    #[serde(default, skip_serializing_if = "Webhooks::is_empty")]
    pub webhooks: Webhooks,
    #[serde(default, skip_serializing_if = "Gone::is_empty")]
    pub gone: Gone,
    /// What this version does not know all facts of.
    #[serde(default, skip_serializing_if = "Parking::is_empty")]
    pub parking: Parking,
    /// Jobs that have not ended, and canceled ones that still hold a slot.
    pub(crate) jobs: BTreeMap<JobId, Arc<ActiveJob>>,
    /// W3C `traceparent` of those of them that were submitted with one, for what is published of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) traces: BTreeMap<JobId, Box<str>>,
    /// Jobs that ended lately.
    pub(crate) ended: Ended,
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
    #[serde(skip)]
    pub(crate) keys: Keys,
}

/// A module as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    pub versions: Versions,
    #[serde(default, skip_serializing_if = "Registrations::is_empty")]
    pub registrations: Registrations,
    pub enabled: bool,
    /// Attempts that hold a slot.
    pub running: u32,
    /// How far its starts have come, where there is a limit.
    #[serde(default, skip_serializing_if = "Pace::is_unused")]
    pub pace: Pace,
}

/// What a job needs of a worker beside room.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Needs {
    /// The version of its module.
    pub version: String,
    /// Labels, all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<String>,
    /// It is a task, and claimed by a worker of this topic of its tenant; nobody is given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// How many of its key may run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
}

/// A job that has not ended, with what decisions need beside its life cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveJob {
    pub job: Job,
    pub owner: Owner,
    pub needs: Arc<Needs>,
    pub request: Request,
    /// When it was submitted, if it was a draft before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Box<Timestamp>>,
    /// Which entry of the frame `submitted_n` made the job: first come, first served.
    pub submitted_place: u32,
    /// Core seconds still reserved, and the period they are reserved in.
    pub reserved: i64,
    pub period: Timestamp,
    /// Core milliseconds that ended attempts used.
    pub used_core_ms: u64,
    /// What it waits for, if it had to wait for other jobs when it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Box<Dependencies>>,
}

/// Whose a job is, and of which module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
}

/// Jobs that have to succeed before another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    pub open: BTreeSet<JobId>,
    /// The first of them that ended otherwise, and how: it never will.
    pub doomed: Option<(JobId, JobState)>,
}

impl ActiveJob {
    /// Whom the match takes it for the like of.
    pub(crate) fn class(&self) -> ClassKey {
        ClassKey {
            tenant: self.owner.tenant.clone(),
            user_id: self.owner.user_id.clone(),
            priority: self.job.priority,
            resources: self.job.resources(),
            needs: self.needs.clone(),
            isolated: self.job.is_isolated(),
        }
    }

    /// Whether no other job holds it back any more, be it that it will never run.
    fn is_unblocked(&self) -> bool {
        self.dependencies.as_ref().is_none_or(|of| of.doomed.is_some() || of.open.is_empty())
    }

    /// Core milliseconds of an attempt that ran for `wall_ms`. A worker may claim any span, so this
    /// stops at what can be counted.
    pub(crate) fn core_ms(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_mul(u64::from(self.job.requested_resources.cpu))
    }
}

impl State {
    /// The `traceparent` of the job's submitter.
    pub fn traceparent(&self, job: JobId) -> Option<&str> {
        self.traces.get(&job).map(|trace| &**trace)
    }

    /// Whose the schedule, webhook or key is that `facts` are to be said of, upon this state; `None` of everything else.
    pub fn owner_of<'a>(&'a self, entity: &Entity, facts: &'a [Fact]) -> Option<&'a UserId> {
        let first = facts.first();
        match (entity, first) {
            (Entity::Key { .. }, Some(Fact::KeyCreated { by, .. })) => Some(by),
            (Entity::Schedule { .. }, Some(Fact::ScheduleSet { owner, .. }))
            | (Entity::Webhook { .. }, Some(Fact::WebhookSet { owner, .. })) => Some(owner),
            (Entity::Key { key_id, .. }, _) => self.api_keys.get(key_id).map(|key| &key.by),
            (Entity::Schedule { schedule_id, .. }, _) => {
                self.schedules.get(*schedule_id).map(|schedule| &schedule.owner)
            }
            (Entity::Webhook { webhook_id, .. }, _) => {
                self.webhooks.get(webhook_id).map(|webhook| &webhook.owner)
            }
            (
                Entity::Job { .. }
                | Entity::Account { .. }
                | Entity::Worker(_)
                | Entity::Module(_)
                | Entity::Topic { .. }
                | Entity::Control,
                _,
            ) => None,
        }
    }

    /// The job, unless it ended.
    pub fn job(&self, job: JobId) -> Option<&ActiveJob> {
        self.jobs.get(&job).map(|job| &**job)
    }

    /// Whether the job exists and has not ended.
    pub(crate) fn is_open(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|job| !job.job.state().is_ended())
    }

    /// Whether a job of the schedule has not ended.
    pub fn has_open_job(&self, schedule: &Schedule) -> bool {
        schedule.open_jobs.iter().any(|job| self.is_open(*job))
    }

    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &ActiveJob)> {
        self.jobs.iter().map(|(id, job)| (*id, &**job))
    }

    /// What is remembered of a job that ended lately.
    pub fn ended(&self, job: JobId) -> Option<EndedJob> {
        self.ended.get(job)
    }

    /// Whether a submit of `job`, which is not known here, may repeat one that ran and is forgotten.
    pub(crate) fn may_be_forgotten(&self, job: JobId, seen: FrameNumber) -> bool {
        self.ended.may_be_forgotten(job, seen)
    }

    /// How many ended jobs are remembered.
    pub fn ended_remembered(&self) -> usize {
        self.ended.len()
    }

    /// The configuration in force; the defaults before a leader has said anything.
    pub(crate) fn in_force(&self) -> &SchedulerConfig {
        self.config.as_ref().unwrap_or(&DEFAULTS)
    }

    /// When the next job that waits for an instant may run, and which; earliest first.
    pub fn timers(&self) -> impl Iterator<Item = (Timestamp, JobId)> {
        self.timers.iter().copied()
    }

    /// Whether a match could change anything that a queued job waits for.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.unblocked.is_empty()
    }

    /// Whether jobs wait for no other one any more, and the match has yet to say so.
    pub fn has_unblocked(&self) -> bool {
        !self.unblocked.is_empty()
    }

    /// Whether attempts of sessions that are over are still to be said to be lost, of jobs that are not parked.
    pub fn has_losses(&self) -> bool {
        let mut held = self.workers.departed().flat_map(|of| of.assignments.keys());
        match self.parking.is_empty() {
            true => self.workers.has_departed(),
            false => held.any(|id| self.parking.job(*id).is_none()),
        }
    }

    /// The job, to change it. A snapshot that has not been written yet keeps its own copy.
    pub(crate) fn job_mut(&mut self, job: JobId) -> Option<&mut ActiveJob> {
        self.jobs.get_mut(&job).map(Arc::make_mut)
    }

    /// A copy of what a snapshot holds, without what [`Self::reindex`] makes of it. Taken within a leader's
    /// turn, so it shares what it can with the state that goes on.
    pub fn to_snapshot(&self) -> Self {
        Self {
            n: self.n,
            at: self.at,
            entries: self.entries,
            pos: self.pos,
            epoch: self.epoch,
            epoch_at: self.epoch_at,
            commands: self.commands.clone(),
            reports: self.reports.clone(),
            config: self.config.clone(),
            modules: self.modules.clone(),
            registrations: self.registrations,
            workers: self.workers.clone(),
            topics: self.topics.to_snapshot(),
            ledger: self.ledger.clone(),
            api_keys: self.api_keys.clone(),
            schedules: self.schedules.clone(),
            webhooks: self.webhooks.clone(),
            gone: self.gone.clone(),
            parking: self.parking.clone(),
            jobs: self.jobs.clone(),
            traces: self.traces.clone(),
            ended: self.ended.clone(),
            ends_to_tell: self.ends_to_tell.clone(),
            queue: Queue::default(),
            timers: BTreeSet::new(),
            dependents: BTreeMap::new(),
            unblocked: BTreeSet::new(),
            keys: Keys::default(),
        }
    }

    /// Rebuilds the derived indexes; after reading a snapshot.
    pub fn reindex(&mut self) {
        self.workers.reindex();
        self.schedules.reindex();
        self.topics = self.topics.to_snapshot();
        let workers: Vec<_> = self.workers.iter().map(|(id, _)| id.clone()).collect();
        workers.iter().for_each(|id| self.join_topics(id));
        self.queue = Queue::default();
        self.timers.clear();
        self.dependents.clear();
        self.unblocked.clear();
        self.keys = Keys::default();
        self.share_names();
        let ids: Vec<_> = self.jobs.keys().copied().collect();
        for id in ids {
            self.index(id);
            let Some(job) = self.jobs.get(&id) else { continue };
            if let Some(concurrency) = &job.needs.concurrency
                && job.job.worker_id().is_some()
            {
                self.keys.take(&job.owner.tenant, concurrency);
            }
            let Some(dependencies) = &job.dependencies else { continue };
            let open = dependencies.open.iter().copied().filter(|id| self.is_open(*id));
            for dependency in open.collect::<Vec<_>>() {
                self.dependents.entry(dependency).or_default().insert(id);
            }
        }
    }

    /// Makes all jobs of an owner, and of a module, share one copy of each name, and those that need the
    /// same one copy of that.
    fn share_names(&mut self) {
        let mut needs = BTreeSet::new();
        for job in self.jobs.values_mut() {
            let job = Arc::make_mut(job);
            share_names(&self.ledger, &self.modules, &mut job.owner);
            if let Some(same) = needs.get(&job.needs) {
                job.needs = Arc::clone(same);
            } else {
                needs.insert(job.needs.clone());
            }
        }
    }

    /// A copy of what the job needs that is shared with others like it, as far as they are easily found.
    pub(crate) fn shared(&self, module: &ModuleName, needs: Needs) -> Arc<Needs> {
        let same = self.queue.needs(module).find(|same| ***same == needs);
        same.cloned().unwrap_or_else(|| Arc::new(needs))
    }

    pub(crate) fn ageing_ms(&self) -> u64 {
        self.config.as_ref().map_or(0, |config| config.ageing_ms)
    }

    /// Enters a job where the match or the timer will find it.
    pub(crate) fn index(&mut self, id: JobId) {
        if self.parking.job(id).is_some() {
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let Phase::Queued { waiting } = job.job.phase else { return };
        match waiting {
            WaitingCode::Scheduled | WaitingCode::Backoff => {
                self.timers.insert((job.job.due_at.unwrap_or(job.job.created_at), id));
            }
            WaitingCode::Dependency => {
                if job.is_unblocked() {
                    self.unblocked.insert(id);
                }
            }
            code => {
                let (key, rank) = self.place_in_queue(job);
                match &job.needs.topic {
                    Some(topic) => self.topics.enqueue(&job.owner, topic, rank, id),
                    None => {
                        let spot = Spot { module: &job.owner.module, key: &key, rank };
                        let ageing_ms = self.ageing_ms();
                        let share = self.ledger.user(&key.tenant, &key.user_id).map(|of| &of.share);
                        let standing = || Standing::new(share, key.priority, ageing_ms);
                        self.queue.insert(&spot, code, id, standing);
                    }
                }
            }
        }
    }

    /// Takes a job out of where [`Self::index`] entered it.
    pub(crate) fn unindex(&mut self, id: JobId) {
        if self.parking.job(id).is_some() {
            return;
        }
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
                match &job.needs.topic {
                    Some(topic) => self.topics.dequeue(&job.owner, topic, rank),
                    None => {
                        let spot = Spot { module: &job.owner.module, key: &key, rank };
                        self.queue.remove(&spot, code);
                    }
                }
            }
        }
    }

    /// What a user holds or has used has changed, or one of its jobs was handed out.
    pub(crate) fn restand(&mut self, owner: &Owner) {
        let ageing_ms = self.ageing_ms();
        let Owner { tenant, user_id, .. } = owner;
        let share = self.ledger.user(tenant, user_id).map(|account| &account.share);
        self.queue.restand(tenant, user_id, |priority| Standing::new(share, priority, ageing_ms));
    }

    fn place_in_queue(&self, job: &ActiveJob) -> (ClassKey, Rank) {
        let submitted = (job.job.submitted_n, job.submitted_place);
        let queued_at = job.queued_at.as_deref().copied().unwrap_or(job.job.created_at);
        let rank = Rank::new(queued_at, job.job.priority, self.ageing_ms(), submitted);
        (job.class(), rank)
    }
}

/// In force before a leader has said anything.
pub(crate) static DEFAULTS: LazyLock<SchedulerConfig> = LazyLock::new(SchedulerConfig::default);

/// Takes the copies of an owner's names that accounts and modules have: one for millions of jobs.
pub(crate) fn share_names(
    ledger: &Ledger,
    modules: &BTreeMap<ModuleName, Module>,
    owner: &mut Owner,
) {
    ledger.share_names(&mut owner.tenant, &mut owner.user_id);
    if let Some((name, _)) = modules.get_key_value(&owner.module) {
        owner.module = name.clone();
    }
}
