//! What is set aside because this version does not know a fact of it: a newer one led, and does so no more.
//!
//! Of what is parked nothing is decided, and no fact of it is folded but what jobs reserve, for accounts are
//! everybody's, and which worker has them, for whatever else runs there is in their company. A version that knows the facts folds the log anew, from before the first of them, and so takes
//! up all of it again. Accounts, API keys and the log itself cannot be parked: others rest on them, and every guess would
//! be wrong for somebody ([`can_be_parked`]).

use std::collections::BTreeMap;

use nox_contract::{
    Entity, Fact, FrameNumber, JobId, ModuleName, RawJson, Resources, ScheduleId, TenantId,
    Timestamp, TopicName, WebhookId, WorkerId,
};
use serde::{Deserialize, Serialize};

use crate::state::Owner;

/// Most facts that are kept to see whether a version knows them, one of each kind. Of more kinds, the first.
const SAMPLES_MAX: usize = 64;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 200;

/// All that is parked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parking {
    /// The first frame with a fact that is not known; 0 without any.
    since: FrameNumber,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    jobs: BTreeMap<JobId, ParkedJob>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    schedules: BTreeMap<ScheduleId, Parked>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    workers: BTreeMap<WorkerId, Parked>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    modules: BTreeMap<ModuleName, Parked>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    topics: BTreeMap<TenantId, BTreeMap<TopicName, Parked>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    webhooks: BTreeMap<WebhookId, Parked>,
    /// One fact for each reason.
    samples: BTreeMap<String, RawJson>,
}

/// Why, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub n: FrameNumber,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedJob {
    #[serde(flatten)]
    pub parked: Parked,
    /// Its very first facts are not known, so that there is no such job here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
    /// The worker that has an attempt of it which was assigned since, see [`crate::worker::Worker::aside`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    /// Losses since that it may have caused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicions: u32,
    /// What its next attempt is given, if that was said since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ParkedJob {
    fn new(parked: Parked) -> Self {
        Self { parked, unseen: None, worker_id: None, suspicions: 0, resources: None }
    }
}

/// What is known of a job that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    pub owner: Owner,
    /// Core seconds that it reserves, and in which period.
    pub reserved: i64,
    pub period: Timestamp,
}

/// Whether what is about `entity` can be set aside, so that everybody else goes on.
pub fn can_be_parked(entity: &Entity) -> bool {
    match entity {
        Entity::Job { .. }
        | Entity::Schedule { .. }
        | Entity::Worker(_)
        | Entity::Module(_)
        | Entity::Topic { .. }
        | Entity::Webhook { .. } => true,
        Entity::Account { .. } | Entity::Key { .. } | Entity::Control => false,
    }
}

/// Why a fact is not known, in a few words.
pub fn reason_of(fact: &RawJson) -> String {
    let text = match serde_json::from_str::<Fact>(fact.get()) {
        Ok(_) => "it is known".to_owned(),
        Err(error) => error.to_string(),
    };
    // What is expected instead is a list of all facts that there are.
    let text = text.split(", expected").next().unwrap_or_default();
    text[..text.floor_char_boundary(REASON_BYTES_MAX)].to_owned()
}

impl Parking {
    pub fn is_empty(&self) -> bool {
        self.since == FrameNumber(0)
    }

    /// The first frame with a fact that is not known, if there is one.
    pub fn since(&self) -> Option<FrameNumber> {
        Some(self.since).filter(|_| !self.is_empty())
    }

    /// Whether this version knows something of what an earlier fold has set aside.
    pub fn is_known_now(&self) -> bool {
        self.samples.values().any(|fact| serde_json::from_str::<Fact>(fact.get()).is_ok())
    }

    pub fn job(&self, id: JobId) -> Option<&ParkedJob> {
        self.jobs.get(&id)
    }

    /// The job that is parked and is not there, if it is one.
    pub fn unseen(&self, id: JobId) -> Option<&Unseen> {
        self.jobs.get(&id)?.unseen.as_ref()
    }

    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &ParkedJob)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    pub fn schedule(&self, id: ScheduleId) -> Option<&Parked> {
        self.schedules.get(&id)
    }

    pub fn worker(&self, id: &WorkerId) -> Option<&Parked> {
        self.workers.get(id)
    }

    pub fn module(&self, name: &ModuleName) -> Option<&Parked> {
        self.modules.get(name)
    }

    /// Whether any module is: how many were registered is not known then.
    pub fn has_modules(&self) -> bool {
        !self.modules.is_empty()
    }

    pub fn topic(&self, tenant: &TenantId, topic: &TopicName) -> Option<&Parked> {
        self.topics.get(tenant)?.get(topic)
    }

    /// Why `entity` is parked, if it is.
    pub fn of(&self, entity: &Entity) -> Option<&Parked> {
        match entity {
            Entity::Job { job_id, .. } => self.jobs.get(job_id).map(|job| &job.parked),
            Entity::Schedule { schedule_id, .. } => self.schedule(*schedule_id),
            Entity::Worker(worker) => self.worker(worker),
            Entity::Module(module) => self.module(module),
            Entity::Topic { tenant, topic } => self.topic(tenant, topic),
            Entity::Webhook { webhook_id, .. } => self.webhooks.get(webhook_id),
            Entity::Account { .. } | Entity::Key { .. } | Entity::Control => None,
        }
    }

    /// How many there are of each kind.
    pub fn counts(&self) -> [(&'static str, usize); 6] {
        [
            ("job", self.jobs.len()),
            ("schedule", self.schedules.len()),
            ("worker", self.workers.len()),
            ("module", self.modules.len()),
            ("topic", self.topics.values().map(BTreeMap::len).sum()),
            ("webhook", self.webhooks.len()),
        ]
    }

    /// Sets `entity` aside from frame `n` on, unless it is already. `fact` is the one that is not known; without one, it
    /// is something else that `reason` names.
    pub(crate) fn park(
        &mut self,
        entity: &Entity,
        n: FrameNumber,
        reason: String,
        fact: Option<&RawJson>,
    ) {
        if self.is_empty() {
            self.since = n;
        }
        if let Some(fact) = fact
            && self.samples.len() < SAMPLES_MAX
        {
            self.samples.entry(reason.clone()).or_insert_with(|| fact.clone());
        }
        let parked = Parked { n, reason };
        match entity {
            Entity::Job { job_id, .. } => {
                self.jobs.entry(*job_id).or_insert(ParkedJob::new(parked));
            }
            Entity::Schedule { schedule_id, .. } => {
                self.schedules.entry(*schedule_id).or_insert(parked);
            }
            Entity::Worker(worker) => {
                self.workers.entry(worker.clone()).or_insert(parked);
            }
            Entity::Module(module) => {
                self.modules.entry(module.clone()).or_insert(parked);
            }
            Entity::Topic { tenant, topic } => {
                let of_tenant = self.topics.entry(tenant.clone()).or_default();
                of_tenant.entry(topic.clone()).or_insert(parked);
            }
            Entity::Webhook { webhook_id, .. } => {
                self.webhooks.entry(*webhook_id).or_insert(parked);
            }
            Entity::Account { .. } | Entity::Key { .. } | Entity::Control => {}
        }
    }

    /// A parked job that is not there is this owner's.
    pub(crate) fn see(&mut self, id: JobId, owner: &Owner) {
        let begin = || Unseen { owner: owner.clone(), reserved: 0, period: Timestamp::default() };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.unseen.get_or_insert_with(begin);
        }
    }

    /// A parked job, to change what is known of it.
    pub(crate) fn job_mut(&mut self, id: JobId) -> Option<&mut ParkedJob> {
        self.jobs.get_mut(&id)
    }

    /// What is known of a parked job that is not there, to change it.
    pub(crate) fn unseen_mut(&mut self, id: JobId) -> Option<&mut Unseen> {
        self.jobs.get_mut(&id)?.unseen.as_mut()
    }
}
