//! What users ask for: gateway → NOX_COMMANDS → scheduler.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ApiKey, Asker, Attempt, Concurrency, DeliveryId, DisableReason, FrameNumber, JobError, JobId,
    KeyId, Limits, Manifest, Metadata, ModuleName, Progress, RawJson, RequestId, Requested,
    Resources, ScheduleId, ScheduleSpec, SessionId, Task, Timestamp, TopicName, UserId, WebhookId,
    WebhookSpec, WorkerId,
    tolerance::{self, Part},
};

/// One message of NOX_COMMANDS: commands of one tenant (the subject names it), packed so that one
/// write to stable storage serves many requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandMessage {
    /// Where the scheduler sends its one [`crate::AnswerMessage`], if anybody waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whom the requests came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub askers: Vec<Asker>,
    /// The requests that the commands are of, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Requested>,
    /// Each is a part of the input, counted from 0.
    #[serde(deserialize_with = "tolerance::parts")]
    pub commands: Vec<Command>,
}

/// Something a user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Submit(Box<Submit>),
    SubmitBatch(SubmitBatch),
    SubmitDraft(SubmitDraft),
    Cancel(Cancel),
    SetModule(SetModule),
    RegisterModule(Box<RegisterModule>),
    SetLimits(Box<SetLimits>),
    DrainWorker(DrainWorker),
    CreateKey(Box<CreateKey>),
    RevokeKey(RevokeKey),
    SetSchedule(Box<SetSchedule>),
    PauseSchedule(PauseSchedule),
    DeleteSchedule(DeleteSchedule),
    TriggerSchedule(TriggerSchedule),
    SetWebhook(Box<SetWebhook>),
    RotateWebhook(RotateWebhook),
    TestWebhook(TestWebhook),
    RedeliverWebhook(RedeliverWebhook),
    DeleteWebhook(DeleteWebhook),
    /// From the notifier, in the name of the reserved tenant.
    DisableWebhook(DisableWebhook),
    /// From a worker that speaks HTTP.
    Register(Box<Register>),
    Claim(Claim),
    Undelivered(Undelivered),
    UpdateTask(Box<UpdateTask>),
    RemoveWorker(RemoveWorker),
    RemoveTopic(RemoveTopic),
    /// What only a newer version can read. Never written.
    #[serde(skip)]
    Unreadable,
}

impl CommandMessage {
    /// Commands that nobody is named of.
    pub fn new(reply_to: Option<String>, commands: Vec<Command>) -> Self {
        Self { reply_to, commands, ..Self::default() }
    }
}

impl Command {
    /// Its name and the id of what it is about, where an audit is told that it was refused. Refused submits are
    /// facts, and what workers ask is theirs.
    pub fn audited(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::SubmitDraft(of) => ("submit_draft", of.job_id.to_string()),
            Self::Cancel(of) => ("cancel", of.job_id.to_string()),
            Self::SetModule(of) => ("set_module", of.module.to_string()),
            Self::RegisterModule(of) => ("register_module", of.manifest.name.to_string()),
            Self::SetLimits(of) => ("set_limits", of.account.clone()),
            Self::DrainWorker(of) => ("drain_worker", of.worker_id.to_string()),
            Self::CreateKey(of) => ("create_key", of.key_id.to_string()),
            Self::RevokeKey(of) => ("revoke_key", of.key_id.to_string()),
            Self::SetSchedule(of) => ("set_schedule", of.schedule_id.to_string()),
            Self::PauseSchedule(of) => ("pause_schedule", of.schedule_id.to_string()),
            Self::DeleteSchedule(of) => ("delete_schedule", of.schedule_id.to_string()),
            Self::TriggerSchedule(of) => ("trigger_schedule", of.schedule_id.to_string()),
            Self::SetWebhook(of) => ("set_webhook", of.webhook_id.to_string()),
            Self::RotateWebhook(of) => ("rotate_webhook", of.webhook_id.to_string()),
            Self::TestWebhook(of) => ("test_webhook", of.webhook_id.to_string()),
            Self::RedeliverWebhook(of) => ("redeliver_webhook", of.webhook_id.to_string()),
            Self::DeleteWebhook(of) => ("delete_webhook", of.webhook_id.to_string()),
            Self::RemoveWorker(of) => ("remove_worker", of.worker_id.to_string()),
            Self::Submit(_)
            | Self::SubmitBatch(_)
            | Self::Register(_)
            | Self::Claim(_)
            | Self::Undelivered(_)
            | Self::UpdateTask(_)
            | Self::RemoveTopic(_)
            | Self::DisableWebhook(_)
            | Self::Unreadable => return None,
        })
    }
}

impl Part for Command {
    const UNREADABLE: Self = Self::Unreadable;
}

/// Run this. A repeated submit with a known `job_id` changes nothing and is answered as the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submit {
    pub job_id: JobId,
    pub user_id: UserId,
    /// The role that the asker's limits come from.
    pub role: String,
    pub module: ModuleName,
    /// The version of the module that is to run it; the present one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_version: Option<String>,
    /// Labels that its worker must have, all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub worker_labels: BTreeSet<String>,
    pub inputs: RawJson,
    pub requested_resources: Resources,
    /// 0 (last) to 9 (first).
    #[serde(default = "priority_default")]
    pub priority: u8,
    /// Not before this instant of wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// Jobs of the same tenant that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// BLAKE3 of the request, where an `Idempotency-Key` was given: tells a repetition from
    /// another request under the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The newest place in the log that the gateway had seen when it found the id unused.
    pub seen: FrameNumber,
    /// The asker was already told that the job is pending, so a refusal must become a failed job.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
    /// It is a task, and `module` that of all tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<Task>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<Metadata>>,
    /// How many of its key run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Box<Concurrency>>,
    /// Keep it as a draft, which reserves nothing and does not run before its owner submits it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub draft: bool,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The priority of a job that names none: the middle, so that there is room on both sides.
pub const PRIORITY_DEFAULT: u8 = 5;
/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;

fn priority_default() -> u8 {
    PRIORITY_DEFAULT
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Run all of these, or none of them: one that is refused has all of them refused. What follows stands in one
/// frame. A repetition, with all of the ids known, changes nothing and is answered as the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitBatch {
    /// 1 to [`BATCH_JOBS_MAX`], of one user in one role, each with an id of its own.
    pub jobs: Vec<Submit>,
}

/// Most jobs that are submitted all or none.
pub const BATCH_JOBS_MAX: usize = 900;

/// Run this draft. It is admitted as any other job is, and stays a draft where it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitDraft {
    pub job_id: JobId,
    /// Who asks: its owner.
    pub by: UserId,
    /// The role that the asker's limits come from.
    pub role: String,
}

/// End this job, whatever it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    pub job_id: JobId,
    /// Who asks.
    pub by: UserId,
    /// Whether the asker may cancel other users' jobs of the tenant.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Switch a module on or off for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetModule {
    pub module: ModuleName,
    pub enabled: bool,
    pub by: UserId,
}

/// Let executors run this version of a module, those that take registered ones. A repetition changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisterModule {
    pub manifest: Manifest,
    /// What `manifest` was read from, whole, as canonical JSON; at most [`crate::REGISTERED_BYTES_MAX`].
    pub source: RawJson,
    pub by: UserId,
}

/// Give an account of the tenant these limits and this budget, whatever its role has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetLimits {
    /// `tenant` or `user/<id>`.
    pub account: String,
    /// Those of its role again if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    pub by: UserId,
    pub reason: String,
}

/// Take a worker out of service, or put it back. One that claims its work is its tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainWorker {
    pub worker_id: WorkerId,
    pub drained: bool,
    pub by: UserId,
}

/// Here is a key. A repetition changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateKey {
    pub key_id: KeyId,
    pub key: ApiKey,
    pub by: UserId,
}

/// The key is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeKey {
    pub key_id: KeyId,
    pub by: UserId,
    /// Whether the asker may revoke keys that others made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Submit jobs like this from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetSchedule {
    pub schedule_id: ScheduleId,
    /// It is a new one; else it replaces what there is.
    pub new: bool,
    pub spec: ScheduleSpec,
    pub by: UserId,
    /// The asker's role: its limits come from there, unless it is another's.
    pub role: String,
    /// The API key that asked: the schedule is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Submit nothing for now, or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseSchedule {
    pub schedule_id: ScheduleId,
    pub paused: bool,
    pub by: UserId,
    /// The API key that asked: one that goes on is bound to it, if what it was bound to is worth nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteSchedule {
    pub schedule_id: ScheduleId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Submit its job now, whatever its times and its other jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerSchedule {
    pub schedule_id: ScheduleId,
    pub job_id: JobId,
    pub seen: FrameNumber,
    /// The module that the asker was found to be allowed.
    pub module: ModuleName,
    pub by: UserId,
    /// The asker's role: the job's limits come from there, unless the schedule is another's.
    pub role: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Send events like this from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetWebhook {
    pub webhook_id: WebhookId,
    /// It is a new one; else it replaces what there is.
    pub new: bool,
    pub spec: WebhookSpec,
    pub by: UserId,
    /// The API key that asked: the webhook is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Sign with the next secret from now on, and for some time with the one before as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RotateWebhook {
    pub webhook_id: WebhookId,
    /// The number of the new one. A repetition changes nothing.
    pub rotation: u32,
    /// For so long the one before signs as well, in seconds; at most [`crate::webhook::OVERLAP_S_MAX`].
    pub overlap_s: u32,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Send an event that says that this was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestWebhook {
    pub webhook_id: WebhookId,
    pub delivery_id: DeliveryId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Send this once more, whether it was taken or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedeliverWebhook {
    pub webhook_id: WebhookId,
    pub delivery_id: DeliveryId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteWebhook {
    pub webhook_id: WebhookId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Nothing is to be sent any more. A repetition changes nothing, and neither does what was found out of an endpoint
/// that is another one by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisableWebhook {
    pub webhook_id: WebhookId,
    pub reason: DisableReason,
    /// The frame in which the webhook was set, when this was found out.
    pub set_in: FrameNumber,
}

/// Here is a worker that claims its work, and what it claims. A repetition changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    pub worker_id: WorkerId,
    /// That of the worker if it is not there yet.
    pub session: SessionId,
    pub by: UserId,
    pub lease_ms: u64,
    /// Without one, the worker alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<DeclaredTopic>,
}

/// What a worker says of a topic. All that register one say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclaredTopic {
    pub name: TopicName,
    /// Canonical, see [`RawJson::canonical`]: it is compared by its text.
    pub schema: RawJson,
}

/// Give the worker the oldest task of its topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    pub worker_id: WorkerId,
    pub by: UserId,
    /// Names the request: who asks twice in its name is answered as the first time.
    pub request: RequestId,
}

/// What was claimed by this request never reached the worker. It goes back to its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undelivered {
    pub worker_id: WorkerId,
    pub request: RequestId,
}

/// What a worker, or whoever submitted the task, says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateTask {
    pub job_id: JobId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
    /// The attempt that is spoken of; the present one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    pub to: TaskUpdate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskUpdate {
    Running,
    Completed { outputs: RawJson },
    Failed { error: JobError },
    Canceled,
    Progressed(Progress),
}

/// The worker goes: what it claimed goes back to its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoveWorker {
    pub worker_id: WorkerId,
    pub by: UserId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub admin: bool,
}

/// Forget a topic that no worker registers and no task waits in; else this changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoveTopic {
    pub topic: TopicName,
}
