//! Stable codes for what can be refused.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request was refused. The same word in answers, facts, rows and problem documents.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    // The request itself, found by the gateway.
    MalformedJson,
    InvalidRequest,
    InvalidInputs,
    /// The line of shell is empty, too long or no text.
    InvalidCommand,
    UnstorableJson,
    InvalidId,
    /// Two servers could read the head in two ways.
    AmbiguousHead,
    HeadTooLarge,
    BodyTooLarge,
    BodyTimeout,
    UnsupportedMediaType,
    MethodNotAllowed,
    RouteNotFound,
    /// What is asked for of a file begins behind its end.
    RangeNotSatisfiable,
    /// The log does not have the place any more that its events are asked for from.
    PlaceGone,
    // Who asks, found by the gateway.
    Unauthenticated,
    TokenExpired,
    Forbidden,
    // What is asked for, found by the scheduler (or by the gateway's reading of the projection).
    UnknownModule,
    DisabledModule,
    /// There is none at this address. Found by the gateway.
    ModuleNotFound,
    /// What is to be registered is no manifest of a module. Found by the gateway.
    InvalidManifest,
    /// There is this version of the module, with another manifest.
    VersionConflict,
    JobNotFound,
    /// The job has no such file: it has not ended, or not well, or never had it, or the file has expired.
    ArtifactNotFound,
    /// No such task; of the surface of tasks.
    TaskNotFound,
    /// No such worker, or it was given up.
    WorkerNotFound,
    /// Nobody of that name has an account: it never submitted anything, and no admin set its limits.
    AccountNotFound,
    /// No such API key.
    KeyNotFound,
    ScheduleNotFound,
    WebhookNotFound,
    /// There is no such delivery of the webhook (any more). Found by the gateway.
    DeliveryNotFound,
    /// The webhook is switched off: it sends nothing before somebody switches it on.
    WebhookDisabled,
    /// There are as many of these as there may be.
    TooMany,
    /// There are more jobs than the request says that there may be at most. Found by the gateway.
    AtMostExceeded,
    AlreadyEnded,
    /// The job is still to run, or runs: only one that has ended is repeated.
    NotEnded,
    /// A newer version led, and this one does not know what became of it.
    Parked,
    /// The task is not in a state from which this follows.
    InvalidTaskTransition,
    /// The topic is registered with another schema.
    SchemaConflict,
    InvalidCategory,
    InvalidRoomId,
    IdempotencyConflict,
    /// The submit was stamped before the scheduler forgot ids that it might repeat, or follows a job that is
    /// forgotten: look again, and stamp it anew.
    StaleStamp,
    // Quotas, found by the scheduler.
    /// The day's core seconds are spent: frees with time.
    BudgetExhausted,
    /// Too many jobs that have not ended: frees with time.
    QueueFull,
    /// Larger than the owner's largest request: can never fit.
    RequestTooLarge,
    /// Larger than every worker that serves the module, where that is configured to be refused.
    Unsatisfiable,
    /// What a user may keep of uploads is taken: frees when they expire. Found by the gateway.
    UploadQuota,
    /// Too many requests of one user: frees with time. Found by the gateway.
    RateLimited,
    /// Refused by a newer version, for a reason that only that one has a word for. Never written.
    Refused,
    // The system.
    Overloaded,
    /// Something that the request is kept in has no room: a stream, a disk, the store of uploads.
    StorageFull,
    Lagging,
    Unavailable,
    Internal,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 56] = [
        Self::MalformedJson,
        Self::InvalidRequest,
        Self::InvalidInputs,
        Self::InvalidCommand,
        Self::UnstorableJson,
        Self::InvalidId,
        Self::AmbiguousHead,
        Self::HeadTooLarge,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::UnsupportedMediaType,
        Self::MethodNotAllowed,
        Self::RouteNotFound,
        Self::RangeNotSatisfiable,
        Self::PlaceGone,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::Forbidden,
        Self::UnknownModule,
        Self::DisabledModule,
        Self::ModuleNotFound,
        Self::InvalidManifest,
        Self::VersionConflict,
        Self::JobNotFound,
        Self::ArtifactNotFound,
        Self::TaskNotFound,
        Self::WorkerNotFound,
        Self::AccountNotFound,
        Self::KeyNotFound,
        Self::ScheduleNotFound,
        Self::WebhookNotFound,
        Self::DeliveryNotFound,
        Self::WebhookDisabled,
        Self::TooMany,
        Self::AtMostExceeded,
        Self::AlreadyEnded,
        Self::NotEnded,
        Self::Parked,
        Self::InvalidTaskTransition,
        Self::SchemaConflict,
        Self::InvalidCategory,
        Self::InvalidRoomId,
        Self::IdempotencyConflict,
        Self::StaleStamp,
        Self::BudgetExhausted,
        Self::QueueFull,
        Self::RequestTooLarge,
        Self::Unsatisfiable,
        Self::UploadQuota,
        Self::RateLimited,
        Self::Refused,
        Self::Overloaded,
        Self::StorageFull,
        Self::Lagging,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Those that name a quota.
    pub const QUOTAS: [Self; 3] = [Self::BudgetExhausted, Self::QueueFull, Self::RequestTooLarge];

    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidInputs => "invalid_inputs",
            Self::InvalidCommand => "invalid_command",
            Self::UnstorableJson => "unstorable_json",
            Self::InvalidId => "invalid_id",
            Self::AmbiguousHead => "ambiguous_head",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RouteNotFound => "route_not_found",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::PlaceGone => "place_gone",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::UnknownModule => "unknown_module",
            Self::DisabledModule => "disabled_module",
            Self::ModuleNotFound => "module_not_found",
            Self::InvalidManifest => "invalid_manifest",
            Self::VersionConflict => "version_conflict",
            Self::JobNotFound => "job_not_found",
            Self::ArtifactNotFound => "artifact_not_found",
            Self::TaskNotFound => "task_not_found",
            Self::WorkerNotFound => "worker_not_found",
            Self::AccountNotFound => "account_not_found",
            Self::KeyNotFound => "key_not_found",
            Self::ScheduleNotFound => "schedule_not_found",
            Self::WebhookNotFound => "webhook_not_found",
            Self::DeliveryNotFound => "delivery_not_found",
            Self::WebhookDisabled => "webhook_disabled",
            Self::TooMany => "too_many",
            Self::AtMostExceeded => "at_most_exceeded",
            Self::AlreadyEnded => "already_ended",
            Self::NotEnded => "not_ended",
            Self::Parked => "parked",
            Self::InvalidTaskTransition => "invalid_task_transition",
            Self::SchemaConflict => "schema_conflict",
            Self::InvalidCategory => "invalid_category",
            Self::InvalidRoomId => "invalid_room_id",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::StaleStamp => "stale_stamp",
            Self::BudgetExhausted => "budget_exhausted",
            Self::QueueFull => "queue_full",
            Self::RequestTooLarge => "request_too_large",
            Self::Unsatisfiable => "unsatisfiable",
            Self::UploadQuota => "upload_quota",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::StorageFull => "storage_full",
            Self::Lagging => "lagging",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal with what the asker needs to do better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    pub code: ProblemCode,
    /// For people.
    pub detail: String,
    /// For a quota: its name (`cpu_seconds`, `queued_jobs`, `cpu`, `mem_mb`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// For a quota: whose, as the log names accounts (`tenant`, `user/<id>`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What the refused request would have added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
    /// Of jobs that were submitted all or none: which of them it is about, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u32>,
    /// When trying again makes sense, in seconds; absent where waiting does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            quota: None,
            account: None,
            usage: None,
            limit: None,
            requested: None,
            job: None,
            retry_after_s: None,
        }
    }
}
