//! Which events are wanted, of those that somebody may see.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{EventKind, EventType};
use crate::{Entry, Fact, JobState, ModuleName, UserId, near};

/// All of these; words of one list mean any of them, those of `label` all. A name with `!` rules out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventFilter {
    /// `job`, `job.succeeded` or `nox.job.succeeded.v1`.
    #[serde(rename = "type", default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeWord>,
    #[serde(rename = "type!", default, skip_serializing_if = "Vec::is_empty")]
    pub not_types: Vec<TypeWord>,
    /// The state that an event brings its job into, or says that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<JobState>,
    #[serde(rename = "status!", default, skip_serializing_if = "Vec::is_empty")]
    pub not_status: Vec<JobState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub module: Vec<ModuleName>,
    #[serde(rename = "module!", default, skip_serializing_if = "Vec::is_empty")]
    pub not_module: Vec<ModuleName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_id: Vec<UserId>,
    #[serde(rename = "user_id!", default, skip_serializing_if = "Vec::is_empty")]
    pub not_user_id: Vec<UserId>,
    /// Of the job: `name=value`, or `name` for whatever value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<LabelWord>,
    #[serde(rename = "label!", default, skip_serializing_if = "Vec::is_empty")]
    pub not_label: Vec<LabelWord>,
}

impl EventFilter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Most words of one list.
    pub fn longest(&self) -> usize {
        let Self {
            types,
            not_types,
            status,
            not_status,
            module,
            not_module,
            user_id,
            not_user_id,
            label,
            not_label,
        } = self;
        let all = [
            types.len(),
            not_types.len(),
            status.len(),
            not_status.len(),
            module.len(),
            not_module.len(),
            user_id.len(),
            not_user_id.len(),
            label.len(),
            not_label.len(),
        ];
        all.into_iter().max().unwrap_or_default()
    }

    pub fn wants_type(&self, event_type: EventType) -> bool {
        let is = |word: &TypeWord| word.is(event_type);
        (self.types.is_empty() || self.types.iter().any(is)) && !self.not_types.iter().any(is)
    }

    /// Whether a job's labels have to be known.
    pub fn asks_for_labels(&self) -> bool {
        !(self.label.is_empty() && self.not_label.is_empty())
    }

    /// Whether a fact of `entry` is as it has to be, of a job with these labels. What a fact does not have is
    /// neither this nor that, as in the list of jobs.
    pub fn wants(&self, entry: &Entry, fact: &Fact, labels: &BTreeMap<String, String>) -> bool {
        let has = |word: &LabelWord| word.is_of(labels);
        holds((&self.status, &self.not_status), state(fact).as_ref())
            && holds((&self.module, &self.not_module), entry.module.as_ref())
            && holds((&self.user_id, &self.not_user_id), entry.user_id.as_ref())
            && self.label.iter().all(has)
            && !self.not_label.iter().any(has)
    }
}

/// Whether what is found is one of the first, if there are any, and none of the others.
fn holds<T: PartialEq>((any, none): (&[T], &[T]), found: Option<&T>) -> bool {
    let within = |words: &[T]| found.is_some_and(|found| words.contains(found));
    (any.is_empty() || within(any)) && !within(none)
}

/// The state that a fact brings a job into, or says that it is in.
fn state(fact: &Fact) -> Option<JobState> {
    match fact {
        Fact::Drafted(_) => Some(JobState::Draft),
        Fact::Submitted(_)
        | Fact::DraftSubmitted {}
        | Fact::Waiting { .. }
        | Fact::Assigned { .. }
        | Fact::RetryScheduled { .. } => Some(JobState::Queued),
        Fact::Started { .. } | Fact::Progressed { .. } => Some(JobState::Running),
        Fact::Succeeded { .. } => Some(JobState::Succeeded),
        Fact::Failed { .. } | Fact::Rejected(_) => Some(JobState::Failed),
        Fact::Canceled { .. } => Some(JobState::Canceled),
        _ => None,
    }
}

/// `job`, `job.succeeded` or `nox.job.succeeded.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeWord {
    Kind(EventKind),
    Type(EventType),
}

impl TypeWord {
    fn is(self, event_type: EventType) -> bool {
        match self {
            Self::Kind(kind) => event_type.kind() == kind,
            Self::Type(known) => event_type == known,
        }
    }
}

impl FromStr for TypeWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(kind) = EventKind::ALL.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(Self::Kind(kind));
        }
        let whole =
            if text.starts_with("nox.") { text.to_owned() } else { format!("nox.{text}.v1") };
        whole.parse().map(Self::Type).map_err(|_| misspelt(text))
    }
}

/// Names what may have been meant.
fn misspelt(text: &str) -> String {
    let types = EventType::ALL.iter().map(|of| format!("{}.{}", of.kind().as_str(), of.word()));
    let kinds = EventKind::ALL.into_iter().map(|kind| kind.as_str().to_owned());
    let known: Vec<_> = kinds.chain(types).collect();
    let text = text.strip_prefix("nox.").unwrap_or(text);
    match near(text, known.iter().map(String::as_str)).as_slice() {
        [] => "must be a type of event, such as job or job.succeeded".to_owned(),
        near => format!("must be a type of event; did you mean {}?", near.join(" or ")),
    }
}

impl fmt::Display for TypeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::Type(known) => write!(f, "{}.{}", known.kind().as_str(), known.word()),
        }
    }
}

/// `name=value`, or `name` for whatever value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelWord {
    pub name: String,
    pub value: Option<String>,
}

impl LabelWord {
    fn is_of(&self, labels: &BTreeMap<String, String>) -> bool {
        labels
            .get(&self.name)
            .is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

impl FromStr for LabelWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || text.contains(char::is_control) {
            return Err("must be name=value, or name");
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

impl fmt::Display for LabelWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A word as a text.
macro_rules! as_text {
    ($type:ident, $name:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!({"type": "string"})
            }
        }
    };
}

as_text!(TypeWord, "EventTypeWord");
as_text!(LabelWord, "LabelWord");

#[cfg(test)]
mod tests {
    use crate::{Attempt, Cause, Entity, RawJson, Source};

    use super::*;

    #[test]
    fn types_are_chosen_by_kind_or_by_name_and_can_be_ruled_out() {
        let word = |text: &str| text.parse::<TypeWord>();
        assert_eq!(word("job"), Ok(TypeWord::Kind(EventKind::Job)));
        let succeeded = Ok(TypeWord::Type(EventType::Succeeded));
        assert_eq!(word("job.succeeded"), succeeded);
        assert_eq!(word("nox.job.succeeded.v1"), succeeded);
        for other in ["", "jobs", "succeeded", "nox.job.succeeded.v2", "job.*"] {
            assert!(word(other).is_err(), "{other}");
        }
        let refused = word("job.suceeded").unwrap_err();
        assert!(refused.contains("did you mean job.succeeded?"), "{refused}");
        assert!(word("elephants").unwrap_err().contains("such as job"));
        let filter: EventFilter =
            serde_json::from_str(r#"{"type": ["job"], "type!": ["job.waiting"]}"#).unwrap();
        assert!(filter.wants_type(EventType::Succeeded));
        assert!(!filter.wants_type(EventType::Waiting) && !filter.wants_type(EventType::Reserved));
        assert!(EventFilter::default().wants_type(EventType::WebhookTested));
    }

    #[test]
    fn what_a_fact_does_not_have_is_neither_this_nor_that() {
        let by = Cause { src: Source::Match, seq: 0, part: 0 };
        let entity = Entity::Job {
            tenant: "acme".parse().unwrap(),
            job_id: "0193a000-0000-7000-8000-000000000001".parse().unwrap(),
            user_id: "ada".parse().unwrap(),
            module: "xtb".parse().unwrap(),
        };
        let outputs = RawJson::default();
        let done = Fact::Succeeded { attempt: Attempt(1), outputs, wall_ms: 1 };
        let entry = Entry::new(by, entity, vec![done.clone().into()]);
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let holds = |text: &str| {
            let filter: EventFilter = serde_json::from_str(text).unwrap();
            assert_eq!(
                serde_json::to_string(&filter).unwrap().replace(' ', ""),
                text.replace(' ', "")
            );
            filter.wants(&entry, &done, &labels)
        };
        assert!(holds(r#"{"module":["xtb"]}"#) && !holds(r#"{"module!":["xtb"]}"#));
        assert!(holds(r#"{"status":["succeeded","failed"]}"#));
        assert!(holds(r#"{"user_id":["ada"]}"#) && !holds(r#"{"user_id":["bob"]}"#));
        assert!(holds(r#"{"label":["team=a"]}"#) && holds(r#"{"label":["team"]}"#));
        assert!(holds(r#"{"label!":["team=b","zone"]}"#) && !holds(r#"{"label":["team","zone"]}"#));
        let worker = Entry::new(by, Entity::Worker("exec-1".parse().unwrap()), Vec::new());
        let of_module: EventFilter = serde_json::from_str(r#"{"module":["xtb"]}"#).unwrap();
        assert!(!of_module.wants(&worker, &done, &labels));
    }
}
