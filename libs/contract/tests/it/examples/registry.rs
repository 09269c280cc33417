//! What is said of things that are no jobs: accounts, workers out of service, API keys, schedules.

use nox_contract::{
    ApiKey, Concurrency, CreateKey, DeleteSchedule, DeleteWebhook, DeliveryId, DisableReason,
    DisableWebhook, DrainWorker, EventFilter, JobTemplate, KeyId, LimitsChange, Occurrence,
    Overlap, PauseReason, PauseSchedule, RawJson, RedeliverWebhook, RegisterModule, RevokeKey,
    RotateWebhook, ScheduleId, ScheduleSpec, SetLimits, SetSchedule, SetWebhook, TestWebhook,
    TriggerSchedule, WebhookId, WebhookSpec,
};

use super::*;

pub fn all() -> Vec<Example> {
    let mut all = commands();
    all.extend(entries());
    all
}

fn key_id() -> KeyId {
    id("0193a000-0000-7000-8000-00000000a001")
}

fn schedule_id() -> ScheduleId {
    id("0193a000-0000-7000-8000-00000000b001")
}

fn webhook_id() -> WebhookId {
    id("0193a000-0000-7000-8000-00000000c001")
}

fn delivery_id() -> DeliveryId {
    id("0193a000-0000-7000-8000-00000000d001")
}

fn webhook(full: bool) -> WebhookSpec {
    let filter = r#"{"type":["job.succeeded","quota"],"type!":["quota.reserved"],"status":["succeeded"],
        "status!":["failed"],"module":["xtb"],"module!":["orca"],"user_id":["ada"],"user_id!":["bob"],
        "label":["team=spectra","zone"],"label!":["draft"]}"#;
    let filter: EventFilter = serde_json::from_str(filter).expect("a filter");
    WebhookSpec {
        url: "https://hooks.example.org/nox?key=1".to_owned(),
        description: if full { "for the group".to_owned() } else { String::new() },
        filter: if full { filter } else { EventFilter::default() },
        of_tenant: full,
        enabled: full,
    }
}

fn webhook_commands() -> Vec<(&'static str, Command)> {
    let (webhook_id, delivery_id) = (webhook_id(), delivery_id());
    let set = |new: bool, admin| {
        let (spec, key_id) = (webhook(admin), new.then(key_id));
        Command::SetWebhook(Box::new(SetWebhook {
            webhook_id,
            new,
            spec,
            by: ada(),
            key_id,
            admin,
        }))
    };
    let rotate = |admin| {
        let (rotation, overlap_s, by) = (1, 86_400, ada());
        Command::RotateWebhook(RotateWebhook { webhook_id, rotation, overlap_s, by, admin })
    };
    let test =
        |admin| Command::TestWebhook(TestWebhook { webhook_id, delivery_id, by: ada(), admin });
    let again = |admin| {
        Command::RedeliverWebhook(RedeliverWebhook { webhook_id, delivery_id, by: ada(), admin })
    };
    let delete = |admin| Command::DeleteWebhook(DeleteWebhook { webhook_id, by: ada(), admin });
    let disable = |reason| {
        Command::DisableWebhook(DisableWebhook { webhook_id, reason, set_in: FrameNumber(7) })
    };
    vec![
        ("set_webhook", set(true, false)),
        ("set_webhook_by_admin", set(false, true)),
        ("rotate_webhook", rotate(false)),
        ("rotate_webhook_by_admin", rotate(true)),
        ("test_webhook", test(false)),
        ("test_webhook_by_admin", test(true)),
        ("redeliver_webhook", again(false)),
        ("redeliver_webhook_by_admin", again(true)),
        ("delete_webhook", delete(false)),
        ("delete_webhook_by_admin", delete(true)),
        ("disable_webhook", disable(DisableReason::Failing)),
    ]
}

fn webhook_facts() -> Vec<(&'static str, Fact)> {
    let set = |full: bool| Fact::WebhookSet {
        spec: Box::new(webhook(full)),
        owner: ada(),
        by: id("root"),
        key_id: full.then(key_id),
        expires_at: full.then(|| at("2027-01-01T00:00:00Z")),
    };
    let previous_until = at("2026-11-22T22:00:00Z");
    let disabled = |reason| Fact::WebhookDisabled { reason };
    let (delivery_id, by) = (delivery_id(), ada());
    vec![
        ("webhook_set", set(true)),
        ("webhook_set_plain", set(false)),
        ("webhook_rotated", Fact::WebhookRotated { rotation: 1, previous_until, by: by.clone() }),
        ("webhook_tested", Fact::WebhookTested { delivery_id, by: by.clone() }),
        ("webhook_redelivered", Fact::WebhookRedelivered { delivery_id, by: by.clone() }),
        ("webhook_gone", disabled(DisableReason::Gone)),
        ("webhook_failing", disabled(DisableReason::Failing)),
        ("webhook_key_revoked", disabled(DisableReason::KeyRevoked)),
        ("webhook_key_expired", disabled(DisableReason::KeyExpired)),
        ("webhook_deleted", Fact::WebhookDeleted { by }),
    ]
}

fn key(full: bool) -> ApiKey {
    ApiKey {
        name: "ci".to_owned(),
        user_id: ada(),
        role: "user".to_owned(),
        scopes: full.then(|| "compute:read".to_owned()).into_iter().collect(),
        expires_at: full.then(|| at("2027-01-01T00:00:00Z")),
        hash: fingerprint(),
    }
}

fn spec(full: bool) -> ScheduleSpec {
    ScheduleSpec {
        name: "nightly".to_owned(),
        cron: "30 2 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        overlap: if full { Overlap::Queue } else { Overlap::Skip },
        catch_up_s: 3_600,
        job: JobTemplate {
            module: xtb(),
            module_version: full.then(|| "6.5.1".to_owned()),
            worker_labels: full.then(|| "zone:a".to_owned()).into_iter().collect(),
            inputs: json(r#"{"charge": 0, "weight": 1.50}"#),
            requested_resources: small(),
            priority: 5,
            labels: full.then(|| ("team".to_owned(), "spectra".to_owned())).into_iter().collect(),
            release_id: full.then(|| "2026.11".to_owned()),
            concurrency: full.then(|| Concurrency { key: "licence".to_owned(), limit: 2 }),
        },
    }
}

/// A manifest in its JSON form.
pub fn source() -> RawJson {
    json(
        r#"{"input_schema":{},"name":"xtb","resources":{"cpu":1,"mem_mb":64,"wall_time_s":10},"run":{"program":"xtb"},"sandbox":"isolated","version":"6.5.1"}"#,
    )
}

fn user_account() -> String {
    "user/ada@example.org".to_owned()
}

fn commands() -> Vec<Example> {
    let set_limits = |limits| {
        let (account, by, reason) = (user_account(), id("root"), "a deadline".to_owned());
        Command::SetLimits(Box::new(SetLimits { account, limits, by, reason }))
    };
    let drain = DrainWorker { worker_id: worker(), drained: true, by: id("root") };
    let register = RegisterModule { manifest: manifest(), source: source(), by: id("root") };
    let create = CreateKey { key_id: key_id(), key: key(true), by: ada() };
    let revoke = |admin| Command::RevokeKey(RevokeKey { key_id: key_id(), by: ada(), admin });
    let set = |new: bool, spec, admin| {
        let (schedule_id, role) = (schedule_id(), "user".to_owned());
        let key_id = new.then(key_id);
        let set = SetSchedule { schedule_id, new, spec, by: ada(), role, key_id, admin };
        Command::SetSchedule(Box::new(set))
    };
    let pause = |paused: bool, admin| {
        Command::PauseSchedule(PauseSchedule {
            schedule_id: schedule_id(),
            paused,
            by: ada(),
            key_id: (!paused).then(key_id),
            admin,
        })
    };
    let delete = |admin| {
        Command::DeleteSchedule(DeleteSchedule { schedule_id: schedule_id(), by: ada(), admin })
    };
    let trigger = |admin| {
        Command::TriggerSchedule(TriggerSchedule {
            schedule_id: schedule_id(),
            job_id: job(1),
            seen: FrameNumber(41_800),
            module: xtb(),
            by: ada(),
            role: "user".to_owned(),
            admin,
        })
    };
    [
        ("create_key", Command::CreateKey(Box::new(create))),
        ("revoke_key", revoke(false)),
        ("revoke_key_by_admin", revoke(true)),
        ("set_schedule", set(true, spec(true), false)),
        ("set_schedule_by_admin", set(false, spec(false), true)),
        ("pause_schedule", pause(true, false)),
        ("resume_schedule_by_admin", pause(false, true)),
        ("delete_schedule", delete(false)),
        ("delete_schedule_by_admin", delete(true)),
        ("trigger_schedule", trigger(false)),
        ("trigger_schedule_by_admin", trigger(true)),
        ("set_limits", set_limits(Some(limits()))),
        ("set_limits_again_by_role", set_limits(None)),
        ("drain_worker", Command::DrainWorker(drain)),
        ("register_module", Command::RegisterModule(Box::new(register))),
    ]
    .into_iter()
    .chain(webhook_commands())
    .map(|(name, command)| {
        let reply_to = Some("_INBOX.Xc5mGqSkQ8.17".to_owned());
        example(Kind::Commands, name, &CommandMessage::new(reply_to, vec![command]))
    })
    .collect()
}

fn entries() -> Vec<Example> {
    let user = || Entity::Account { tenant: id("acme"), account: user_account() };
    let set = |reset| {
        let change = LimitsChange { by: id("root"), reason: "a deadline".to_owned(), reset };
        let (role, limits, change) = ("user".to_owned(), limits(), Some(Box::new(change)));
        Fact::LimitsSet { role, limits, change }
    };
    let of_worker = || Entity::Worker(worker());
    let of_key = || Entity::Key { tenant: id("acme"), key_id: key_id() };
    let of_webhook = || Entity::Webhook { tenant: id("acme"), webhook_id: webhook_id() };
    let of_schedule = || Entity::Schedule { tenant: id("acme"), schedule_id: schedule_id() };
    let created = |full| Fact::KeyCreated { key: Box::new(key(full)), by: ada() };
    let scheduled = |key_id| Fact::ScheduleSet {
        spec: Box::new(spec(true)),
        owner: ada(),
        role: "user".to_owned(),
        by: id("root"),
        key_id,
    };
    let paused = |by, reason| Fact::SchedulePaused { by, reason };
    let resumed = |key_id| Fact::ScheduleResumed { by: ada(), key_id };
    let next_due_at = Some(at("2026-11-23T01:30:00Z"));
    let occurred = |outcome, missed_from| Fact::ScheduleOccurred {
        due_at: at("2026-11-22T01:30:00Z"),
        outcome,
        missed_from,
        next_due_at,
    };
    let missed_from = Some(at("2026-11-21T01:30:00Z"));
    let refused = Occurrence::Refused { refusal: Box::new(quota_refusal()) };
    [
        ("key_created", of_key(), created(true)),
        ("key_created_plain", of_key(), created(false)),
        ("key_revoked", of_key(), Fact::KeyRevoked { by: ada() }),
        ("schedule_set", of_schedule(), scheduled(None)),
        ("schedule_set_by_key", of_schedule(), scheduled(Some(key_id()))),
        ("schedule_paused", of_schedule(), paused(Some(ada()), PauseReason::Asked)),
        ("schedule_key_revoked", of_schedule(), paused(Some(ada()), PauseReason::KeyRevoked)),
        ("schedule_key_expired", of_schedule(), paused(None, PauseReason::KeyExpired)),
        ("schedule_resumed", of_schedule(), resumed(None)),
        ("schedule_resumed_by_key", of_schedule(), resumed(Some(key_id()))),
        ("schedule_planned", of_schedule(), Fact::SchedulePlanned { next_due_at }),
        (
            "schedule_submitted",
            of_schedule(),
            occurred(Occurrence::Submitted { job_id: job(1) }, missed_from),
        ),
        ("schedule_refused", of_schedule(), occurred(refused, None)),
        ("schedule_skipped", of_schedule(), occurred(Occurrence::Skipped, None)),
        ("schedule_queued", of_schedule(), occurred(Occurrence::Queued, None)),
        ("schedule_missed", of_schedule(), occurred(Occurrence::Missed, missed_from)),
        (
            "schedule_triggered",
            of_schedule(),
            Fact::ScheduleTriggered { job_id: job(1), by: ada() },
        ),
        ("schedule_deleted", of_schedule(), Fact::ScheduleDeleted { by: ada() }),
        ("limits_set_by_admin", user(), set(false)),
        ("limits_reset_by_admin", user(), set(true)),
        ("worker_drained", of_worker(), Fact::WorkerDrained { by: id("root") }),
        ("worker_undrained", of_worker(), Fact::WorkerUndrained { by: id("root") }),
    ]
    .into_iter()
    .chain(webhook_facts().into_iter().map(|(name, fact)| (name, of_webhook(), fact)))
    .map(|(name, entity, fact)| {
        let owned = matches!(entity, Entity::Key { .. } | Entity::Schedule { .. });
        let mut entry = entry(entity, Source::Commands, vec![fact]);
        // Older logs do not name the owner.
        entry.user_id = (owned && name != "key_created_plain").then(ada);
        example(Kind::Frames, name, &frame(vec![entry]))
    })
    .collect()
}
