//! What the scheduler answers to commands, only after an acknowledged write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FrameNumber, JobId, JobState, Refusal, tolerance};

/// The answers to the parts of one [`crate::CommandMessage`] that were decided by one leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerMessage {
    /// An answer that cannot be read is as if it were not there: the part was decided, but how is not
    /// known.
    #[serde(deserialize_with = "tolerance::readable")]
    pub answers: Vec<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Which command of the message, counted from 0.
    pub part: u32,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Accepted(Accepted),
    /// Also for a reason that only a newer version has a word for.
    Refused(#[serde(deserialize_with = "tolerance::refusal")] Refusal),
}

/// What is now in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// A reader that has folded the log up to here sees the effect.
    pub n: FrameNumber,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "tolerance::known"
    )]
    pub state: Option<JobState>,
    /// Whether an earlier command had already caused it.
    #[serde(default)]
    pub repeated: bool,
}
