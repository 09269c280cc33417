//! What is stored of each thing, as far as the fold needs it to go on.

mod job;
mod run;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use nox_contract::{
    ApiKey, Capacity, Claimant, DisableReason, FrameNumber, JobId, KeyId, Limits, LimitsChange,
    ModuleName, Occurrence, PauseReason, RawJson, ScheduleId, ScheduleSpec, SessionId, TenantId,
    Timestamp, UserId, WebhookId, WebhookSpec, WorkerId, fact::ServedModule,
};
pub use nox_core::ledger::Balance;
use nox_core::versions::Versions;
use serde::{Deserialize, Serialize};

pub(crate) use job::{
    FRAMES_MAX, PhaseColumns, frame_numbers, phase, push_frame, shell, waiting_code,
};
pub use job::{JobLedger, StoredJob};
pub use run::Owner;
pub(crate) use run::status_bits;

/// Why a row does not tell all about its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parked {
    /// The fold goes on; what Postgres cannot store is missing.
    Unstorable,
    /// A newer version wrote a fact that this one does not know: the row stays as it was before. A
    /// rebuild by a version that knows it takes the job up again.
    UnknownFact,
    /// Postgres refused an entry for a reason that nobody foresaw: the row stays as it was before.
    Refused,
}

impl Parked {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unstorable => "unstorable",
            Self::UnknownFact => "unknown_fact",
            Self::Refused => "refused",
        }
    }

    /// Whether the job's row stays as it is, whatever comes.
    pub fn is_frozen(self) -> bool {
        match self {
            Self::Unstorable => false,
            Self::UnknownFact | Self::Refused => true,
        }
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored word that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row says {column} = {found:?}, which this version does not know")]
pub struct UnknownWord {
    pub column: &'static str,
    pub found: String,
}

impl FromStr for Parked {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "unstorable" => Self::Unstorable,
            "unknown_fact" => Self::UnknownFact,
            "refused" => Self::Refused,
            _ => return Err(UnknownWord { column: "parked", found: text.to_owned() }),
        })
    }
}

/// An account's budget of one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BalanceKey {
    pub tenant: TenantId,
    /// `tenant` or `user/<id>`.
    pub account: String,
    pub period: Timestamp,
}

/// How many jobs an account has of what its limits count, or by how much that changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Admitted and not ended.
    pub queued_jobs: i64,
    /// Attempts that a worker has.
    pub running_jobs: i64,
}

impl std::ops::Add for JobCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            queued_jobs: self.queued_jobs + other.queued_jobs,
            running_jobs: self.running_jobs + other.running_jobs,
        }
    }
}

impl std::ops::Sub for JobCounts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            queued_jobs: self.queued_jobs - other.queued_jobs,
            running_jobs: self.running_jobs - other.running_jobs,
        }
    }
}

/// The newest limits of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLimits {
    pub role: String,
    pub limits: Limits,
    /// Who changed them last, and why; `None` of a role's.
    pub change: Option<LimitsChange>,
    pub set_at: Timestamp,
    pub n: FrameNumber,
}

/// Who registered a version of a module, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub by: UserId,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModule {
    pub versions: Versions,
    /// Those of them that an admin registered.
    pub registered: BTreeMap<String, Registered>,
    pub enabled: bool,
    pub n: FrameNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWorker {
    pub session: SessionId,
    pub state: WorkerState,
    pub capacity: Capacity,
    pub modules: Vec<ServedModule>,
    pub labels: Vec<String>,
    /// Whose it is, if it claims its work.
    pub claimant: Option<Claimant>,
    /// Who took it out of service, while it is.
    pub drained_by: Option<UserId>,
    pub joined_at: Timestamp,
    /// When the log heard of it last, at most ten seconds before it did.
    pub seen_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub n: FrameNumber,
}

/// How much later a worker has to be heard of for its row to say so: what it reports of jobs must not cost a
/// row of its own each time.
pub(crate) const SEEN_INTERVAL: Duration = Duration::from_secs(10);

/// What workers claim tasks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTopic {
    pub schema: RawJson,
    /// Who registered it first.
    pub user_id: UserId,
    pub registered_at: Timestamp,
    pub n: FrameNumber,
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub tenant: TenantId,
    pub key: ApiKey,
    /// Who made it.
    pub by: UserId,
    pub created_at: Timestamp,
    pub n: FrameNumber,
}

/// What is submitted again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    pub tenant: TenantId,
    /// Whose jobs they are.
    pub owner: UserId,
    pub role: String,
    pub spec: ScheduleSpec,
    /// The API key that it is bound to.
    pub key_id: Option<KeyId>,
    /// Why it submits nothing, while it is paused.
    pub paused: Option<PauseReason>,
    /// Whether the leader has said when it is due next, since it was set or resumed.
    pub planned: bool,
    /// `None` while it is paused, before it is planned, and of one that is never due again.
    pub next_due_at: Option<Timestamp>,
    /// `None` before the first, or if Postgres cannot store it.
    pub last: Option<LastOccurrence>,
    /// The newest job.
    pub last_job: Option<JobId>,
    pub created_at: Timestamp,
    pub n: FrameNumber,
}

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    pub tenant: TenantId,
    pub owner: UserId,
    pub spec: WebhookSpec,
    /// The API key that it is bound to.
    pub key_id: Option<KeyId>,
    /// When that runs out.
    pub expires_at: Option<Timestamp>,
    /// How often its secret was rotated.
    pub rotation: u32,
    /// How long the secret of before signs as well.
    pub previous_until: Option<Timestamp>,
    /// Why it sends nothing, since it was set last.
    pub disabled: Option<DisableReason>,
    pub created_at: Timestamp,
    /// The frame in which it was set last.
    pub set_in: FrameNumber,
    pub n: FrameNumber,
}

impl StoredWebhook {
    /// Whether it sends anything.
    pub fn is_on(&self) -> bool {
        self.spec.enabled && self.disabled.is_none()
    }
}

/// The newest occurrence of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOccurrence {
    pub due_at: Timestamp,
    /// When it was decided.
    pub at: Timestamp,
    pub outcome: Occurrence,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    Joined,
    /// Is to stop, and takes no more work.
    Draining,
    /// Cannot run attempts, and takes no work for now.
    Paused,
    /// Gave itself back.
    Left,
    /// Was silent for too long.
    Lost,
}

impl WorkerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Draining => "draining",
            Self::Paused => "paused",
            Self::Left => "left",
            Self::Lost => "lost",
        }
    }
}

impl FromStr for WorkerState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Ok(match text {
            "joined" => Self::Joined,
            "draining" => Self::Draining,
            "paused" => Self::Paused,
            "left" => Self::Left,
            "lost" => Self::Lost,
            _ => return Err(UnknownWord { column: "state", found: text.to_owned() }),
        })
    }
}

/// The rows that the fold looks at. A copy of what is stored: nothing is lost if it is dropped.
#[derive(Debug, Default)]
pub struct Rows {
    /// How long ended jobs have a row, by the log's time; `None` for ever.
    pub keep: Option<Duration>,
    pub jobs: HashMap<JobId, StoredJob>,
    /// Jobs of which there is no row, because Postgres refused their first entry.
    pub rowless: HashSet<JobId>,
    pub balances: HashMap<BalanceKey, Balance>,
    /// All of them: they are few.
    pub modules: BTreeMap<ModuleName, StoredModule>,
    /// All of them: they are few.
    pub workers: BTreeMap<WorkerId, StoredWorker>,
    /// All of them: they are bounded.
    pub schedules: BTreeMap<ScheduleId, StoredSchedule>,
    /// All of them: they are bounded.
    pub webhooks: BTreeMap<WebhookId, StoredWebhook>,
}
