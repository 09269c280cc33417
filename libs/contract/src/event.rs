//! The messages of NOX_EVENTS.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    Epoch, EventNumber, Fact, JobId, ModuleName, RawJson, TenantId, Timestamp, UserId, WorkerId,
};

/// All facts that one part of one input caused for one entity: atomic, because one message is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The message's place in the log: gapless, from 1. The broker's sequence is never an identity.
    pub n: EventNumber,
    /// The term of the leader that wrote it.
    pub epoch: Epoch,
    /// When it was decided. Never decreases.
    pub at: Timestamp,
    /// The version of the deciding rules.
    pub rules: u32,
    /// The chain up to the message before: `b3:<64 hex digits>`. See [`Chain`].
    pub prev: String,
    pub input: InputRef,
    /// Everything consumed so far, this input included if this is its last message.
    pub pos: Positions,
    pub tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    pub facts: Vec<FactOrUnknown>,
}

/// What an event is about. A job's events also name its user and module, for readers that filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    Job {
        tenant: TenantId,
        job_id: JobId,
        user_id: UserId,
        module: ModuleName,
    },
    /// `tenant` or `user/<id>`.
    Account {
        tenant: TenantId,
        account: String,
    },
    Worker(WorkerId),
    Module(ModuleName),
    /// The log itself.
    Control,
}

impl Event {
    /// What the event is about; `None` if its fields contradict each other.
    pub fn entity(&self) -> Option<Entity> {
        let tenant = self.tenant.clone();
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

    /// Makes it about `entity`, which [`Self::entity`] then gives back. For an event that is about
    /// nothing yet: fields of another entity are not removed.
    pub fn set_entity(&mut self, entity: Entity) {
        match entity {
            Entity::Job { tenant, job_id, user_id, module } => {
                self.tenant = tenant;
                self.job_id = Some(job_id);
                self.user_id = Some(user_id);
                self.module = Some(module);
            }
            Entity::Account { tenant, account } => {
                self.tenant = tenant;
                self.account = Some(account);
            }
            Entity::Worker(worker) => self.worker_id = Some(worker),
            Entity::Module(module) => self.module = Some(module),
            Entity::Control => {}
        }
    }

    /// Whether this can follow events that say that the inputs are consumed as far as `before`.
    ///
    /// Positions never go back, whoever writes: they say what is decided, what a reader need not wait
    /// for and what may be removed. They begin anew where this very event says that the stream is
    /// another one.
    pub fn positions_follow(&self, before: Positions) -> bool {
        let begins_anew = |stream: Source| {
            self.known_facts()
                .any(|fact| matches!(fact, Fact::InputsReset { src, .. } if *src == stream))
        };
        (self.pos.commands >= before.commands || begins_anew(Source::Commands))
            && (self.pos.reports >= before.reports || begins_anew(Source::Reports))
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

/// What caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputRef {
    pub src: Source,
    /// The stream sequence of the input; for an input that is in no stream, the `n` of its first
    /// event.
    pub seq: u64,
    /// Which part of the input, counted from 0.
    pub part: u32,
    /// Whether this is the input's last event. An input without it was cut off, and the next leader
    /// completes it.
    pub last: bool,
    /// The whole input, on its first event, where it is in no stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<RawJson>,
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
    /// The end of a group of inputs, the last of which caused no fact.
    Mark,
}

/// How far the input streams are consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Positions {
    pub commands: u64,
    pub reports: u64,
}

/// Which life of a stream a position belongs to: sequences begin anew when a stream does.
///
/// The creation time as the broker tells it, and an id that we put into the stream's metadata.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Incarnation(pub String);

/// A place in a stream: a sequence, and the life of the stream that it counts in.
///
/// Places in two lives of a stream are neither before nor behind each other, however large the numbers:
/// `>=` is false both ways, and whoever waits for one does not take the other for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    pub incarnation: Incarnation,
    pub seq: u64,
}

impl Position {
    /// Whether this is `other` or behind it in the same life of the stream.
    pub fn reaches(&self, other: &Self) -> bool {
        self >= other
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.incarnation == other.incarnation).then(|| self.seq.cmp(&other.seq))
    }
}

impl From<(Incarnation, u64)> for Position {
    fn from((incarnation, seq): (Incarnation, u64)) -> Self {
        Self { incarnation, seq }
    }
}

/// The message on `nox.ctl.epoch` with which a leader begins its term.
///
/// It is written blindly, before the leader knows the end of the log, so it names neither `n` nor
/// `prev`; a reader counts and chains it like every other message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochRecord {
    pub epoch: Epoch,
    /// Which process leads, for people.
    pub leader: String,
    pub at: Timestamp,
    /// The lives of the input streams that this leader's positions belong to.
    pub commands: Incarnation,
    pub reports: Incarnation,
}

/// A value of the hash chain over the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Before the first message.
    pub const START: Self = Self([0; 32]);

    /// The chain after a message with this payload: BLAKE3 of the chain before and the payload.
    pub fn extend(&self, payload: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(payload);
        Self(*hasher.finalize().as_bytes())
    }

    /// Reads `b3:<64 hex digits>`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("b3:")?, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b3:{}", hex::encode(self.0))
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a chain value"))
    }
}
