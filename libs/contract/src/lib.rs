//! What Nox's services say to each other: ids, commands, reports, work, beats, facts and states.
//!
//! Pure data: no I/O, no clock, no randomness. Every type here is a line of JSON that any tool can
//! read for years, so the rules of change are strict: fields are only ever added, with a default;
//! unknown fields are ignored, and a part with an unknown word costs that part alone (`tolerance`);
//! what was written once stays readable (`corpus/v1/` holds a copy of
//! every message, and a test reads them all).

pub mod answer;
pub mod artifact;
pub mod asker;
pub mod audit;
pub mod beat;
pub mod canonical;
pub mod chain;
pub mod command;
pub mod concurrency;
pub mod entity;
pub mod epoch;
pub mod event;
pub mod fact;
pub mod frame;
mod frame_head;
pub mod ids;
pub mod json;
pub mod key;
pub mod limits;
pub mod metadata;
pub mod module;
mod near;
pub mod place;
pub mod problem;
pub mod report;
pub mod resources;
pub mod schedule;
pub mod state;
pub mod subject;
pub mod task;
pub mod time;
mod tolerance;
pub mod upload;
pub mod webhook;
pub mod words;
pub mod work;

pub use answer::{Accepted, Answer, AnswerMessage, Outcome};
pub use asker::{Asked, Asker, RefusedCommand, Requested};
pub use beat::Beat;
pub use canonical::NoMeaning;
pub use chain::Chain;
pub use command::{
    Cancel, Claim, Command, CommandMessage, CreateKey, DeleteSchedule, DeleteWebhook,
    DisableWebhook, DrainWorker, PauseSchedule, RedeliverWebhook, Register, RegisterModule,
    RemoveTopic, RemoveWorker, RevokeKey, RotateWebhook, SetLimits, SetModule, SetSchedule,
    SetWebhook, Submit, SubmitBatch, SubmitDraft, TestWebhook, TriggerSchedule, Undelivered,
    UpdateTask,
};
pub use concurrency::Concurrency;
pub use entity::Entity;
pub use epoch::EpochRecord;
pub use event::{CloudEvent, EventFilter, EventKind, EventType, LabelWord, TypeWord, Viewer};
pub use fact::Fact;
pub use frame::{Cause, Entry, FactOrUnknown, Frame, Source};
pub use frame_head::FrameHead;
pub use ids::*;
pub use json::{RawJson, UnstorableJson};
pub use key::ApiKey;
pub use limits::{LIMITS_REASON_BYTES_MAX, Limits, LimitsChange, RoleLimits, SchedulerConfig};
pub use metadata::Metadata;
pub use module::{
    COMMAND_MODULE, Manifest, REGISTERED_BYTES_MAX, Raise, RaisedResource, RegisteredModule,
    RetryPolicy,
};
pub use near::near;
pub use place::{FactPlace, Incarnation, NoPlace, Place, Position, Positions};
pub use problem::{ProblemCode, Refusal};
pub use report::{AttemptEnd, HandBack, Hello, Origin, Report, ReportMessage, Usage};
pub use resources::{Capacity, Resources};
pub use schedule::{JobTemplate, Occurrence, Overlap, PauseReason, ScheduleSpec};
pub use state::{Blame, JobError, JobState, LostReason, StopReason, WaitingCode};
pub use task::{Claimant, Progress, Task};
pub use time::Timestamp;
pub use webhook::{DisableReason, WebhookKey, WebhookSecret, WebhookSpec};
pub use work::{Covers, RegisteredModules, StartWork, StopWork, Work, WorkMessage};

/// Largest payload of one message, in bytes; the broker's default limit is 1 MiB and headers and
/// envelope need room.
pub const MESSAGE_BYTES_MAX: usize = 768 * 1024;

/// Largest message of an input stream that is read, in bytes. What is larger is consumed without a
/// fact: an entry repeats what it was caused by, and has to fit into a frame.
pub const INPUT_MESSAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 128 * 1024;

/// Largest frame, in bytes; the rest of the broker's 1 MiB is for headers.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024 - 16 * 1024;

/// Largest `outputs` of one job, in bytes of JSON, also with its numbers written without exponents.
/// Larger ones belong into a file.
pub const OUTPUTS_BYTES_MAX: usize = 512 * 1024;

/// Longest code and message of a job's error, in bytes.
pub const ERROR_CODE_BYTES_MAX: usize = 128;
pub const ERROR_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Largest inline `inputs` of one job, in bytes of canonical JSON whose numbers are written without
/// exponents: what they say counts, and not how they are written.
pub const INPUTS_BYTES_MAX: usize = 16 * 1024;

/// Longest text of inputs that is kept as it was written: with every character escaped, and numbers
/// without exponents. Of a longer one, which has that many blanks or zeros in it, the canonical text is
/// kept.
pub const INPUTS_TEXT_BYTES_MAX: usize = 6 * INPUTS_BYTES_MAX;

/// Deepest nesting of user-supplied JSON; Postgres' parser and ours both recurse.
pub const JSON_DEPTH_MAX: usize = 64;
