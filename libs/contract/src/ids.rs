//! Identifiers, one type each, so that none can stand where another belongs.

use std::{fmt, str::FromStr, sync::Arc};

use constant_time_eq::constant_time_eq;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Why a text is not the id it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {rule}")]
pub struct InvalidId {
    kind: &'static str,
    rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "Arc<str>", into = "Arc<str>")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the rule of this id.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId { kind: stringify!($name), rule: $rule })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<Arc<str>> for $name {
            type Error = InvalidId;

            fn try_from(text: Arc<str>) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for Arc<str> {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

fn is_slug(text: &str, length_max: usize, extra: &[u8]) -> bool {
    (1..=length_max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

text_id!(
    /// A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    TenantId,
    "1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit",
    |text| text == TenantId::SYSTEM || is_slug(text, 63, b"-_")
);

impl TenantId {
    /// Reserved for workers, modules and the log's own records; no token can claim it.
    pub const SYSTEM: &str = "_system";
    /// The tenant of a token that names none.
    pub const DEFAULT: &str = "default";

    /// The reserved tenant of workers, modules and control records.
    pub fn system() -> Self {
        Self(Self::SYSTEM.into())
    }

    pub fn is_system(&self) -> bool {
        self.as_str() == Self::SYSTEM
    }
}

text_id!(
    /// A user: any text up to 256 bytes without control characters. It stands in payloads only.
    UserId,
    "1 to 256 bytes without control characters",
    |text| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control)
);

text_id!(
    /// A module's name, for example `xtb`.
    ModuleName,
    "1 to 64 of a-z, 0-9 and '_', beginning with a letter or digit",
    |text| is_slug(text, 64, b"_")
);

text_id!(
    /// A worker's name, stable over its restarts. It stands in subjects.
    WorkerId,
    "1 to 128 of a-z, 0-9, '-' and '_', beginning with a letter or digit",
    |text| is_slug(text, 128, b"-_")
);

impl WorkerId {
    /// Stands for the sender of a report that nobody can have sent; no worker can bear it, for a
    /// worker's name begins with a letter or digit.
    pub fn nobody() -> Self {
        Self("_nobody".into())
    }

    /// The worker of a tenant that speaks HTTP and goes by `id` there. Of another tenant, the same `id` is
    /// another worker.
    pub fn of_http(tenant: &TenantId, id: Uuid) -> Self {
        Self(format!("{HTTP_WORKER}{tenant}-{}", id.hyphenated()).into())
    }

    /// What a worker that speaks HTTP goes by in its tenant.
    pub fn http_id(&self) -> Option<Uuid> {
        let rest = self.0.strip_prefix(HTTP_WORKER)?;
        let at = rest.len().checked_sub(uuid::fmt::Hyphenated::LENGTH)?;
        rest.get(at..)?.parse().ok()
    }

    /// Whether this is a worker of `tenant` that speaks HTTP.
    pub fn is_http_of(&self, tenant: &TenantId) -> bool {
        self.http_id().is_some_and(|id| *self == Self::of_http(tenant, id))
    }
}

/// How the names of workers begin that speak HTTP.
const HTTP_WORKER: &str = "http-";

text_id!(
    /// What workers claim tasks of: `<room>:<category>:<name>`, of one tenant.
    TopicName,
    "1 to 512 bytes without control characters, with three parts between colons",
    |text| {
        let parts = text.split(':').collect::<Vec<_>>();
        text.len() <= 512
            && !text.chars().any(char::is_control)
            && parts.len() == 3
            && parts.iter().all(|part| !part.is_empty())
    }
);

impl TopicName {
    /// Room, category and name.
    pub fn parts(&self) -> (&str, &str, &str) {
        let mut parts = self.0.splitn(3, ':');
        let mut part = || parts.next().unwrap_or_default();
        (part(), part(), part())
    }
}

uuid_id!(
    /// A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    JobId
);
impl JobId {
    /// Whether the id derives from an idempotency key: then a submit may come again at any time, by
    /// whoever has the key.
    pub fn is_keyed(self) -> bool {
        self.0.get_version_num() == 8
    }
}

impl JobId {
    /// The job of a schedule's occurrence: the same whoever makes it, and however often.
    pub fn of_occurrence(schedule: ScheduleId, due_at: Timestamp) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 occurrence of a schedule");
        hasher.update(schedule.0.as_bytes());
        hasher.update(&due_at.as_micros().to_be_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

uuid_id!(
    /// An API key; not its secret.
    KeyId
);
uuid_id!(
    /// A schedule.
    ScheduleId
);
uuid_id!(
    /// A webhook.
    WebhookId
);
uuid_id!(
    /// An event on its way to a webhook's endpoint, however often it is tried.
    DeliveryId
);
uuid_id!(
    /// One life of a worker process. A new session means that the old one's attempts were lost.
    SessionId
);
uuid_id!(
    /// One request of a client, however often it is sent.
    RequestId
);
uuid_id!(
    /// A worker's data folder, which one process at a time holds. It outlives that process.
    InstanceId
);
uuid_id!(
    /// A worker's process. Only where it is another one did the one before end.
    ProcessId
);

number_id!(
    /// The number of a try at a job, from 1.
    Attempt(u32)
);
number_id!(
    /// A message's place in the log of facts: gapless, from 1.
    FrameNumber(u64)
);
number_id!(
    /// A leader's term, from 1.
    Epoch(u64)
);
number_id!(
    /// The number of a piece of work within one worker session: gapless, from 1.
    WorkNumber(u64)
);

/// The proof that a worker holds an attempt: a keyed BLAKE3 of (job, attempt, number of the
/// assignment), as 64 hex digits. It is in no fact; the scheduler recomputes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Computes the token of an attempt.
    pub fn compute(key: &[u8; 32], job: JobId, attempt: Attempt, assigned: FrameNumber) -> Self {
        let mut of = [0; 28];
        of[..16].copy_from_slice(job.0.as_bytes());
        of[16..20].copy_from_slice(&attempt.0.to_be_bytes());
        of[20..].copy_from_slice(&assigned.0.to_be_bytes());
        Self(blake3::keyed_hash(key, &of).to_hex().as_str().to_owned())
    }

    /// Compares without leaking by its duration how much of `other` was right.
    pub fn verify(&self, other: &Self) -> bool {
        let of_a_hash = self.0.len() == 2 * blake3::OUT_LEN;
        of_a_hash && constant_time_eq(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
