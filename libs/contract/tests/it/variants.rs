//! Every variant of everything that is said, so that the compiler asks for an example of a new one.

use std::collections::BTreeSet;

use nox_contract::{
    AnswerMessage, AttemptEnd, Blame, Command, CommandMessage, Entity, Fact, FactOrUnknown, Frame,
    HandBack, JobState, LostReason, Outcome, ProblemCode, Report, ReportMessage, Source,
    StopReason, WaitingCode, Work, WorkMessage,
};

use crate::kind::Kind;

/// Lists the variants of an enum, and names the one that a value is. There is no `_`: a variant that
/// is not listed does not compile, and one that is listed needs an example.
macro_rules! variants {
    ($module:ident: $type:ident { $($pattern:pat => $name:literal,)* } $(never $never:pat)?) => {
        mod $module {
            use super::*;

            pub const ALL: &[&str] = &[$(concat!(stringify!($type), "::", $name)),*];

            pub fn name(value: &$type) -> &'static str {
                use $type::*;
                match value {
                    $($pattern => concat!(stringify!($type), "::", $name),)*
                    $($never => "nothing that is ever written",)?
                }
            }
        }
    };
}

variants!(command: Command {
    Submit(_) => "submit",
    SubmitBatch(_) => "submit_batch",
    SubmitDraft(_) => "submit_draft",
    Cancel(_) => "cancel",
    SetModule(_) => "set_module",
    RegisterModule(_) => "register_module",
    SetLimits(_) => "set_limits",
    DrainWorker(_) => "drain_worker",
    CreateKey(_) => "create_key",
    RevokeKey(_) => "revoke_key",
    SetSchedule(_) => "set_schedule",
    PauseSchedule(_) => "pause_schedule",
    DeleteSchedule(_) => "delete_schedule",
    TriggerSchedule(_) => "trigger_schedule",
    SetWebhook(_) => "set_webhook",
    RotateWebhook(_) => "rotate_webhook",
    TestWebhook(_) => "test_webhook",
    RedeliverWebhook(_) => "redeliver_webhook",
    DeleteWebhook(_) => "delete_webhook",
    DisableWebhook(_) => "disable_webhook",
    Register(_) => "register",
    Claim(_) => "claim",
    Undelivered(_) => "undelivered",
    UpdateTask(_) => "update_task",
    RemoveWorker(_) => "remove_worker",
    RemoveTopic(_) => "remove_topic",
} never Unreadable);

variants!(outcome: Outcome {
    Accepted(_) => "accepted",
    Refused(_) => "refused",
});

variants!(report: Report {
    Hello(_) => "hello",
    Started(_) => "started",
    Ended(_) => "ended",
    Stopped(_) => "stopped",
    Draining => "draining",
    Paused { .. } => "paused",
    Resumed { .. } => "resumed",
    Progressed(_) => "progressed",
    Offer(_) => "offer",
    Bye => "bye",
} never Unreadable);

variants!(end: AttemptEnd {
    Succeeded { .. } => "succeeded",
    Failed { .. } => "failed",
    HandedBack(_) => "handed_back",
});

variants!(hand_back: HandBack {
    Draining => "draining",
    CannotRun { .. } => "cannot_run",
});

variants!(work: Work {
    Start(_) => "start",
    Stop(_) => "stop",
    Abandon(_) => "abandon",
    Superseded => "superseded",
    Joined => "joined",
    Modules(_) => "modules",
    Refused { .. } => "refused",
} never Unreadable);

variants!(entity: Entity {
    Job { .. } => "job",
    Account { .. } => "account",
    Worker(_) => "worker",
    Module(_) => "module",
    Topic { .. } => "topic",
    Key { .. } => "key",
    Schedule { .. } => "schedule",
    Webhook { .. } => "webhook",
    Control => "control",
});

variants!(fact: Fact {
    Submitted(_) => "submitted",
    Drafted(_) => "drafted",
    DraftSubmitted {} => "draft_submitted",
    Rejected(_) => "rejected",
    Canceled { .. } => "canceled",
    Waiting { .. } => "waiting",
    Assigned { .. } => "assigned",
    RetryScheduled { .. } => "retry_scheduled",
    StopRequested { .. } => "stop_requested",
    AttemptLost { .. } => "attempt_lost",
    Started { .. } => "started",
    Progressed { .. } => "progressed",
    AttemptFailed { .. } => "attempt_failed",
    Stopped { .. } => "stopped",
    Succeeded { .. } => "succeeded",
    Failed { .. } => "failed",
    Reserved { .. } => "reserved",
    Settled { .. } => "settled",
    Released { .. } => "released",
    LimitsSet { .. } => "limits_set",
    Granted { .. } => "granted",
    QuotaViolated { .. } => "quota_violated",
    WorkerJoined { .. } => "worker_joined",
    WorkerOffered { .. } => "worker_offered",
    WorkerDraining { .. } => "worker_draining",
    WorkerDrained { .. } => "worker_drained",
    WorkerUndrained { .. } => "worker_undrained",
    WorkerPaused { .. } => "worker_paused",
    WorkerResumed { .. } => "worker_resumed",
    WorkerLeft { .. } => "worker_left",
    ModuleDeclared { .. } => "module_declared",
    ModuleRegistered { .. } => "module_registered",
    ModuleSwitched { .. } => "module_switched",
    TopicRegistered { .. } => "topic_registered",
    TopicRemoved {} => "topic_removed",
    KeyCreated { .. } => "key_created",
    KeyRevoked { .. } => "key_revoked",
    ScheduleSet { .. } => "schedule_set",
    SchedulePaused { .. } => "schedule_paused",
    ScheduleResumed { .. } => "schedule_resumed",
    SchedulePlanned { .. } => "schedule_planned",
    ScheduleOccurred { .. } => "schedule_occurred",
    ScheduleTriggered { .. } => "schedule_triggered",
    ScheduleDeleted { .. } => "schedule_deleted",
    WebhookSet { .. } => "webhook_set",
    WebhookRotated { .. } => "webhook_rotated",
    WebhookTested { .. } => "webhook_tested",
    WebhookRedelivered { .. } => "webhook_redelivered",
    WebhookDisabled { .. } => "webhook_disabled",
    WebhookDeleted { .. } => "webhook_deleted",
    Configured { .. } => "configured",
    InputsReset { .. } => "inputs_reset",
});

variants!(source: Source {
    Commands => "commands",
    Reports => "reports",
    Timer => "timer",
    Detector => "detector",
    Match => "match",
    Configuration => "configuration",
    Operator => "operator",
});

variants!(problem: ProblemCode {
    MalformedJson => "malformed_json",
    InvalidRequest => "invalid_request",
    InvalidInputs => "invalid_inputs",
    InvalidCommand => "invalid_command",
    UnstorableJson => "unstorable_json",
    InvalidId => "invalid_id",
    AmbiguousHead => "ambiguous_head",
    HeadTooLarge => "head_too_large",
    BodyTooLarge => "body_too_large",
    BodyTimeout => "body_timeout",
    UnsupportedMediaType => "unsupported_media_type",
    MethodNotAllowed => "method_not_allowed",
    RouteNotFound => "route_not_found",
    RangeNotSatisfiable => "range_not_satisfiable",
    PlaceGone => "place_gone",
    Unauthenticated => "unauthenticated",
    TokenExpired => "token_expired",
    Forbidden => "forbidden",
    UnknownModule => "unknown_module",
    DisabledModule => "disabled_module",
    ModuleNotFound => "module_not_found",
    InvalidManifest => "invalid_manifest",
    VersionConflict => "version_conflict",
    JobNotFound => "job_not_found",
    ArtifactNotFound => "artifact_not_found",
    TaskNotFound => "task_not_found",
    WorkerNotFound => "worker_not_found",
    AccountNotFound => "account_not_found",
    KeyNotFound => "key_not_found",
    ScheduleNotFound => "schedule_not_found",
    WebhookNotFound => "webhook_not_found",
    DeliveryNotFound => "delivery_not_found",
    WebhookDisabled => "webhook_disabled",
    TooMany => "too_many",
    AtMostExceeded => "at_most_exceeded",
    AlreadyEnded => "already_ended",
    NotEnded => "not_ended",
    Parked => "parked",
    InvalidTaskTransition => "invalid_task_transition",
    SchemaConflict => "schema_conflict",
    InvalidCategory => "invalid_category",
    InvalidRoomId => "invalid_room_id",
    IdempotencyConflict => "idempotency_conflict",
    StaleStamp => "stale_stamp",
    BudgetExhausted => "budget_exhausted",
    QueueFull => "queue_full",
    RequestTooLarge => "request_too_large",
    Unsatisfiable => "unsatisfiable",
    UploadQuota => "upload_quota",
    RateLimited => "rate_limited",
    Refused => "refused",
    Overloaded => "overloaded",
    StorageFull => "storage_full",
    Lagging => "lagging",
    Unavailable => "unavailable",
    Internal => "internal",
});

variants!(job_state: JobState {
    Draft => "draft",
    Queued => "queued",
    Running => "running",
    Succeeded => "succeeded",
    Failed => "failed",
    Canceled => "canceled",
});

variants!(waiting: WaitingCode {
    Priority => "priority",
    Concurrency => "concurrency",
    Quota => "quota",
    Rate => "rate",
    NoWorker => "no_worker",
    Drained => "drained",
    Resources => "resources",
    Unsatisfiable => "unsatisfiable",
    Isolation => "isolation",
    Dependency => "dependency",
    Scheduled => "scheduled",
    Backoff => "backoff",
    Paused => "paused",
    Claim => "claim",
    Dispatching => "dispatching",
});

variants!(lost: LostReason {
    WorkerSilent => "worker_silent",
    NewSession => "new_session",
    NotHeld => "not_held",
    Draining => "draining",
    CannotRun => "cannot_run",
    Undelivered => "undelivered",
});

variants!(blame: Blame {
    Nobody => "nobody",
    Suspected => "suspected",
    Crashed => "crashed",
});

variants!(stop: StopReason {
    Canceled => "canceled",
});

const ALL: [&[&str]; 15] = [
    command::ALL,
    outcome::ALL,
    report::ALL,
    end::ALL,
    hand_back::ALL,
    work::ALL,
    entity::ALL,
    fact::ALL,
    source::ALL,
    problem::ALL,
    job_state::ALL,
    waiting::ALL,
    lost::ALL,
    blame::ALL,
    stop::ALL,
];

/// The variants that a message shows.
fn shown(kind: Kind, text: &str) -> Vec<&'static str> {
    let mut shown = Vec::new();
    match kind {
        Kind::Commands => {
            let message: CommandMessage = serde_json::from_str(text).unwrap();
            shown.extend(message.commands.iter().map(command::name));
        }
        Kind::Answers => {
            let message: AnswerMessage = serde_json::from_str(text).unwrap();
            for answer in &message.answers {
                shown.push(outcome::name(&answer.outcome));
                match &answer.outcome {
                    Outcome::Accepted(a) => shown.extend(a.state.as_ref().map(job_state::name)),
                    Outcome::Refused(refusal) => shown.push(problem::name(&refusal.code)),
                }
            }
        }
        Kind::Reports => {
            let message: ReportMessage = serde_json::from_str(text).unwrap();
            for report in &message.reports {
                shown.push(report::name(report));
                if let Report::Ended(ended) = report {
                    shown.push(end::name(&ended.end));
                    if let AttemptEnd::HandedBack(why) = &ended.end {
                        shown.push(hand_back::name(why));
                    }
                }
            }
        }
        Kind::Work => {
            let message: WorkMessage = serde_json::from_str(text).unwrap();
            shown.extend(message.work.iter().map(work::name));
        }
        Kind::Frames => {
            let frame: Frame = serde_json::from_str(text).unwrap();
            for entry in &frame.entries {
                shown.push(source::name(&entry.by.src));
                shown.extend(entry.entity().as_ref().map(entity::name));
                for known in entry.known_facts() {
                    shown.push(fact::name(known));
                    match known {
                        Fact::Waiting { code } => shown.push(waiting::name(code)),
                        Fact::AttemptLost { reason, blame, .. } => {
                            shown.extend([lost::name(reason), blame::name(blame)]);
                        }
                        Fact::StopRequested { reason, .. } => shown.push(stop::name(reason)),
                        _ => {}
                    }
                }
            }
        }
        Kind::Beats | Kind::Epochs => {}
    }
    shown
}

fn without_example(kinds: &[Kind]) -> Vec<&'static str> {
    let shown: BTreeSet<_> = kinds
        .iter()
        .flat_map(|kind| kind.stored().into_iter().map(|(_, text)| (*kind, text)))
        .flat_map(|(kind, text)| shown(kind, &text))
        .collect();
    ALL.concat().into_iter().filter(|variant| !shown.contains(variant)).collect()
}

#[test]
fn every_variant_of_everything_that_is_said_has_a_stored_example() {
    let missing = without_example(&Kind::ALL);
    assert!(missing.is_empty(), "add to tests/it/examples.rs, then NOX_BLESS=1: {missing:?}");
}

#[test]
fn a_variant_without_an_example_is_noticed() {
    assert!(without_example(&[Kind::Frames]).contains(&"Command::submit"));
    let few: Vec<_> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Frames).collect();
    assert!(without_example(&few).contains(&"Fact::succeeded"));
}

#[test]
fn a_variant_bears_one_name_in_code_and_in_json() {
    let (mut facts, mut codes) = (0, 0);
    for (name, text) in Kind::Frames.stored() {
        let frame: Frame = serde_json::from_str(&text).unwrap();
        for fact in frame.entries.iter().flat_map(|entry| &entry.facts) {
            let FactOrUnknown::Known(fact) = fact else { panic!("{name}: {fact:?}") };
            let json = serde_json::to_value(fact).unwrap();
            let tag = json.as_str().or_else(|| json.as_object()?.keys().next().map(|k| &**k));
            assert_eq!(tag, Some(fact.name()), "{name}");
            assert_eq!(format!("Fact::{}", fact.name()), fact::name(fact));
            facts += 1;
            if let Fact::Waiting { code } = fact {
                assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
                codes += 1;
            }
        }
    }
    for (name, text) in Kind::Answers.stored() {
        let message: AnswerMessage = serde_json::from_str(&text).unwrap();
        for answer in message.answers {
            match answer.outcome {
                Outcome::Refused(refusal) => {
                    let code = refusal.code;
                    assert_eq!(serde_json::to_value(code).unwrap(), code.as_str(), "{name}");
                    codes += 1;
                }
                Outcome::Accepted(accepted) => {
                    if let Some(state) = accepted.state {
                        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str(), "{name}");
                        assert_eq!(state.as_str().parse(), Ok(state));
                        codes += 1;
                    }
                }
            }
        }
    }
    assert!(facts >= fact::ALL.len());
    assert!(codes >= problem::ALL.len() + job_state::ALL.len() + waiting::ALL.len());
}
