//! Tables of all nouns: what others wrote in them, how wide they are, how far they go, and how a change is told.

use serde_json::{Value, json};

use crate::{
    gateway::Gateway,
    program::{noxctl, run},
    terminal::{HOSTILE, MARKED, obeyed, on_a_terminal},
};

/// A gateway at which everything is called `words`.
fn whose(words: &'static str) -> Gateway {
    let at = "2026-11-26T00:00:00Z";
    Gateway::start(move |method, path, _| {
        let schedule = json!({
            "id": "1", "name": words, "user_id": words, "cron": words, "time_zone": words, "overlap": words,
            "catch_up_s": 1, "job": {"module": words}, "paused": false, "next_due_at": at, "next_times": [at],
            "last": {"due_at": at, "outcome": words, "code": words, "detail": words}, "last_job_id": words,
            "created_at": at,
        });
        let worker = json!({
            "id": words, "state": words, "claims": false, "drained_by": words, "labels": [words],
            "capacity": {"slots": 1, "cpu": 1, "mem_mb": 1}, "modules": [], "joined_at": at,
            "last_seen_at": at, "left_at": at,
            "running": [{"job_id": words, "module": words, "user_id": words}],
        });
        let limits = json!({"cpu_seconds": 1, "queued_jobs": 1, "running_jobs": 1, "cpu": 1, "mem_mb": 1,
            "drafts": 1, "starts_per_minute": 1});
        let usage =
            json!([{"quota_type": words, "current_usage": 1, "limit": 2, "percentage": 50.0}]);
        let account = json!({"account": words, "role": words, "limits": limits, "set_at": at, "usage": usage,
            "change": {"by": words, "reason": words}});
        let key = json!({"id": words, "name": words, "user_id": words, "role": words, "scopes": [words],
            "created_by": words, "created_at": at, "expires_at": null, "secret": words});
        let line = json!({"job_id": words, "period": at, "reservation": 1, "reserved": 1, "used": 1,
            "released": 1, "overrun": 1});
        let violation = json!({"at": at, "job_id": words, "module": words, "account": words, "code": words,
            "message": words});
        let quota = json!({"quota_type": words, "limit": 1, "period": words});
        let answer = match (method, path) {
            ("POST", "/keys") => return (201, key),
            (_, "/me") => json!({"user_id": words, "tenant": words, "role": words}),
            (_, "/schedules") => json!({"schedules": [schedule], "next": null}),
            (_, path) if path.starts_with("/schedules/") => schedule,
            (_, "/workers") => json!({"workers": [worker], "next": null}),
            (_, path) if path.starts_with("/workers/") => worker,
            (_, "/keys") => json!({"keys": [key], "next": null}),
            (_, "/quotas") => json!({"accounts": [account], "next": null}),
            (_, "/quotas/my/quotas") => json!({"quotas": [quota]}),
            (_, "/quotas/my/usage") => json!({"usage": usage}),
            (_, "/quotas/my/ledger") => json!({"ledger": [line], "next": null}),
            (_, "/quotas/my/violations") => json!({"violations": [violation], "next": null}),
            (_, path) if path.ends_with("/versions") => {
                json!({"versions": [{"version": words, "present": true, "title": words}]})
            }
            _ => account,
        };
        (200, answer)
    })
}

const SHOWN: [&[&str]; 15] = [
    &["me"],
    &["schedule", "list"],
    &["schedule", "get", "1"],
    &["worker", "list"],
    &["worker", "get", "1"],
    &["key", "list"],
    &["key", "create", "x"],
    &["quota", "get"],
    &["quota", "get", "ada"],
    &["quota", "get", "--tenant", "default"],
    &["quota", "list"],
    &["quota", "usage"],
    &["quota", "ledger"],
    &["quota", "violations"],
    &["module", "versions", "noop"],
];

#[test]
fn a_terminal_shows_what_others_wrote_in_every_table_and_never_obeys_it() {
    let gateway = whose(HOSTILE);
    for words in SHOWN {
        let told = on_a_terminal(&gateway.command(words));
        assert!(obeyed(&told).is_empty() && told.contains(MARKED), "{words:?}: {told:?}");
        // In a pipe a row is a line, and a document is what the server sent.
        let cells = run(gateway.command(words)).with(0);
        assert!(obeyed(&cells.replace('\t', "")).is_empty(), "{words:?}: {cells:?}");
        let document = run(gateway.command(&[words, &["--json"]].concat())).with(0);
        let hostile = serde_json::to_string(HOSTILE).unwrap();
        assert!(document.contains(&hostile), "{words:?}: {document}");
        serde_json::from_str::<Value>(&document).unwrap();
    }
}

#[test]
fn every_table_fits_its_terminal() {
    let gateway = whose("several words of somebody else's, and then some more of them");
    for words in SHOWN.iter().filter(|words| words[1..] == ["list"]) {
        let mut command = gateway.command(words);
        command.env("COLUMNS", "150");
        let told = on_a_terminal(&command);
        let widest = told.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= 150 && told.contains('…'), "{words:?}: {told}");
    }
}

#[test]
fn a_list_is_read_until_there_is_as_much_as_was_asked_for() {
    let page = |_: &str, _: &str, before: usize| {
        let rows: Vec<_> = (0..2).map(|row| json!({"n": before * 2 + row})).collect();
        (200, json!({"schedules": rows, "next": (before < 2).then(|| format!("a&{before}"))}))
    };
    let gateway = Gateway::start(page);
    let all = run(gateway.command(&["schedule", "list", "--limit", "300", "--json"])).json();
    assert_eq!(all.as_array().unwrap().len(), 6);
    let expected = ["limit=200", "limit=200&cursor=a%260", "limit=200&cursor=a%261"];
    assert_eq!(gateway.addresses(), expected.map(|query| format!("/schedules?{query}")));
    let gateway = Gateway::start(page);
    let some = run(gateway.command(&["schedule", "list", "--limit", "2", "--json"])).json();
    assert_eq!(some.as_array().unwrap().len(), 2);
    assert_eq!(gateway.addresses(), ["/schedules?limit=2"]);
}

#[test]
fn what_is_not_decided_yet_has_a_status_of_its_own() {
    let id = "0193a000-0000-7000-8000-000000000001";
    let pending = Gateway::start(move |method, path, _| match (method, path) {
        ("DELETE", "/keys/1") => (202, Value::Null),
        ("GET", _) => (200, json!({"limits": {"cpu": 1}})),
        _ => (202, json!({"id": id, "job_id": id, "pending": true, "secret": "nox_x"})),
    });
    for words in [
        &["job", "cancel", id][..],
        &["module", "enable", "noop"],
        &["schedule", "pause", "1"],
        &["schedule", "delete", "1"],
        &["schedule", "trigger", "1"],
        &["schedule", "create", "noop", "--name", "x", "--cron", "@daily"],
        &["worker", "drain", "1"],
        &["quota", "set", "ada", "--cpu", "1", "--reason", "x"],
        &["quota", "reset", "ada"],
        &["key", "create", "x"],
        &["key", "revoke", "1"],
    ] {
        let ended = run(pending.command(words));
        assert_eq!(ended.status, 8, "{words:?}: {ended:?}");
        let told = [ended.stdout, ended.stderr].concat();
        assert!(told.contains("will be") || told.contains(id), "{words:?}: {told}");
    }
    // A job that is triggered is accepted, and decided.
    let decided = Gateway::start(move |_, _, _| (202, json!({"job_id": id, "n": 1})));
    assert_eq!(run(decided.command(&["schedule", "trigger", "1"])).with(0).trim(), id);
}

#[test]
fn a_shell_completes_every_noun_and_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = noxctl();
        command.args(["completions", shell]);
        let script = run(command).with(0);
        for word in [
            "schedule",
            "trigger",
            "replace",
            "key",
            "revoke",
            "quota",
            "violations",
            "worker",
            "undrain",
            "versions",
            "submit-draft",
            "me",
            "release-id",
            "starts-per-minute",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
