//! The messages of NOX_EVENTS: frames.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    Asked, Asker, Entity, Epoch, Fact, FrameNumber, JobId, KeyId, ModuleName, Positions, RawJson,
    ScheduleId, TenantId, Timestamp, TopicName, UserId, WebhookId, WorkerId,
};

/// All that one turn of the leader decided, for any number of inputs, jobs and tenants; atomic,
/// because one message is.
///
/// It may end between any two parts of an input: whoever leads next goes on exactly at `pos`, so
/// nothing is ever half done. Its size is bounded by [`crate::FRAME_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// The message's place in the log: gapless, from 1. The broker's sequence is never an identity.
    pub n: FrameNumber,
    /// The term of the leader that wrote it.
    pub epoch: Epoch,
    /// When all of it was decided. Never decreases.
    pub at: Timestamp,
    /// The version of the deciding rules.
    pub rules: u32,
    /// The chain up to the message before: `b3:<64 hex digits>`. See [`crate::Chain`].
    pub prev: String,
    /// Everything consumed so far.
    pub pos: Positions,
    /// The inputs that are in no stream, whole, so that a replay can decide them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<RawJson>,
    /// Who asked for what was decided here, and what else a request of theirs said. For the audit alone: nothing is
    /// decided by these two, and no event has them. Older logs have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub askers: Vec<Asker>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// What became true, in the order in which it did. A frame without entries says that inputs were
    /// consumed, none of which caused a fact, or that its leader still leads.
    pub entries: Vec<Entry>,
}

impl Frame {
    /// Whether this can follow frames that say that the inputs are consumed as far as `before`.
    ///
    /// Positions never go back, whoever writes: they say what is decided, what a reader need not wait
    /// for and what may be removed. They begin anew where this very frame says that the stream is
    /// another one.
    pub fn positions_follow(&self, before: Positions) -> bool {
        let begins_anew = |stream: Source| {
            self.entries
                .iter()
                .flat_map(Entry::known_facts)
                .any(|fact| matches!(fact, Fact::InputsReset { src, .. } if *src == stream))
        };
        (self.pos.commands >= before.commands || begins_anew(Source::Commands))
            && (self.pos.reports >= before.reports || begins_anew(Source::Reports))
    }
}

/// All facts that one part of one input caused for one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub by: Cause,
    pub tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The owner of job, schedule or key: of a key, who made it. Nothing is decided by that of schedules and keys,
    /// which says who may be told of them, also when they are gone; older logs do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<WebhookId>,
    /// The trace of the request that submitted the job, if it had one. For whoever publishes the facts: nothing is
    /// decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Box<str>>,
    pub facts: Vec<FactOrUnknown>,
}

impl Entry {
    /// Facts about `entity`, caused by `by`.
    pub fn new(by: Cause, entity: Entity, facts: Vec<FactOrUnknown>) -> Self {
        let mut entry = Self {
            by,
            tenant: TenantId::system(),
            job_id: None,
            user_id: None,
            module: None,
            worker_id: None,
            account: None,
            topic: None,
            key_id: None,
            schedule_id: None,
            webhook_id: None,
            traceparent: None,
            facts,
        };
        match entity {
            Entity::Job { tenant, job_id, user_id, module } => {
                entry.tenant = tenant;
                entry.job_id = Some(job_id);
                entry.user_id = Some(user_id);
                entry.module = Some(module);
            }
            Entity::Account { tenant, account } => {
                entry.tenant = tenant;
                entry.account = Some(account);
            }
            Entity::Worker(worker) => entry.worker_id = Some(worker),
            Entity::Module(module) => entry.module = Some(module),
            Entity::Topic { tenant, topic } => {
                entry.tenant = tenant;
                entry.topic = Some(topic);
            }
            Entity::Key { tenant, key_id } => {
                entry.tenant = tenant;
                entry.key_id = Some(key_id);
            }
            Entity::Schedule { tenant, schedule_id } => {
                entry.tenant = tenant;
                entry.schedule_id = Some(schedule_id);
            }
            Entity::Webhook { tenant, webhook_id } => {
                entry.tenant = tenant;
                entry.webhook_id = Some(webhook_id);
            }
            Entity::Control => {}
        }
        entry
    }

    /// What the entry is about; `None` if its fields contradict each other.
    pub fn entity(&self) -> Option<Entity> {
        let tenant = self.tenant.clone();
        let of_others = self.job_id.is_some()
            || self.account.is_some()
            || self.worker_id.is_some()
            || self.module.is_some();
        match (self.topic.clone(), self.key_id, self.schedule_id, self.webhook_id) {
            (None, None, None, None) => {}
            _ if of_others => return None,
            (Some(topic), None, None, None) => return Some(Entity::Topic { tenant, topic }),
            (None, Some(key_id), None, None) => return Some(Entity::Key { tenant, key_id }),
            (None, None, Some(schedule_id), None) => {
                return Some(Entity::Schedule { tenant, schedule_id });
            }
            (None, None, None, Some(webhook_id)) => {
                return Some(Entity::Webhook { tenant, webhook_id });
            }
            _ => return None,
        }
        Some(match (self.job_id, &self.account, &self.worker_id, &self.module) {
            (Some(job_id), None, None, Some(module)) => Entity::Job {
                tenant,
                job_id,
                user_id: self.user_id.clone()?,
                module: module.clone(),
            },
            (None, Some(account), None, None) => {
                Entity::Account { tenant, account: account.clone() }
            }
            (None, None, Some(worker), None) => Entity::Worker(worker.clone()),
            (None, None, None, Some(module)) => Entity::Module(module.clone()),
            (None, None, None, None) => Entity::Control,
            _ => return None,
        })
    }

    /// The facts that this version of the code knows.
    pub fn known_facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter_map(|fact| match fact {
            FactOrUnknown::Known(fact) => Some(fact),
            FactOrUnknown::Unknown(_) => None,
        })
    }
}

/// A fact, or the bytes of one that a newer version wrote: its job is parked, never skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FactOrUnknown {
    Known(Fact),
    Unknown(RawJson),
}

impl<'de> Deserialize<'de> for FactOrUnknown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match serde_json::from_str(raw.get()) {
            Ok(fact) => Ok(Self::Known(fact)),
            Err(_) => RawJson::parse(raw.get().to_owned())
                .map(Self::Unknown)
                .map_err(serde::de::Error::custom),
        }
    }
}

impl From<Fact> for FactOrUnknown {
    fn from(fact: Fact) -> Self {
        Self::Known(fact)
    }
}

/// What caused an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub src: Source,
    /// The stream sequence of the input; for an input that is in no stream, its place in the frame's
    /// `inputs`, counted from 0.
    pub seq: u64,
    /// Which part of the input, counted from 0.
    pub part: u32,
}

/// Where inputs come from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// NOX_COMMANDS.
    Commands,
    /// NOX_REPORTS.
    Reports,
    /// Everything below is in no stream, and embedded whole.
    Timer,
    Detector,
    Match,
    Configuration,
    Operator,
}
