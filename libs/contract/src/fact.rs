//! Facts: what the scheduler's leader decided. Nothing else is true.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ApiKey, Attempt, Blame, Capacity, Claimant, Concurrency, DeliveryId, DisableReason,
    Incarnation, JobError, JobId, KeyId, Limits, LimitsChange, LostReason, Manifest, Metadata,
    ModuleName, Occurrence, Origin, PauseReason, Progress, RawJson, Refusal, RequestId, Resources,
    ScheduleSpec, SchedulerConfig, SessionId, Source, StopReason, Task, Timestamp, UserId,
    WaitingCode, WebhookSpec, WorkNumber, WorkerId,
};

/// One thing that became true. Externally tagged, so that user JSON passes through unparsed.
///
/// Each variant says who causes it and what it may follow; the table of legal transitions is in
/// `nox-core`'s `job.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    // --- a job, by its submitter ---
    /// The job exists and waits. First fact of a job. The scheduler moves it on.
    Submitted(Box<Submitted>),
    /// The job exists, and is not to run yet. First fact of a job. Its owner moves it on.
    Drafted(Box<Submitted>),
    /// The draft is to run, as it was drafted. Follows `drafted`. The scheduler moves it on.
    DraftSubmitted {},
    /// The job was promised (`pending`) but refused in the end. First and last fact of a job.
    Rejected(Box<Rejected>),
    /// The job is not to run (any more). Follows any state that is not ended. Its token is void at
    /// once; a running attempt keeps its slot until `stopped` or its loss.
    Canceled { by: UserId },

    // --- a job, by the scheduler ---
    /// Why the job does not run now; written only when the code changes. Follows `queued`.
    Waiting { code: WaitingCode },
    /// A worker is to run an attempt. Follows `queued`. The worker's report, or its loss, moves it on.
    /// `request` is that of the worker that claimed it.
    Assigned {
        worker_id: WorkerId,
        session: SessionId,
        attempt: Attempt,
        work: WorkNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
    },
    /// The next attempt waits until `due_at`. Follows `attempt_failed`. The timer moves it on. `resources`
    /// are what it and all further ones are given, where that is more than the one before had.
    RetryScheduled {
        attempt: Attempt,
        due_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resources: Option<Resources>,
    },
    /// The worker is to end the attempt. Beside `canceled` of a job that a worker holds.
    StopRequested { worker_id: WorkerId, attempt: Attempt, work: WorkNumber, reason: StopReason },
    /// Nothing of the attempt runs any more, and it did not end. Follows `assigned` and `started`; the
    /// job is queued again, or failed beside it. After `canceled` it frees the slot and nothing more.
    /// `detail` says in the worker's words why it was handed back.
    AttemptLost {
        worker_id: WorkerId,
        attempt: Attempt,
        reason: LostReason,
        blame: Blame,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },

    // --- a job, by its worker's report ---
    /// The attempt's process ran `elapsed_ms` before the report was written. Follows `assigned`.
    Started { worker_id: WorkerId, attempt: Attempt, elapsed_ms: u64 },
    /// How far the attempt is. Follows `assigned` and `started`, and moves nothing.
    Progressed { attempt: Attempt, progress: Progress },
    /// The attempt is over and was no success. `retry_scheduled` or `failed` stands beside it.
    AttemptFailed { attempt: Attempt, error: JobError, crashed: bool, wall_ms: u64 },
    /// The attempt of a canceled job is over. Frees its slot.
    Stopped { worker_id: WorkerId, attempt: Attempt },
    /// The job is done. At most one per job, ever.
    Succeeded { attempt: Attempt, outputs: RawJson, wall_ms: u64 },
    /// The job will not be tried again.
    Failed { error: JobError },

    // --- the ledger, beside what caused it ---
    /// Moves free → reserved in the job's user account and in its tenant's.
    Reserved { period: Timestamp, cpu_seconds: i64 },
    /// Moves reserved → used. `overrun` is what was used beyond the reservation, which no budget paid.
    Settled { period: Timestamp, cpu_seconds: i64, overrun: i64 },
    /// Moves reserved → free.
    Released { period: Timestamp, cpu_seconds: i64 },

    // --- an account (`tenant` or `user/<id>`) ---
    /// The account's limits, when first seen and when changed. Where an admin changed them, who did and why;
    /// then they stay whatever the role has, until an admin resets them.
    LimitsSet {
        role: String,
        limits: Limits,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<Box<LimitsChange>>,
    },
    /// A period begins for the account: free = granted = `cpu_seconds`. Also when `limits_set`
    /// changes the budget of a running period; then `cpu_seconds` is the new total.
    Granted { period: Timestamp, cpu_seconds: i64 },
    /// A submit was refused; coalesced to one a second for each account and code.
    QuotaViolated { job_id: JobId, user_id: UserId, module: ModuleName, refusal: Box<Refusal> },

    // --- a worker, by its reports or their absence ---
    /// A session begins. The attempts of an older session are lost beside it.
    WorkerJoined {
        session: SessionId,
        origin: Origin,
        capacity: Capacity,
        /// Names and versions of what it runs.
        modules: Vec<ServedModule>,
        labels: Vec<String>,
        /// It claims its work: `labels` are the topics that it claims tasks of, and the match gives it nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claimant: Option<Claimant>,
    },
    /// What it offers is this from now on. `number` counts such facts of the session, from 1.
    WorkerOffered {
        session: SessionId,
        number: u64,
        capacity: Capacity,
        modules: Vec<ServedModule>,
        labels: Vec<String>,
    },
    /// Is to stop, and takes no more work. Whatever becomes of it and what it holds is planned.
    WorkerDraining { session: SessionId },
    /// Cannot run attempts and takes no work until `worker_resumed`. `number` is that of the report.
    WorkerPaused { session: SessionId, number: u64, reason: String },
    /// An operator took it out of service: it is given no more work, in this session and in later ones, until
    /// `worker_undrained`. What it has ends as it would.
    WorkerDrained { by: UserId },
    /// An operator put it back into service.
    WorkerUndrained { by: UserId },
    /// Takes work again.
    WorkerResumed { session: SessionId, number: u64 },
    /// Its session is over: it said so, begins another one, or was given up (`lost`). Each of its attempts is
    /// lost, for this reason and with this blame, and said to be by a fact of its own, soon.
    WorkerLeft { session: SessionId, lost: bool, reason: LostReason, blame: Blame },

    // --- a module ---
    /// A worker declared a module that was new, or a version of it that was new or had another manifest, or one
    /// that is to be the present one again. The present one is what jobs get that name none.
    ModuleDeclared { manifest: Box<Manifest>, enabled: bool },
    /// An admin registered a version that was new, which is the present one from now on. It stays as it is, whatever
    /// workers declare. `source` is the whole manifest as canonical JSON, which executors need.
    ModuleRegistered { manifest: Box<Manifest>, source: RawJson, enabled: bool, by: UserId },
    /// An admin switched it.
    ModuleSwitched { enabled: bool, by: UserId },

    // --- a topic ---
    /// A worker registered a topic that there was not.
    TopicRegistered { schema: RawJson, by: UserId },
    /// No worker registers it any more, and no task waits in it.
    TopicRemoved {},

    // --- an API key ---
    /// Somebody made it. First fact of a key.
    KeyCreated { key: Box<ApiKey>, by: UserId },
    /// It is worth nothing any more. Last fact of a key.
    KeyRevoked { by: UserId },

    // --- a schedule ---
    /// It is this from now on: the first fact of a schedule, and whenever it is changed. Its next due instant is
    /// `schedule_planned` soon. It is bound to the API key that asked for this, if one did.
    ScheduleSet {
        spec: Box<ScheduleSpec>,
        owner: UserId,
        role: String,
        by: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// It submits nothing until `schedule_resumed`. `by` somebody, or by the scheduler itself.
    SchedulePaused {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        reason: PauseReason,
    },
    /// It goes on; what was due meanwhile is not made up for. `key_id` is what it is bound to from now on.
    ScheduleResumed {
        by: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
    },
    /// When it is due next; never again if absent. From the time zone data that the leader had.
    SchedulePlanned { next_due_at: Option<Timestamp> },
    /// It was due, and this became of it. Beside `submitted` of its job. `missed_from`: the first of those that
    /// were due before and that nobody submitted.
    ScheduleOccurred {
        due_at: Timestamp,
        outcome: Occurrence,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missed_from: Option<Timestamp>,
        next_due_at: Option<Timestamp>,
    },
    /// Somebody had its job submitted at once.
    ScheduleTriggered { job_id: JobId, by: UserId },
    /// There is no such schedule any more; its jobs go on. Last fact of a schedule.
    ScheduleDeleted { by: UserId },

    // --- a webhook ---
    /// It is this from now on: the first fact of a webhook, and whenever it is changed. It is bound to the API key that
    /// asked for this, if one did, and sends nothing from `expires_at` on, when that runs out.
    WebhookSet {
        spec: Box<WebhookSpec>,
        owner: UserId,
        by: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<KeyId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// It signs with its secret of this number, and until `previous_until` with the one before as well.
    WebhookRotated { rotation: u32, previous_until: Timestamp, by: UserId },
    /// Somebody wants to see an event arrive: this one, whatever the webhook's filter says.
    WebhookTested { delivery_id: DeliveryId, by: UserId },
    /// Somebody wants a delivery to be sent once more.
    WebhookRedelivered { delivery_id: DeliveryId, by: UserId },
    /// It sends nothing until somebody sets it anew. By the notifier's word, or beside what becomes of its key.
    WebhookDisabled { reason: DisableReason },
    /// There is no such webhook any more. Last fact of a webhook.
    WebhookDeleted { by: UserId },

    // --- the log itself ---
    /// The configuration that later decisions rest on.
    Configured { config: Box<SchedulerConfig> },
    /// An operator accepts that an input stream was lost; its positions begin anew.
    InputsReset { src: Source, incarnation: Incarnation, by: String },
}

/// A job as it was asked for, be it that it is to run or that it is kept as a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// It keeps the version of its module that it was submitted for.
    pub module_version: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub worker_labels: BTreeSet<String>,
    pub inputs: RawJson,
    /// What the job asked for, and is given.
    pub requested_resources: Resources,
    pub priority: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<Task>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<Metadata>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Box<Concurrency>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    pub inputs: RawJson,
    pub requested_resources: Resources,
    pub refusal: Refusal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<Task>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<Metadata>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ServedModule {
    pub name: ModuleName,
    pub version: String,
}

impl Fact {
    /// The fact's name as it stands in JSON and in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submitted(_) => "submitted",
            Self::Drafted(_) => "drafted",
            Self::DraftSubmitted {} => "draft_submitted",
            Self::Rejected(_) => "rejected",
            Self::Canceled { .. } => "canceled",
            Self::Waiting { .. } => "waiting",
            Self::Assigned { .. } => "assigned",
            Self::RetryScheduled { .. } => "retry_scheduled",
            Self::StopRequested { .. } => "stop_requested",
            Self::AttemptLost { .. } => "attempt_lost",
            Self::Started { .. } => "started",
            Self::Progressed { .. } => "progressed",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Stopped { .. } => "stopped",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Reserved { .. } => "reserved",
            Self::Settled { .. } => "settled",
            Self::Released { .. } => "released",
            Self::LimitsSet { .. } => "limits_set",
            Self::Granted { .. } => "granted",
            Self::QuotaViolated { .. } => "quota_violated",
            Self::WorkerJoined { .. } => "worker_joined",
            Self::WorkerOffered { .. } => "worker_offered",
            Self::WorkerDraining { .. } => "worker_draining",
            Self::WorkerDrained { .. } => "worker_drained",
            Self::WorkerUndrained { .. } => "worker_undrained",
            Self::WorkerPaused { .. } => "worker_paused",
            Self::WorkerResumed { .. } => "worker_resumed",
            Self::WorkerLeft { .. } => "worker_left",
            Self::ModuleDeclared { .. } => "module_declared",
            Self::ModuleRegistered { .. } => "module_registered",
            Self::ModuleSwitched { .. } => "module_switched",
            Self::TopicRegistered { .. } => "topic_registered",
            Self::TopicRemoved {} => "topic_removed",
            Self::KeyCreated { .. } => "key_created",
            Self::KeyRevoked { .. } => "key_revoked",
            Self::ScheduleSet { .. } => "schedule_set",
            Self::SchedulePaused { .. } => "schedule_paused",
            Self::ScheduleResumed { .. } => "schedule_resumed",
            Self::SchedulePlanned { .. } => "schedule_planned",
            Self::ScheduleOccurred { .. } => "schedule_occurred",
            Self::ScheduleTriggered { .. } => "schedule_triggered",
            Self::ScheduleDeleted { .. } => "schedule_deleted",
            Self::WebhookSet { .. } => "webhook_set",
            Self::WebhookRotated { .. } => "webhook_rotated",
            Self::WebhookTested { .. } => "webhook_tested",
            Self::WebhookRedelivered { .. } => "webhook_redelivered",
            Self::WebhookDisabled { .. } => "webhook_disabled",
            Self::WebhookDeleted { .. } => "webhook_deleted",
            Self::Configured { .. } => "configured",
            Self::InputsReset { .. } => "inputs_reset",
        }
    }
}
