//! The beginning of a leader's term.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Epoch, Incarnation, Timestamp};

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
