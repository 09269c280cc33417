//! Work that is claimed: by whoever asks for it, and not handed to whoever has room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ModuleName, TenantId, TopicName, UserId};

/// What makes a job a task: workers that registered its topic claim it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    pub topic: TopicName,
    /// Where it was submitted; that of its topic, or any where that is for all rooms.
    pub room: String,
}

impl Task {
    /// What stands as the module of all tasks: no worker declares it, and metrics need few names.
    pub fn module() -> ModuleName {
        MODULE.parse().unwrap_or_else(|_| unreachable!("it is a module's name"))
    }
}

const MODULE: &str = "joblib";

/// Whose a worker is that claims its work, and how it is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claimant {
    pub tenant: TenantId,
    pub user_id: UserId,
    /// Silent for so long, in milliseconds, it is given up.
    pub lease_ms: u64,
}

/// How far an attempt is, by its worker's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// For people; at most [`PROGRESS_MESSAGE_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Longest message of progress, in bytes; what is longer is cut.
pub const PROGRESS_MESSAGE_BYTES_MAX: usize = 512;
/// Largest schema of a topic, in bytes of JSON.
pub const TOPIC_SCHEMA_BYTES_MAX: usize = 64 * 1024;
