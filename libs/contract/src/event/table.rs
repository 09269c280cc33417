//! Which fact is published as which type of event.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::Fact;

/// What an event is about, and the second word of its type. Each is a token of a subject in NOX_FEED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Job,
    Module,
    Worker,
    Quota,
    Schedule,
    Webhook,
    Key,
    Topic,
}

impl EventKind {
    pub const ALL: [Self; 8] = [
        Self::Job,
        Self::Module,
        Self::Worker,
        Self::Quota,
        Self::Schedule,
        Self::Webhook,
        Self::Key,
        Self::Topic,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Module => "module",
            Self::Worker => "worker",
            Self::Quota => "quota",
            Self::Schedule => "schedule",
            Self::Webhook => "webhook",
            Self::Key => "key",
            Self::Topic => "topic",
        }
    }
}

/// Why a text is no type of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no type of event, such as nox.job.succeeded.v1")]
pub struct NoEventType;

/// Makes the types from one table: fact, kind, word. There is no `_`, so that a new fact asks whether it is
/// published.
macro_rules! event_types {
    (
        published { $($fact:ident $fields:tt => $kind:ident $word:literal,)* }
        internal { $($internal:ident $internal_fields:tt,)* }
    ) => {
        /// The type of an event: `nox.<kind>.<word>.v1`. A type that has to change incompatibly becomes `.v2`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventType {
            $($fact,)*
        }

        impl EventType {
            pub const ALL: &[Self] = &[$(Self::$fact),*];

            /// Facts that are not published, as the code calls them.
            const INTERNAL: &[&str] = &[$(stringify!($internal)),*];

            /// `None` for a fact that is not published.
            pub fn of(fact: &Fact) -> Option<Self> {
                match fact {
                    $(event_types!(@pattern $fact $fields) => Some(Self::$fact),)*
                    $(event_types!(@pattern $internal $internal_fields) => None,)*
                }
            }

            pub fn kind(self) -> EventKind {
                match self {
                    $(Self::$fact => EventKind::$kind,)*
                }
            }

            /// What happened, in one word: the last token of a subject in NOX_FEED.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$fact => $word,)*
                }
            }
        }
    };
    (@pattern $fact:ident (_)) => { Fact::$fact(_) };
    (@pattern $fact:ident {}) => { Fact::$fact { .. } };
}

event_types! {
    published {
        Submitted(_) => Job "submitted",
        Drafted(_) => Job "drafted",
        DraftSubmitted {} => Job "draft_submitted",
        Rejected(_) => Job "rejected",
        Canceled {} => Job "canceled",
        Waiting {} => Job "waiting",
        Assigned {} => Job "assigned",
        RetryScheduled {} => Job "retry_scheduled",
        StopRequested {} => Job "stop_requested",
        AttemptLost {} => Job "attempt_lost",
        Started {} => Job "started",
        Progressed {} => Job "progressed",
        AttemptFailed {} => Job "attempt_failed",
        Stopped {} => Job "stopped",
        Succeeded {} => Job "succeeded",
        Failed {} => Job "failed",
        Reserved {} => Quota "reserved",
        Settled {} => Quota "settled",
        Released {} => Quota "released",
        LimitsSet {} => Quota "limits_set",
        Granted {} => Quota "granted",
        QuotaViolated {} => Quota "violated",
        WorkerJoined {} => Worker "joined",
        WorkerOffered {} => Worker "offered",
        WorkerDraining {} => Worker "draining",
        WorkerPaused {} => Worker "paused",
        WorkerDrained {} => Worker "drained",
        WorkerUndrained {} => Worker "undrained",
        WorkerResumed {} => Worker "resumed",
        WorkerLeft {} => Worker "left",
        ModuleDeclared {} => Module "declared",
        ModuleRegistered {} => Module "registered",
        ModuleSwitched {} => Module "switched",
        TopicRegistered {} => Topic "registered",
        TopicRemoved {} => Topic "removed",
        KeyCreated {} => Key "created",
        KeyRevoked {} => Key "revoked",
        ScheduleSet {} => Schedule "set",
        SchedulePaused {} => Schedule "paused",
        ScheduleResumed {} => Schedule "resumed",
        SchedulePlanned {} => Schedule "planned",
        ScheduleOccurred {} => Schedule "occurred",
        ScheduleTriggered {} => Schedule "triggered",
        ScheduleDeleted {} => Schedule "deleted",
        WebhookSet {} => Webhook "set",
        WebhookRotated {} => Webhook "rotated",
        WebhookTested {} => Webhook "tested",
        WebhookRedelivered {} => Webhook "redelivered",
        WebhookDisabled {} => Webhook "disabled",
        WebhookDeleted {} => Webhook "deleted",
    }
    internal {
        Configured {},
        InputsReset {},
    }
}

impl EventType {
    /// Whether it stands in a job's history. Movements of a quota beside a job's facts do, too.
    pub fn is_of_job(self) -> bool {
        self.kind() == EventKind::Job
            || matches!(self, Self::Reserved | Self::Settled | Self::Released)
    }

    /// The fact's name in the log, which says for itself what it is about.
    pub fn fact_name(self) -> String {
        let (kind, word) = (self.kind(), self.word());
        match kind {
            EventKind::Job => word.to_owned(),
            EventKind::Quota if self != Self::QuotaViolated => word.to_owned(),
            _ => format!("{}_{word}", kind.as_str()),
        }
    }

    /// The names of all facts, of those as well that are not published.
    pub fn fact_names() -> Vec<String> {
        let internal = Self::INTERNAL.iter().map(|name| snake_case(name));
        Self::ALL.iter().map(|of| of.fact_name()).chain(internal).collect()
    }

    /// Members of the fact that are not published, as `name` or `name/member`: what proves something, what
    /// tells how a module is run, what only scheduler and workers need of each other, and what stands outside
    /// of `data`.
    pub fn withheld(self) -> &'static [&'static str] {
        match self {
            Self::Submitted | Self::Drafted => &["fingerprint", "traceparent"],
            Self::Rejected => &["fingerprint"],
            Self::Assigned => &["session", "work", "request"],
            Self::StopRequested => &["work"],
            Self::WorkerJoined => &["session", "origin"],
            Self::WorkerOffered | Self::WorkerPaused | Self::WorkerResumed => {
                &["session", "number"]
            }
            Self::WorkerDraining | Self::WorkerLeft => &["session"],
            Self::ModuleRegistered => &["source"],
            Self::KeyCreated => &["key/hash"],
            // It may hold a secret.
            Self::WebhookSet => &["spec/url"],
            _ => &[],
        }
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (place, letter) in name.char_indices() {
        if place > 0 && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nox.{}.{}.v1", self.kind().as_str(), self.word())
    }
}

impl FromStr for EventType {
    type Err = NoEventType;

    fn from_str(text: &str) -> Result<Self, NoEventType> {
        let words = text.strip_prefix("nox.").and_then(|rest| rest.strip_suffix(".v1"));
        let (kind, word) = words.and_then(|words| words.split_once('.')).ok_or(NoEventType)?;
        let is = |known: &&Self| known.kind().as_str() == kind && known.word() == word;
        Self::ALL.iter().find(is).copied().ok_or(NoEventType)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for EventType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<_> = Self::ALL.iter().map(Self::to_string).collect();
        schemars::json_schema!({"type": "string", "enum": all})
    }
}
