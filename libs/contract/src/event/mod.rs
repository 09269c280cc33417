//! The published language: what users are told of facts, as CloudEvents 1.0.
//!
//! The log is internal and compact. Whoever subscribes, over HTTP, by webhook or in NOX_FEED, gets these: one
//! event a fact, with what a subscriber needs, and without what proves something or only Nox itself reads.
//! Facts about the log itself are not published.

mod asyncapi;
mod audience;
mod filter;
mod labels;
mod schema;
mod table;

use std::{borrow::Cow, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{Entity, Entry, Fact, FactPlace, RawJson, Timestamp};

pub use asyncapi::asyncapi;
pub use audience::Viewer;
pub use filter::{EventFilter, LabelWord, TypeWord};
pub use labels::KnownLabels;
pub use schema::schemas;
pub use table::{EventKind, EventType, NoEventType};

/// The content type of an event in structured JSON.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";

/// What a source begins with, before the tenant.
const SOURCE: &str = "/nox/";

/// A fact as it is published, in CloudEvents' structured JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: &'static str,
    /// The fact's place in the log: each event once, in order, and where to go on. Also `Nats-Msg-Id`.
    pub id: FactPlace,
    /// `/nox/<tenant>`.
    pub source: String,
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// What it is about: the job's id, the name of module, worker or topic, the account, the id of schedule, webhook or key.
    pub subject: String,
    /// When it was decided.
    pub time: Timestamp,
    /// `application/json`.
    pub datacontenttype: &'static str,
    /// W3C Trace Context of the request that submitted the job, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The fact's members, with the ids of what it is about.
    pub data: RawJson,
}

impl CloudEvent {
    /// The event of the fact at `place`, which stands in `entry` of a frame of the instant `at`; `None` if it is
    /// not published.
    ///
    /// # Errors
    /// Of JSON: none that a fact read from the log has.
    pub fn of(
        place: FactPlace,
        at: Timestamp,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<Option<Self>, serde_json::Error> {
        let (Some(event_type), Some(entity)) = (EventType::of(fact), entry.entity()) else {
            return Ok(None);
        };
        let text = serde_json::to_string(fact)?;
        let tagged: Members<'_, Members<'_>> = serde_json::from_str(&text)?;
        let mut members = about(&entity);
        for (name, value) in tagged.0.into_iter().flat_map(|(_, of_fact)| of_fact.0) {
            if let Some(value) = published(event_type, name, value)? {
                members.push((name, value));
            }
        }
        Ok(Some(Self {
            specversion: "1.0",
            id: place,
            source: format!("{SOURCE}{}", entry.tenant),
            event_type,
            subject: subject(event_type, &entity),
            time: at,
            datacontenttype: "application/json",
            traceparent: traceparent(entry).map(str::to_owned),
            data: RawJson::of(&Object(&members))?,
        }))
    }
}

impl CloudEvent {
    /// Whose it is.
    pub fn tenant(&self) -> &str {
        self.source.strip_prefix(SOURCE).unwrap_or_default()
    }
}

/// The trace of the request that submitted the job, of all facts of an entry; the one that makes the job has it in
/// a fact.
fn traceparent(entry: &Entry) -> Option<&str> {
    let submitted = || {
        entry.known_facts().find_map(|fact| match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
                submitted.traceparent.as_deref()
            }
            _ => None,
        })
    };
    entry.traceparent.as_deref().or_else(submitted)
}

/// A quota's movement beside a job's facts is about the account of the job's user.
fn subject(event_type: EventType, entity: &Entity) -> String {
    match entity {
        Entity::Job { user_id, .. } if event_type.kind() == EventKind::Quota => {
            format!("user/{user_id}")
        }
        Entity::Job { job_id, .. } => job_id.to_string(),
        Entity::Account { account, .. } => account.clone(),
        Entity::Worker(worker) => worker.to_string(),
        Entity::Module(module) => module.to_string(),
        Entity::Topic { topic, .. } => topic.to_string(),
        Entity::Key { key_id, .. } => key_id.to_string(),
        Entity::Schedule { schedule_id, .. } => schedule_id.to_string(),
        Entity::Webhook { webhook_id, .. } => webhook_id.to_string(),
        Entity::Control => String::new(),
    }
}

type Member<'t> = (&'t str, Cow<'t, RawValue>);

/// The ids of what a fact is about, as members.
fn about(entity: &Entity) -> Vec<Member<'static>> {
    let member = |name, value: &str| text(value).map(|value| (name, Cow::Owned(value)));
    let found = match entity {
        Entity::Job { job_id, user_id, module, .. } => vec![
            member("job_id", &job_id.to_string()),
            member("user_id", user_id.as_str()),
            member("module", module.as_str()),
        ],
        Entity::Account { account, .. } => vec![member("account", account)],
        Entity::Worker(worker) => vec![member("worker_id", worker.as_str())],
        Entity::Module(module) => vec![member("module", module.as_str())],
        Entity::Topic { topic, .. } => vec![member("topic", topic.as_str())],
        Entity::Key { key_id, .. } => vec![member("key_id", &key_id.to_string())],
        Entity::Schedule { schedule_id, .. } => {
            vec![member("schedule_id", &schedule_id.to_string())]
        }
        Entity::Webhook { webhook_id, .. } => vec![member("webhook_id", &webhook_id.to_string())],
        Entity::Control => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

fn text(value: &str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

/// What of a fact's member is published; `None` if nothing is.
fn published<'t>(
    event_type: EventType,
    name: &str,
    value: &'t RawValue,
) -> Result<Option<Cow<'t, RawValue>>, serde_json::Error> {
    let withheld = event_type.withheld();
    if withheld.contains(&name) {
        return Ok(None);
    }
    let within: Vec<_> = withheld
        .iter()
        .filter_map(|path| path.split_once('/'))
        .filter_map(|(outer, inner)| (outer == name).then_some(inner))
        .collect();
    if within.is_empty() {
        return Ok(Some(Cow::Borrowed(value)));
    }
    let members: Members<'_> = serde_json::from_str(value.get())?;
    let members: Vec<_> = members
        .0
        .into_iter()
        .filter(|(name, _)| !within.contains(name))
        .map(|(name, value)| (name, Cow::Borrowed(value)))
        .collect();
    serde_json::value::to_raw_value(&Object(&members)).map(|value| Some(Cow::Owned(value)))
}

/// An object's members in their order, unparsed if nothing else is said. Their names are ours, and have no escapes.
struct Members<'t, T = &'t RawValue>(Vec<(&'t str, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<'de, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = Members<'de, T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

struct Object<'m>(&'m [Member<'m>]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}
