//! What workers are told: scheduler → executor, and kept nowhere. A delivery, not a fact.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, JobId, ModuleName, RawJson, RegisteredModule, Resources, SessionId, TenantId, Token,
    UserId, WorkNumber,
    beat::Held,
    tolerance::{self, Part},
};

/// One message of work (the subject, `nox.work.<worker>`, names the worker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkMessage {
    /// Work for another session is dropped.
    pub session: SessionId,
    /// On work that is sent again: which numbers it leaves no doubt about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
    #[serde(deserialize_with = "tolerance::parts")]
    pub work: Vec<Work>,
}

/// Whatever is numbered above `after` and up to `up_to`, and is still to be done, is in this message
/// or has arrived: the other numbers were settled meanwhile and will never be sent again. Without
/// this word, a lost message whose work was settled by other means would leave a gap for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Covers {
    pub after: WorkNumber,
    pub up_to: WorkNumber,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Start(Box<StartWork>),
    Stop(StopWork),
    /// The log has given this attempt up: end it and say nothing of it. In no number's order, since
    /// it repairs what should not be: a leader handed it out after it was deposed.
    Abandon(Held),
    /// The log has given this session up: end everything and begin a new one.
    Superseded,
    /// The log has taken this session on. The answer to `hello`, sent again until a beat says that it
    /// was heard.
    Joined,
    /// Modules that were registered: to those workers alone whose beats say that they take them.
    Modules(Box<RegisteredModules>),
    /// Another worker of this name lives, and so the log does not take this session on; or, where it had
    /// taken it on, another process of this very worker was taken on in its place.
    Refused {
        reason: String,
    },
    /// What only a newer version can read. Never written. Its number stays a gap, so that it is sent
    /// again; where that does not help, the attempt is handed to somebody else.
    #[serde(skip)]
    Unreadable,
}

impl Part for Work {
    const UNREADABLE: Self = Self::Unreadable;
}

/// All registrations above one number and up to another that are still kept. In no number's order of work: a beat says
/// how far they have arrived, and they are sent again until it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredModules {
    /// A worker that has not heard up to here takes none of these.
    pub above: u64,
    pub up_to: u64,
    pub modules: Vec<RegisteredModule>,
}

/// Run this attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartWork {
    pub number: WorkNumber,
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub module_version: String,
    pub inputs: RawJson,
    pub resources: Resources,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// End this attempt, and say `stopped` when nothing of it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopWork {
    pub number: WorkNumber,
    pub job_id: JobId,
    pub attempt: Attempt,
    /// As in the start: a worker that never got that must still be able to say `stopped`.
    pub token: Token,
}
