//! Jobs that are submitted again and again.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Concurrency, JobId, Metadata, ModuleName, RawJson, Refusal, Resources};

/// When jobs are submitted, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSpec {
    /// For people.
    pub name: String,
    /// Five fields, or a word such as `@daily`.
    pub cron: String,
    /// As IANA names it.
    pub time_zone: String,
    pub overlap: Overlap,
    /// How late an occurrence may still be submitted, in seconds; an older one is missed.
    pub catch_up_s: u32,
    pub job: JobTemplate,
}

/// What becomes of an occurrence while the job of an earlier one has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// It runs beside it.
    Allow,
    /// It is submitted when that has ended; one at most waits so, the newest.
    Queue,
}

/// What a schedule submits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobTemplate {
    pub module: ModuleName,
    /// The present one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_version: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub worker_labels: BTreeSet<String>,
    pub inputs: RawJson,
    pub requested_resources: Resources,
    pub priority: u8,
    /// As [`Metadata`] has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_id: Option<String>,
    /// How many of its key run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
}

impl JobTemplate {
    /// What its jobs are found by.
    pub fn metadata(&self) -> Metadata {
        let (labels, release_id) = (self.labels.clone(), self.release_id.clone());
        Metadata { labels, release_id, retry_of: None }
    }
}

/// Why a schedule submits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Somebody wanted it so.
    Asked,
    /// The API key that it is bound to was revoked.
    KeyRevoked,
    /// The API key that it is bound to has run out.
    KeyExpired,
}

impl PauseReason {
    pub const ALL: [Self; 3] = [Self::Asked, Self::KeyRevoked, Self::KeyExpired];

    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
        }
    }
}

/// What became of an occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    Submitted {
        job_id: JobId,
    },
    /// Its owner may not, or the module is not there.
    Refused {
        refusal: Box<Refusal>,
    },
    /// The job of an earlier one has not ended.
    Skipped,
    /// It is submitted when the job of an earlier one has ended.
    Queued,
    /// Nobody led at its time, or for too long after.
    Missed,
}

impl Occurrence {
    /// The word as it stands in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::Refused { .. } => "refused",
            Self::Skipped => "skipped",
            Self::Queued => "queued",
            Self::Missed => "missed",
        }
    }
}

impl Overlap {
    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Allow => "allow",
            Self::Queue => "queue",
        }
    }
}
