//! Facts in words, for people.

use nox_contract::{Blame, Fact, FactOrUnknown, Resources, Timestamp};

use crate::views::Entry;

/// The columns of [`rows`].
pub const HEAD: [&str; 4] = ["time", "n", "fact", "details"];

/// Longest inputs or outputs that are shown in a table, in characters.
const JSON_CHARS_MAX: usize = 80;

/// A row for each fact of an entry.
pub fn rows(entry: &Entry) -> Vec<Vec<String>> {
    let row = |name: &str, details: String| {
        vec![clock(entry.at), entry.n.to_string(), name.to_owned(), details]
    };
    entry
        .facts
        .iter()
        .map(|fact| match fact {
            FactOrUnknown::Known(fact) => row(fact.name(), details(fact)),
            FactOrUnknown::Unknown(fact) => row("unknown", cut(fact.get())),
        })
        .collect()
}

/// The time of day in UTC, to the millisecond.
pub fn clock(at: Timestamp) -> String {
    let micros = (at.as_micros() - at.start_of_day().as_micros()).max(0);
    let (seconds, millis) = (micros / 1_000_000, micros / 1_000 % 1_000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn details(fact: &Fact) -> String {
    match fact {
        Fact::Submitted(submitted) | Fact::Drafted(submitted) => format!(
            "{}, priority {}, inputs {}",
            resources(&submitted.requested_resources),
            submitted.priority,
            cut(submitted.inputs.get())
        ),
        Fact::Rejected(rejected) => {
            format!("{}: {}", rejected.refusal.code, rejected.refusal.detail)
        }
        Fact::Canceled { by } => format!("by {by}"),
        Fact::Waiting { code } => format!("for {}", code.as_str()),
        Fact::Assigned { worker_id, attempt, work, .. } => {
            format!("attempt {attempt} to {worker_id}, its work {work}")
        }
        Fact::RetryScheduled { attempt, due_at, .. } => {
            format!("attempt {attempt} at {}", clock(*due_at))
        }
        Fact::StopRequested { worker_id, attempt, reason, .. } => {
            format!("attempt {attempt} on {worker_id}: {reason:?}").to_lowercase()
        }
        Fact::AttemptLost { worker_id, attempt, reason, blame, detail } => {
            let counts = match blame {
                Blame::Nobody => "nobody is charged",
                Blame::Suspected => "one of several that ran there",
                Blame::Crashed => "counts as a crash",
            };
            let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("attempt {attempt} on {worker_id}, {reason:?}, {counts}{detail}")
        }
        Fact::Started { worker_id, attempt, elapsed_ms } => {
            format!("attempt {attempt} on {worker_id}, {elapsed_ms} ms before")
        }
        Fact::Progressed { attempt, progress } => {
            let percent = progress.percent.map(|percent| format!(", {percent} %"));
            let message = progress.message.as_ref().map(|message| format!(": {message}"));
            format!(
                "attempt {attempt}{}{}",
                percent.unwrap_or_default(),
                message.unwrap_or_default()
            )
        }
        Fact::AttemptFailed { attempt, error, crashed, wall_ms } => format!(
            "attempt {attempt} {} after {wall_ms} ms: {}: {}",
            if *crashed { "crashed" } else { "ended" },
            error.code,
            error.message
        ),
        Fact::Stopped { worker_id, attempt } => format!("attempt {attempt} on {worker_id}"),
        Fact::Succeeded { attempt, outputs, wall_ms } => {
            format!("attempt {attempt} after {wall_ms} ms, outputs {}", cut(outputs.get()))
        }
        Fact::Failed { error } => format!("{}: {}", error.code, error.message),
        Fact::Reserved { cpu_seconds, .. } => format!("{cpu_seconds} core s of the day's budget"),
        Fact::Settled { cpu_seconds, overrun, .. } if *overrun > 0 => {
            format!("{cpu_seconds} core s used, and {overrun} more than reserved")
        }
        Fact::Settled { cpu_seconds, .. } => format!("{cpu_seconds} core s used"),
        Fact::Released { cpu_seconds, .. } => format!("{cpu_seconds} core s given back"),
        // The rest is about other things than jobs.
        Fact::LimitsSet { change: Some(change), .. } => {
            format!("by {}: {}", change.by, change.reason)
        }
        Fact::LimitsSet { role, .. } => format!("for role {role}"),
        Fact::Granted { cpu_seconds, .. } => format!("{cpu_seconds} core s"),
        Fact::QuotaViolated { refusal, .. } => format!("{}: {}", refusal.code, refusal.detail),
        Fact::WorkerJoined { claimant: Some(claimant), labels, .. } => {
            format!("of {}, claims {}", claimant.user_id, labels.join(", "))
        }
        Fact::WorkerJoined { capacity, .. } => format!("with {} slots", capacity.slots),
        Fact::WorkerOffered { capacity, modules, labels, .. } => {
            format!("{} slots, {} modules, {}", capacity.slots, modules.len(), labels.join(", "))
        }
        Fact::WorkerDraining { session } | Fact::WorkerResumed { session, .. } => {
            format!("session {session}")
        }
        Fact::WorkerDrained { by } | Fact::WorkerUndrained { by } => format!("by {by}"),
        Fact::WorkerPaused { reason, .. } => reason.clone(),
        Fact::WorkerLeft { lost, .. } => if *lost { "lost" } else { "by itself" }.to_owned(),
        Fact::ModuleDeclared { manifest, .. } => format!("{} {}", manifest.name, manifest.version),
        Fact::ModuleRegistered { manifest, by, .. } => {
            format!("{} {} by {by}", manifest.name, manifest.version)
        }
        Fact::ModuleSwitched { enabled, by } => {
            format!("{} by {by}", if *enabled { "on" } else { "off" })
        }
        Fact::TopicRegistered { by, .. } => format!("by {by}"),
        Fact::KeyCreated { key, by } => format!("{} by {by}", key.name),
        Fact::KeyRevoked { by }
        | Fact::ScheduleResumed { by, .. }
        | Fact::ScheduleDeleted { by }
        | Fact::WebhookRotated { by, .. }
        | Fact::WebhookDeleted { by } => format!("by {by}"),
        // Not where it sends: that may hold a secret.
        Fact::WebhookSet { by, .. } => format!("by {by}"),
        Fact::WebhookTested { delivery_id, by } | Fact::WebhookRedelivered { delivery_id, by } => {
            format!("{delivery_id} by {by}")
        }
        Fact::WebhookDisabled { reason } => reason.as_str().to_owned(),
        Fact::SchedulePaused { by, reason } => match by {
            Some(by) => format!("{} by {by}", reason.as_str()),
            None => reason.as_str().to_owned(),
        },
        Fact::ScheduleSet { spec, by, .. } => {
            format!("{} in {} by {by}", spec.cron, spec.time_zone)
        }
        Fact::SchedulePlanned { next_due_at } => {
            next_due_at.map_or_else(|| "never".to_owned(), |at| format!("due at {at}"))
        }
        Fact::ScheduleOccurred { due_at, outcome, .. } => {
            format!("due at {due_at}: {}", outcome.as_str())
        }
        Fact::ScheduleTriggered { job_id, by } => format!("job {job_id} by {by}"),
        Fact::DraftSubmitted {} | Fact::TopicRemoved {} | Fact::Configured { .. } => String::new(),
        Fact::InputsReset { src, by, .. } => format!("{src:?} by {by}").to_lowercase(),
    }
}

fn resources(asked: &Resources) -> String {
    let Resources { cpu, mem_mb, wall_time_s, gpu } = asked;
    let gpu = if *gpu > 0 { format!(", {gpu} GPU") } else { String::new() };
    let cores = if *cpu == 1 { "core" } else { "cores" };
    format!("{cpu} {cores}, {mem_mb} MiB, {wall_time_s} s{gpu}")
}

/// JSON as far as it fits into a table.
pub fn cut(json: &str) -> String {
    let mut chars = json.chars();
    let head: String = chars.by_ref().take(JSON_CHARS_MAX).collect();
    if chars.next().is_some() { format!("{head}…") } else { head }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_of_an_entry_is_a_row() {
        let entry = r#"{"n":7,"at":"2026-11-21T22:01:02.345678Z","epoch":1,
            "by":{"src":"commands","seq":1,"part":0},"tenant":"default",
            "job_id":"0193a000-0000-7000-8000-000000000001","user_id":"ada","module":"noop",
            "facts":[{"reserved":{"period":"2026-11-21T00:00:00Z","cpu_seconds":60}},
                     {"waiting":{"code":"no_worker"}},{"of_tomorrow":{"x":1}}]}"#;
        let entry: Entry = serde_json::from_str(entry).unwrap();
        assert_eq!(
            rows(&entry),
            [
                ["22:01:02.345", "7", "reserved", "60 core s of the day's budget"],
                ["22:01:02.345", "7", "waiting", "for no_worker"],
                ["22:01:02.345", "7", "unknown", r#"{"of_tomorrow":{"x":1}}"#],
            ]
        );
    }

    #[test]
    fn long_json_is_cut_between_characters() {
        assert_eq!(cut(&"ü".repeat(81)), format!("{}…", "ü".repeat(80)));
        assert_eq!(cut("{}"), "{}");
    }
}
