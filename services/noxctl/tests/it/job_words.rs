//! The words that people ask about a job with, and what they are told.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    dev::Dev,
    gateway::{Gateway, JOB, job},
    program::{noxctl, run},
    terminal::{HOSTILE, obeyed, on_a_terminal, whose},
};

/// A job that waits, runs, gets on and fails.
fn changing() -> Gateway {
    Gateway::start(|_, _, before| {
        let mut job = job(
            ["queued", "queued", "running", "running"].get(before).unwrap_or(&"failed"),
            "noop",
        );
        match before {
            0 | 1 => job["waiting"] = json!({"code": "no_worker", "message": "no worker has it"}),
            2 => job["progress"] = json!({"percent": 40, "message": "step 2"}),
            3 => job["progress"] = json!(80),
            _ => {}
        }
        (200, job)
    })
}

#[test]
fn a_job_is_watched_until_it_has_ended_a_line_for_each_change() {
    let ended = run(changing().command(&["job", "watch", JOB]));
    assert_eq!(ended.status, 10, "{ended:?}");
    let told: Vec<_> = ended.stdout.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let expected = [
        "queued (no_worker: no worker has it)",
        "running (attempt 1): 40 %, step 2",
        "running (attempt 1): 80 %",
        "failed (exit_status: noop)",
    ];
    assert_eq!(told, expected);

    let ended = run(changing().command(&["job", "watch", JOB, "--json"]));
    let documents: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(documents.len() >= 2 && documents.iter().all(|job| job["id"] == JOB), "{documents:?}");

    let running = Gateway::start(|_, _, _| (200, job("running", "noop")));
    let ended = run(running.command(&["job", "watch", JOB, "--timeout", "1"]));
    assert_eq!(ended.status, 8, "{ended:?}");
    assert!(ended.stderr.contains("goes on"), "{ended:?}");
}

#[test]
fn why_a_job_waits_is_one_sentence() {
    let explaining = || {
        Gateway::start(|_, _, _| {
            let stood = json!({"state": "queued", "code": "no_worker", "attempt": 0,
                               "from": "2026-11-26T00:00:00Z", "to": null, "seconds": 1.25, "n": 7});
            (
                200,
                json!({"id": JOB, "code": "no_worker", "reason": "It waits.", "history": [stood]}),
            )
        })
    };
    let asked = explaining();
    assert_eq!(run(asked.command(&["job", "why", JOB])).with(0), "It waits.\n");
    let told = run(asked.command(&["job", "why", JOB, "--history", "--at", "7"])).with(0);
    assert_eq!(told, "It waits.\n00:00:00.000\tqueued\tno_worker\t0\t1.250\n");
    let told = run(asked.command(&["job", "why", JOB, "--json"])).json();
    assert_eq!((&told["id"], &told["code"]), (&json!(JOB), &json!("no_worker")));
    let path = format!("/jobs/{JOB}/why");
    assert_eq!(asked.addresses(), [path.clone(), format!("{path}?as_of=7"), path]);
}

#[test]
fn a_job_is_tried_again_as_a_new_one_whose_id_is_printed() {
    let new = "0193a000-0000-7000-8000-000000000002";
    let gateway = || {
        Gateway::start(move |method, path, _| {
            assert_eq!((method, path), ("POST", format!("/jobs/{JOB}/retry").as_str()));
            (202, json!({"job_id": new, "n": 2}))
        })
    };
    let asked = gateway();
    assert_eq!(run(asked.command(&["job", "retry", JOB])).with(0).trim(), new);
    assert_eq!(asked.bodies(), ["{}"]);
    let edited = gateway();
    run(edited.command(&["job", "retry", JOB, "-p", "text=hello", "-p", "n=1.50"])).with(0);
    assert_eq!(edited.bodies(), [r#"{"inputs":{"n":1.50,"text":"hello"}}"#]);
    assert_eq!(run(gateway().command(&["job", "retry", JOB, "--json"])).json()["n"], 2);
}

#[test]
fn every_filter_of_the_api_can_be_named() {
    let gateway = Gateway::start(|_, _, _| (200, json!({"jobs": [], "next": null})));
    let words = [
        "job",
        "list",
        "--status",
        "failed",
        "--user",
        "a b",
        "--filter",
        "label=x&y=z",
        "--filter",
        "module!=noop",
        "--limit",
        "7",
    ];
    run(gateway.command(&words)).with(0);
    let expected = "/jobs?limit=7&status=failed&user_id=a%20b&label=x%26y%3Dz&module%21=noop";
    assert_eq!(gateway.addresses(), [expected]);
    assert_eq!(run(gateway.command(&["job", "list", "--filter", "x"])).status, 2);
}

#[test]
fn a_table_fits_its_terminal() {
    let long = Gateway::start(|_, _, _| {
        let mut job = job("queued", "noop");
        job["waiting"] = json!({"code": "no_worker", "message": "word ".repeat(100)});
        (200, json!({"jobs": [job], "next": null}))
    });
    for columns in [100, 140] {
        let mut command = long.command(&["job", "list"]);
        command.env("COLUMNS", columns.to_string());
        let told = on_a_terminal(&command);
        let widest = told.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= columns && told.contains(JOB) && told.contains('…'), "{told}");
    }
    assert!(on_a_terminal(&long.command(&["job", "list"])).contains(" ago"));
    // Whoever reads it with a program gets all of it.
    let listed = run(long.command(&["job", "list"])).with(0);
    assert_eq!(listed.matches("word").count(), 100);
    assert!(listed.contains("2026-11-26T00:00:00Z"), "{listed}");
}

#[test]
fn what_others_wrote_is_shown_and_not_obeyed_by_the_new_words_either() {
    for words in [&["job", "why", JOB][..], &["job", "watch", JOB]] {
        let told = on_a_terminal(&whose(HOSTILE).command(words));
        assert!(obeyed(&told).is_empty() && told.contains("␛]0;owned␇"), "{words:?}: {told:?}");
    }
}

#[test]
fn a_shell_completes_commands_and_flags() {
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef noxctl"), ("fish", "complete -c noxctl")]
    {
        let mut command = noxctl();
        command.args(["completions", shell]);
        let script = run(command).with(0);
        assert!(script.contains(part) && script.contains("watch"), "{shell}");
    }
    let mut completions = noxctl();
    completions.args(["completions", "bash"]);
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(&script, run(completions).with(0)).unwrap();
    let line = format!(
        ". {}; COMP_WORDS=(noxctl job wa); COMP_CWORD=2; _noxctl noxctl wa job; echo ${{COMPREPLY[@]}}",
        script.path().display()
    );
    let completed = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "watch", "{completed:?}");
    let mut unknown = noxctl();
    unknown.args(["completions", "tcsh"]);
    assert_eq!(run(unknown).status, 2);
}

#[test]
fn a_token_that_ends_is_read_again_from_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let gateway = |fresh: Option<&'static str>| {
        fs::write(&file, "old\n").unwrap();
        let file = file.clone();
        Gateway::start(move |_, path, before| {
            if path.ends_with("/logs") {
                return (200, json!({"chunks": [], "next": 0}));
            }
            if before == 1 {
                if let Some(fresh) = fresh {
                    fs::write(&file, fresh).unwrap();
                }
                let code = "token_expired";
                return (401, json!({"title": "Token expired", "status": 401, "code": code}));
            }
            (200, job(if before < 4 { "running" } else { "failed" }, "noop"))
        })
    };
    let followed = |gateway: &Gateway, words: &[&str], source: &[&str]| {
        let mut command = gateway.command(words);
        command.env_remove("NOX_TOKEN").args(source);
        run(command)
    };
    let from_file = ["--token-file", file.to_str().unwrap()];
    let command = format!("cat {}", file.display());
    let from_command = ["--token-command", command.as_str()];
    for source in [&from_file, &from_command] {
        for (words, status) in [(&["job", "watch", JOB][..], 10), (&["job", "logs", "-f", JOB], 0)]
        {
            let ended = followed(&gateway(Some("new")), words, source);
            assert_eq!(ended.status, status, "{ended:?}");
            let said = format!("the token has ended; {JOB} is followed with a fresh one");
            assert_eq!(ended.stderr.matches(&said).count(), 1, "{ended:?}");
        }
        // Where there is no other one yet, the command says which job goes on.
        let ended = followed(&gateway(None), &["job", "watch", JOB], source);
        assert_eq!(ended.status, 4, "{ended:?}");
        assert!(ended.stderr.contains("Token expired") && ended.stderr.contains(JOB), "{ended:?}");
    }
    // One that was given as such is what it is.
    let ended = run(gateway(Some("new")).command(&["job", "watch", JOB]));
    assert_eq!(ended.status, 4, "{ended:?}");
    let resume = format!("`noxctl job watch {JOB}`");
    assert!(ended.stderr.contains(&resume), "{ended:?}");

    for (source, word) in [
        (["--token-file", "/nowhere"], "/nowhere"),
        (["--token-file", "/dev/null"], "no token"),
        (["--token-command", "exit 3"], "failed"),
        (["--token-command", "true"], "no token"),
    ] {
        let ended = followed(&gateway(None), &["job", "get", JOB], &source);
        assert!(ended.status != 0 && ended.stderr.contains(word), "{source:?}: {ended:?}");
    }
}

/// With real tokens, each of which ends within six seconds.
#[test]
fn a_job_is_followed_for_longer_than_a_token_lasts() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let submitted = dev.run(&["job", "submit", "noop", "-p", "sleep_ms=9000"]).with(0);
    let line =
        format!("{} token --ttl 1 --data {}", env!("CARGO_BIN_EXE_noxctl"), data.path().display());
    let mut command = noxctl();
    command.args(["job", "watch", submitted.trim(), "--token-command", &line]);
    command.env("NOX_URL", dev.url());
    let ended = run(command);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stderr.contains("is followed with a fresh one"), "{ended:?}");
    assert!(ended.stdout.contains("succeeded"), "{ended:?}");
}

#[test]
fn words_that_mean_nothing_together_are_wrong_usage_and_nothing_is_sent() {
    let gateway = Gateway::start(|_, _, _| (202, json!({"job_id": JOB, "n": 1})));
    for (words, said) in [
        (&["job", "submit", "noop", "--label", "a=1", "--label", "a=2"][..], "the label a"),
        (&["job", "run", "noop", "--label", "a=1", "--label", "a=1"], "the label a"),
        (&["job", "cancel-all"], "name the jobs"),
    ] {
        let told = run(gateway.command(words));
        assert_eq!(told.status, 2, "{told:?}");
        assert!(told.stderr.contains(said), "{told:?}");
    }
    assert!(gateway.addresses().is_empty());
    run(gateway.command(&["job", "submit", "noop", "--label", "a=1", "--label", "b=1"])).with(0);
}
