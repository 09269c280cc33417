//! Topics: what workers claim tasks of, and the tasks that wait there.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{JobId, RawJson, TenantId, TopicName, UserId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::{state::Owner, turn::Rank};

/// A topic that workers registered. It goes when nobody registers it and no task of it is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// BLAKE3 of its schema: all that register it say the same.
    pub schema_hash: String,
    /// Tasks that have not ended.
    pub open: u32,
    /// Those that wait to be claimed, by who submitted them: one who runs as much as may be is passed over whole.
    #[serde(skip)]
    waiting: BTreeMap<UserId, BTreeMap<Rank, JobId>>,
    /// Workers that claim tasks of it.
    #[serde(skip)]
    workers: BTreeSet<WorkerId>,
}

impl Topic {
    /// What [`Self::schema_hash`] is for this schema.
    pub fn hash(schema: &RawJson) -> String {
        blake3::hash(schema.get().as_bytes()).to_hex().to_string()
    }

    /// Whether nobody needs it any more.
    pub fn is_orphan(&self) -> bool {
        self.workers.is_empty() && self.open == 0
    }

    /// The first task that waits of each user.
    pub fn firsts(&self) -> impl Iterator<Item = (&UserId, Rank, JobId)> {
        self.waiting.iter().filter_map(|(user, tasks)| {
            let (rank, job) = tasks.first_key_value()?;
            Some((user, *rank, *job))
        })
    }

    /// The last one of each, for a negative control.
    pub fn lasts(&self) -> impl Iterator<Item = (&UserId, Rank, JobId)> {
        self.waiting.iter().filter_map(|(user, tasks)| {
            let (rank, job) = tasks.last_key_value()?;
            Some((user, *rank, *job))
        })
    }
}

/// The topics of all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topics {
    by_tenant: BTreeMap<TenantId, BTreeMap<TopicName, Topic>>,
}

impl Topics {
    pub fn get(&self, tenant: &TenantId, topic: &TopicName) -> Option<&Topic> {
        self.by_tenant.get(tenant)?.get(topic)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &TopicName, &Topic)> {
        self.by_tenant.iter().flat_map(|(tenant, topics)| {
            topics.iter().map(move |(name, topic)| (tenant, name, topic))
        })
    }

    /// How many a tenant has.
    pub fn count(&self, tenant: &TenantId) -> usize {
        self.by_tenant.get(tenant).map_or(0, BTreeMap::len)
    }

    fn get_mut(&mut self, tenant: &TenantId, topic: &TopicName) -> Option<&mut Topic> {
        self.by_tenant.get_mut(tenant)?.get_mut(topic)
    }

    pub(crate) fn register(&mut self, tenant: &TenantId, topic: &TopicName, schema: &RawJson) {
        let of_tenant = self.by_tenant.entry(tenant.clone()).or_default();
        of_tenant.entry(topic.clone()).or_default().schema_hash = Topic::hash(schema);
    }

    pub(crate) fn remove(&mut self, tenant: &TenantId, topic: &TopicName) {
        let Some(topics) = self.by_tenant.get_mut(tenant) else { return };
        topics.remove(topic);
        if topics.is_empty() {
            self.by_tenant.remove(tenant);
        }
    }

    pub(crate) fn count_open(&mut self, tenant: &TenantId, topic: &TopicName, change: i32) {
        if let Some(topic) = self.get_mut(tenant, topic) {
            topic.open = topic.open.saturating_add_signed(change);
        }
    }

    pub(crate) fn enqueue(&mut self, owner: &Owner, topic: &TopicName, rank: Rank, job: JobId) {
        if let Some(topic) = self.get_mut(&owner.tenant, topic) {
            topic.waiting.entry(owner.user_id.clone()).or_default().insert(rank, job);
        }
    }

    pub(crate) fn dequeue(&mut self, owner: &Owner, topic: &TopicName, rank: Rank) {
        let Some(topic) = self.get_mut(&owner.tenant, topic) else { return };
        let Some(tasks) = topic.waiting.get_mut(&owner.user_id) else { return };
        tasks.remove(&rank);
        if tasks.is_empty() {
            topic.waiting.remove(&owner.user_id);
        }
    }

    pub(crate) fn join(&mut self, tenant: &TenantId, topic: &TopicName, worker: &WorkerId) {
        if let Some(topic) = self.get_mut(tenant, topic) {
            topic.workers.insert(worker.clone());
        }
    }

    pub(crate) fn leave(&mut self, tenant: &TenantId, topic: &TopicName, worker: &WorkerId) {
        if let Some(topic) = self.get_mut(tenant, topic) {
            topic.workers.remove(worker);
        }
    }

    /// A copy without what is derived from jobs and workers.
    pub(crate) fn to_snapshot(&self) -> Self {
        let bare = |topic: &Topic| Topic {
            schema_hash: topic.schema_hash.clone(),
            open: topic.open,
            ..Topic::default()
        };
        let of_tenant = |topics: &BTreeMap<TopicName, Topic>| {
            topics.iter().map(|(name, topic)| (name.clone(), bare(topic))).collect()
        };
        let by_tenant = self.by_tenant.iter().map(|(name, of)| (name.clone(), of_tenant(of)));
        Self { by_tenant: by_tenant.collect() }
    }
}
