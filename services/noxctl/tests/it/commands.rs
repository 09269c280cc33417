//! Every command, and what its exit status says.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    dev::Dev,
    program::{noxctl, run},
};

/// How long a view may be behind on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn wrong_usage_is_told_from_everything_else() {
    for words in [&[][..], &["job"], &["job", "get", "no-uuid"], &["job", "run"], &["nonsense"]] {
        let mut command = noxctl();
        command.args(words);
        assert_eq!(run(command).status, 2, "{words:?}");
    }
}

#[test]
fn without_a_system_there_is_a_word_of_advice() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = noxctl();
    command.args(["job", "list"]).current_dir(empty.path());
    let ended = run(command);
    assert_eq!(ended.status, 5);
    assert!(ended.stderr.contains("noxctl dev"), "{}", ended.stderr);

    let mut command = noxctl();
    // Port 9 is nobody's.
    command.args(["job", "list", "--url", "http://127.0.0.1:9", "--token", "x"]);
    assert_eq!(run(command).status, 5);

    let mut command = noxctl();
    command.args(["job", "list", "--url", "http://127.0.0.1:9"]);
    assert_eq!(run(command).status, 4);
}

#[test]
fn a_server_that_was_never_there_is_not_waited_for() {
    let id = "0193a000-0000-7000-8000-000000000001";
    for words in [&["job", "logs", "--follow", id][..], &["job", "events", "-f", id]] {
        let begun = Instant::now();
        let mut command = noxctl();
        command.args(words).args(["--url", "http://127.0.0.1:9", "--token", "x"]);
        let ended = run(command);
        assert_eq!(ended.status, 5, "{ended:?}");
        assert!(ended.stderr.contains("does not answer"), "{ended:?}");
        assert!(begun.elapsed() < SEEN_WITHIN, "{words:?} waited");
    }
}

/// A gateway that takes one job in and then falls silent, without closing what is open.
fn a_gateway_that_falls_silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if open.is_empty() {
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).unwrap();
                let body = r#"{"job_id":"0193a000-0000-7000-8000-000000000001","n":1}"#;
                let length = body.len();
                let head = "HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length:";
                stream.write_all(format!("{head} {length}\r\n\r\n{body}").as_bytes()).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            }
            open.push(stream);
        }
    });
    url
}

#[test]
fn a_wait_ends_with_its_timeout_also_while_the_server_is_silent() {
    let url = a_gateway_that_falls_silent();
    let begun = Instant::now();
    let mut command = noxctl();
    command.args(["job", "run", "noop", "--timeout", "1", "--url", &url, "--token", "x"]);
    let ended = run(command);
    assert_eq!(ended.status, 8, "{ended:?}");
    assert!(ended.stderr.contains("noxctl job get"), "{ended:?}");
    assert!(begun.elapsed() < SEEN_WITHIN, "{:?}", begun.elapsed());
}

#[test]
fn a_token_says_what_was_asked_for() {
    let mut command = noxctl();
    command
        .args(["token", "--sub", "ada", "--tenant", "acme", "--admin", "--ttl", "60"])
        .env("NOX_JWT_SECRET", "0123456789abcdef0123456789abcdef");
    let token = run(command).with(0);
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
}

#[test]
fn every_command_ends_with_the_status_that_says_how_it_went() {
    let data = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(data.path());

    modules(&dev);
    let id = a_job_that_succeeds(&dev);
    jobs_that_do_not(&dev);
    many_jobs(&dev);
    refusals(&dev, &id);
    projection(&dev);

    dev.signal(Signal::TERM);
    assert_eq!(dev.ended(), Some(0));
}

fn modules(dev: &Dev) {
    let list = dev.run(&["module", "list"]).with(0);
    // Not a terminal, so there is no head, and tabs are between the fields.
    let names: Vec<&str> = list.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert!(names.contains(&"noop") && names.contains(&"xtb_hello"), "{list}");
    let hello = dev.run(&["module", "get", "xtb_hello"]).json();
    assert!(hello["schema"]["inputs"].is_object(), "{hello}");
    assert_eq!(dev.run(&["module", "get", "nothing"]).status, 3);

    assert_eq!(dev.run(&["module", "disable", "nothing"]).status, 3);
    dev.run(&["module", "disable", "noop"]).with(0);
    assert_eq!(dev.run(&["job", "run", "noop"]).status, 6);
    let enabled = dev.run(&["module", "enable", "noop", "-o", "json"]).json();
    assert_eq!(enabled["enabled"], true);
    let mut command = dev.command(&["module", "disable", "noop"]);
    command.env("NOX_TOKEN", dev.token());
    assert_eq!(run(command).status, 4);
}

fn a_job_that_succeeds(dev: &Dev) -> String {
    let ran = dev.run(&["job", "run", "xtb_hello", "-p", "text=hello", "--follow", "--cpu", "1"]);
    assert!(ran.stderr.contains("succeeded"), "{ran:?}");
    assert!(ran.json()["files"][0].is_string());

    let words = ["job", "submit", "noop", "--idempotency-key", "k1", "--priority", "9"];
    let id = dev.run(&words).with(0);
    assert_eq!(dev.run(&words).with(0), id);
    let id = id.trim().to_owned();
    assert_eq!(dev.run(&["job", "logs", "-f", &id]).with(0), "");

    let job = dev.run(&["job", "get", &id, "-o", "json"]).json();
    assert_eq!((job["state"].as_str(), job["priority"].as_u64()), (Some("succeeded"), Some(9)));
    assert!(dev.run(&["job", "get", &id]).with(0).contains("succeeded"));

    let list = dev.run(&["job", "list", "--status", "completed", "-o", "jsonl"]).with(0);
    let ids: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids.len(), 2, "{list}");
    assert_eq!(ids[0]["id"], id.as_str());
    assert_eq!(dev.run(&["job", "list", "--limit", "1"]).with(0).lines().count(), 1);

    let events = dev.run(&["job", "events", &id]).with(0);
    let facts: Vec<&str> = events.lines().map(|line| line.split('\t').nth(2).unwrap()).collect();
    for fact in ["submitted", "reserved", "assigned", "started", "succeeded", "released"] {
        assert!(facts.contains(&fact), "{events}");
    }
    let raw = dev.run(&["job", "events", &id, "-o", "json"]).json();
    assert!(raw[0]["facts"][0]["submitted"].is_object(), "{raw}");
    id
}

fn jobs_that_do_not(dev: &Dev) {
    let status = |words: &[&str]| dev.run(&[&["job", "run", "noop"], words].concat()).status;
    assert_eq!(status(&["-p", "fail=error"]), 10);
    assert_eq!(status(&["-p", "sleep_ms=60000", "--wall-time-s", "1"]), 12);
    assert_eq!(status(&["-p", "sleep_ms=60000", "--timeout", "1"]), 8);

    let id = dev.run(&["job", "submit", "noop", "-p", "sleep_ms=60000"]).with(0);
    let canceled = dev.run(&["job", "cancel", id.trim(), "-o", "json"]).json();
    assert_eq!(canceled["state"], "canceled");
    // A read that does not name the answer's `n` may be a moment behind, and no longer.
    let begun = Instant::now();
    while dev.run(&["job", "get", id.trim(), "-o", "json"]).json()["state"] != "canceled" {
        assert!(begun.elapsed() < SEEN_WITHIN, "the job is still not seen as canceled");
    }
}

fn many_jobs(dev: &Dev) {
    let submit = ["job", "submit", "noop", "-p", "sleep_ms=60000", "--label", "run=many"];
    for _ in 0..3 {
        dev.run(&submit).with(0);
    }
    let chosen = ["--filter", "label=run=many"];
    assert_eq!(dev.run(&["job", "cancel-all"]).status, 2, "of nobody's choice");
    let cancel = [&["job", "cancel-all", "-o", "json"], &chosen[..]].concat();
    let preview = dev.run(&cancel).json();
    assert_eq!((&preview["preview"], &preview["count"]), (&true.into(), &3.into()));
    let done = dev.run(&[&cancel[..], &["--yes"]].concat()).json();
    assert_eq!(done["jobs"].as_array().unwrap().len(), 3);
    assert_eq!(dev.run(&cancel).json()["count"], 0);
    let retry = [&["job", "retry-all", "--yes"], &chosen[..]].concat();
    let done = dev.run(&retry);
    assert!(done.status == 0 && done.stderr.contains("3 jobs tried again"), "{done:?}");
    dev.run(&[&cancel[..], &["--yes"]].concat()).json();
}

fn refusals(dev: &Dev, ended: &str) {
    let nobody = "0193a000-0000-7000-8000-000000000001";
    assert_eq!(dev.run(&["job", "get", nobody]).status, 3);
    assert_eq!(dev.run(&["job", "cancel", ended]).status, 6);
    let other = ["job", "submit", "noop", "-p", "sleep_ms=1", "--idempotency-key", "k1"];
    assert_eq!(dev.run(&other).status, 6);
    assert_eq!(dev.run(&["job", "submit", "noop", "--cpu", "4000"]).status, 7);
    let wrong = dev.run(&["job", "submit", "xtb_hello", "-p", "text=5"]);
    assert_eq!(wrong.status, 1);
    assert!(wrong.stderr.contains(r#"-p 'text="5"'"#), "{}", wrong.stderr);
    assert!(wrong.stdout.is_empty(), "{}", wrong.stdout);

    let token = |words: &[&str]| {
        let token = dev.run(&[&["token"], words].concat()).with(0);
        let mut command = dev.command(&["job", "list"]);
        command.env("NOX_TOKEN", token.trim());
        run(command).status
    };
    assert_eq!(token(&["--sub", "eve"]), 0);
    assert_eq!(token(&["--role", "guest"]), 4);
    let mut command = dev.command(&["job", "list"]);
    command.env("NOX_TOKEN", "nonsense");
    assert_eq!(run(command).status, 4);
}

fn projection(dev: &Dev) {
    let lag = dev.run(&["projection", "lag", "-o", "json"]).json();
    assert!(lag["events"]["last"].as_u64().unwrap() > 0, "{lag}");

    let rebuilt = dev.run(&["projection", "rebuild", "-o", "json"]).json();
    assert_eq!(rebuilt["live"]["hash"], rebuilt["rebuilt"]["hash"], "{rebuilt}");
    assert_eq!((&rebuilt["equal"], &rebuilt["switched"]), (&true.into(), &true.into()));
    // Everything goes on with the new rows.
    dev.run(&["job", "run", "noop"]).with(0);
}
