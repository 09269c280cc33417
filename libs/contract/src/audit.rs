//! What an audit is told: who did what, from where, by which token, why, and what became of it.
//!
//! A fold of single frames, and of nothing else: the sink's files and `GET /audit` tell the same. An act is what a
//! person or machine asked for and the log has, or has refused. What the system does by itself is none, with the
//! exceptions that stand in the table; nor is what workers say of their work. Inputs, outputs and secrets are in
//! no act.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Asked, Asker, Entity, Entry, EpochRecord, Fact, FactPlace, Frame, FrameNumber, KeyId, Source,
    TenantId, Timestamp, UserId,
};

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Act {
    /// Its place in the log: of the fact that says so; of what was refused without one, behind the frame's entries.
    pub id: FactPlace,
    pub n: FrameNumber,
    /// When it was decided.
    pub at: Timestamp,
    /// Of whoever asked, else of what it is about.
    pub tenant: TenantId,
    /// Who asked; nobody of what the system did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The token's `jti`, or the API key's id. Logs from before who asked was recorded have neither, no role and no
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was done, as `<kind>.<verb>`.
    pub verb: String,
    pub object: Object,
    /// Why, in the asker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub outcome: Outcome,
    /// Of what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What an act is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditObject")]
pub struct Object {
    /// `job`, `quota`, `worker`, `module`, `topic`, `key`, `schedule` or `system`.
    pub kind: String,
    pub id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditOutcome")]
pub enum Outcome {
    Done,
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Refused => "refused",
        })
    }
}

/// What a fact is to an audit.
struct Told<'f> {
    verb: &'static str,
    /// Whom the fact itself names.
    by: Option<&'f UserId>,
    reason: Option<&'f str>,
    /// It says that something was refused.
    code: Option<&'static str>,
    /// The system did it.
    of_system: bool,
}

/// The acts of a frame, in their order.
pub fn acts(frame: &Frame) -> Vec<Act> {
    let mut acts = Vec::new();
    for (place, entry) in (0..).zip(&frame.entries) {
        let asked = request_of(frame, entry);
        for (fact, known) in (0..).zip(&entry.facts) {
            let crate::FactOrUnknown::Known(known) = known else { continue };
            let Some(told) = told(entry, known) else { continue };
            if asked.is_none() && told.by.is_none() && !told.of_system {
                continue;
            }
            let id = FactPlace { n: frame.n, entry: place, fact };
            acts.push(act(frame, id, (entry, known), asked, &told));
        }
    }
    let entries = u32::try_from(frame.entries.len()).unwrap_or(u32::MAX);
    for (row, asked) in (0..).zip(&frame.asked) {
        for (fact, refused) in (0..).zip(&asked.refused) {
            let Some(asker) = asker(frame, asked) else { continue };
            let id = FactPlace { n: frame.n, entry: entries.saturating_add(row), fact };
            let (kind, verb) = of_command(&refused.command);
            let object =
                Object { kind: kind.to_owned(), id: refused.object.clone().unwrap_or_default() };
            acts.push(Act {
                verb: format!("{kind}.{verb}"),
                outcome: Outcome::Refused,
                code: Some(refused.code.clone()),
                ..of_asker(frame, id, object, asked, asker)
            });
        }
    }
    acts
}

/// The request that an entry follows from. They stand in the order of their parts.
fn request_of<'f>(frame: &'f Frame, entry: &Entry) -> Option<&'f Asked> {
    let by = entry.by;
    if by.src != Source::Commands {
        return None;
    }
    let behind = frame.asked.partition_point(|of| (of.seq, of.part) <= (by.seq, by.part));
    let asked = frame.asked.get(behind.checked_sub(1)?)?;
    asked.covers(by.seq, by.part).then_some(asked)
}

/// That somebody leads from here on.
pub fn term(n: FrameNumber, record: &EpochRecord) -> Act {
    let object = Object { kind: "system".to_owned(), id: record.leader.clone() };
    Act {
        verb: "system.lead".to_owned(),
        ..blank(FactPlace { n, entry: 0, fact: 0 }, record.at, object)
    }
}

fn blank(id: FactPlace, at: Timestamp, object: Object) -> Act {
    Act {
        id,
        n: id.n,
        at,
        tenant: TenantId::system(),
        user_id: None,
        role: None,
        token_id: None,
        key_id: None,
        from: None,
        request_id: None,
        verb: String::new(),
        object,
        reason: None,
        outcome: Outcome::Done,
        code: None,
    }
}

fn asker<'f>(frame: &'f Frame, asked: &Asked) -> Option<&'f Asker> {
    usize::try_from(asked.asker).ok().and_then(|place| frame.askers.get(place))
}

fn of_asker(frame: &Frame, id: FactPlace, object: Object, asked: &Asked, asker: &Asker) -> Act {
    Act {
        tenant: asker.tenant.clone(),
        user_id: Some(asker.user_id.clone()),
        role: Some(asker.role.clone()),
        token_id: asker.token_id.clone(),
        key_id: asker.key_id,
        from: asker.from.clone(),
        request_id: asked.request_id.clone(),
        reason: asked.reason.clone(),
        ..blank(id, frame.at, object)
    }
}

fn act(
    frame: &Frame,
    id: FactPlace,
    (entry, fact): (&Entry, &Fact),
    asked: Option<&Asked>,
    told: &Told<'_>,
) -> Act {
    let object = match fact {
        Fact::QuotaViolated { job_id, .. } => {
            Object { kind: "job".to_owned(), id: job_id.to_string() }
        }
        _ => object(entry),
    };
    let mut act = match asked.and_then(|asked| Some((asked, asker(frame, asked)?))) {
        Some((asked, asker)) => of_asker(frame, id, object, asked, asker),
        None => Act {
            tenant: entry.tenant.clone(),
            user_id: told.by.cloned(),
            ..blank(id, frame.at, object)
        },
    };
    act.verb = told.verb.to_owned();
    act.reason = act.reason.or_else(|| told.reason.map(str::to_owned));
    if let Some(code) = told.code {
        (act.outcome, act.code) = (Outcome::Refused, Some(code.to_owned()));
    }
    act
}

fn object(entry: &Entry) -> Object {
    let (kind, id) = match entry.entity() {
        Some(Entity::Job { job_id, .. }) => ("job", job_id.to_string()),
        Some(Entity::Account { account, .. }) => ("quota", account),
        Some(Entity::Worker(worker)) => ("worker", worker.to_string()),
        Some(Entity::Module(module)) => ("module", module.to_string()),
        Some(Entity::Topic { topic, .. }) => ("topic", topic.to_string()),
        Some(Entity::Key { key_id, .. }) => ("key", key_id.to_string()),
        Some(Entity::Schedule { schedule_id, .. }) => ("schedule", schedule_id.to_string()),
        Some(Entity::Webhook { webhook_id, .. }) => ("webhook", webhook_id.to_string()),
        Some(Entity::Control) | None => ("system", String::new()),
    };
    Object { kind: kind.to_owned(), id }
}

/// What a command is to an audit; those that are told of are in [`crate::Command::audited`].
fn of_command(name: &str) -> (&'static str, &'static str) {
    match name {
        "submit_draft" => ("job", "submit_draft"),
        "cancel" => ("job", "cancel"),
        "set_module" => ("module", "switch"),
        "register_module" => ("module", "register"),
        "set_limits" => ("quota", "set"),
        "drain_worker" => ("worker", "drain"),
        "remove_worker" => ("worker", "remove"),
        "create_key" => ("key", "create"),
        "revoke_key" => ("key", "revoke"),
        "set_schedule" => ("schedule", "set"),
        "pause_schedule" => ("schedule", "pause"),
        "delete_schedule" => ("schedule", "delete"),
        "trigger_schedule" => ("schedule", "trigger"),
        "set_webhook" => ("webhook", "set"),
        "rotate_webhook" => ("webhook", "rotate"),
        "test_webhook" => ("webhook", "test"),
        "redeliver_webhook" => ("webhook", "redeliver"),
        "delete_webhook" => ("webhook", "delete"),
        _ => ("system", "other"),
    }
}

/// The table: which facts are acts, whoever may have asked for them. There is no `_`, so that a new fact asks.
fn told<'f>(entry: &'f Entry, fact: &'f Fact) -> Option<Told<'f>> {
    let asked = |verb| Some(Told { verb, by: None, reason: None, code: None, of_system: false });
    let by =
        |verb, by| Some(Told { verb, by: Some(by), reason: None, code: None, of_system: false });
    let system = |verb| Some(Told { verb, by: None, reason: None, code: None, of_system: true });
    match fact {
        Fact::Submitted(_) => asked("job.submit"),
        Fact::Drafted(_) => asked("job.draft"),
        Fact::DraftSubmitted {} => asked("job.submit_draft"),
        Fact::Rejected(rejected) => Some(Told {
            verb: "job.submit",
            by: entry.user_id.as_ref(),
            reason: None,
            code: Some(rejected.refusal.code.as_str()),
            of_system: false,
        }),
        Fact::Canceled { by: who } => by("job.cancel", who),
        Fact::QuotaViolated { user_id, refusal, .. } => Some(Told {
            verb: "job.submit",
            by: Some(user_id),
            reason: None,
            code: Some(refusal.code.as_str()),
            of_system: false,
        }),
        Fact::LimitsSet { change: Some(change), .. } => Some(Told {
            verb: if change.reset { "quota.reset" } else { "quota.set" },
            by: Some(&change.by),
            reason: Some(&change.reason),
            code: None,
            of_system: false,
        }),
        Fact::WorkerDrained { by: who } => by("worker.drain", who),
        Fact::WorkerUndrained { by: who } => by("worker.undrain", who),
        // Of workers that speak HTTP: registered and removed by whoever runs them.
        Fact::WorkerJoined { .. } => asked("worker.register"),
        Fact::WorkerLeft { .. } => asked("worker.remove"),
        Fact::ModuleRegistered { by: who, .. } => by("module.register", who),
        Fact::ModuleSwitched { enabled: true, by: who } => by("module.enable", who),
        Fact::ModuleSwitched { enabled: false, by: who } => by("module.disable", who),
        Fact::TopicRegistered { by: who, .. } => by("topic.register", who),
        Fact::TopicRemoved {} => asked("topic.remove"),
        Fact::KeyCreated { by: who, .. } => by("key.create", who),
        Fact::KeyRevoked { by: who } => by("key.revoke", who),
        Fact::ScheduleSet { by: who, .. } => by("schedule.set", who),
        Fact::SchedulePaused { by: Some(who), .. } => by("schedule.pause", who),
        // That a key has run out is of interest, whoever noticed.
        Fact::SchedulePaused { by: None, .. } => system("schedule.pause"),
        Fact::ScheduleResumed { by: who, .. } => by("schedule.resume", who),
        Fact::ScheduleTriggered { by: who, .. } => by("schedule.trigger", who),
        Fact::ScheduleDeleted { by: who } => by("schedule.delete", who),
        Fact::WebhookSet { by: who, .. } => by("webhook.set", who),
        Fact::WebhookRotated { by: who, .. } => by("webhook.rotate", who),
        Fact::WebhookTested { by: who, .. } => by("webhook.test", who),
        Fact::WebhookRedelivered { by: who, .. } => by("webhook.redeliver", who),
        Fact::WebhookDeleted { by: who } => by("webhook.delete", who),
        // The notifier, for its endpoint is gone or takes nothing.
        Fact::WebhookDisabled { .. } => system("webhook.disable"),
        Fact::Configured { .. } => system("system.configure"),
        Fact::InputsReset { .. } => system("system.reset_inputs"),
        // What the system does by itself, and what workers say of their work.
        Fact::LimitsSet { change: None, .. }
        | Fact::Waiting { .. }
        | Fact::Assigned { .. }
        | Fact::RetryScheduled { .. }
        | Fact::StopRequested { .. }
        | Fact::AttemptLost { .. }
        | Fact::Started { .. }
        | Fact::Progressed { .. }
        | Fact::AttemptFailed { .. }
        | Fact::Stopped { .. }
        | Fact::Succeeded { .. }
        | Fact::Failed { .. }
        | Fact::Reserved { .. }
        | Fact::Settled { .. }
        | Fact::Released { .. }
        | Fact::Granted { .. }
        | Fact::WorkerOffered { .. }
        | Fact::WorkerDraining { .. }
        | Fact::WorkerPaused { .. }
        | Fact::WorkerResumed { .. }
        | Fact::ModuleDeclared { .. }
        | Fact::SchedulePlanned { .. }
        | Fact::ScheduleOccurred { .. } => None,
    }
}
