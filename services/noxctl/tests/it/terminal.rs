//! What is written where: on a terminal, into a pipe, and where nothing can be written.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    gateway::{Gateway, JOB, job},
    program::{Ended, noxctl, run},
};

/// A new title, a cleared screen, the cursor moved, text turned around, and more of the kind.
pub const HOSTILE: &str =
    "\x1b]0;owned\x07\x1b[2J\r\u{9b}31mred\u{202e}txt.exe\u{2066}\u{200f}\u{7f}";
/// How a terminal shows it.
pub const MARKED: &str = "␛]0;owned␇␛[2J␍<U+009B>31mred<U+202E>txt.exe<U+2066><U+200F>␡";

/// Of no width: spaces, a hyphen, joiners, a letter that is none, a variation, tags.
const INVISIBLE: &str =
    "a\u{200b}b\u{feff}c\u{ad}d\u{200d}e\u{2060}f\u{3164}g\u{fe0f}h\u{e0041}\u{e007f}";
const INVISIBLE_MARKED: &str =
    "a<U+200B>b<U+FEFF>c<U+00AD>d<U+200D>e<U+2060>f<U+3164>g<U+FE0F>h<U+E0041><U+E007F>";

/// A gateway whose job failed, printed and is called what no terminal should obey.
fn hostile() -> Gateway {
    whose(HOSTILE)
}

/// The same with other words.
pub fn whose(words: &'static str) -> Gateway {
    Gateway::start(move |method, path, before| match (method, path) {
        ("POST", "/jobs") => (202, json!({"job_id": JOB, "n": 1})),
        (_, path) if path.ends_with("/logs") && before == 0 => (
            200,
            json!({"chunks": [{"stream": "stdout", "text": format!("{words}\n")}], "next": 7}),
        ),
        (_, path) if path.ends_with("/logs") => (200, json!({"chunks": [], "next": 7})),
        (_, path) if path.ends_with("/why") => (200, json!({"reason": words, "history": []})),
        (_, "/jobs") => (200, json!({"jobs": [job("failed", words)], "next": null})),
        (_, "/modules") => (403, json!({"title": words, "detail": words, "status": 403})),
        _ => (200, job("failed", words)),
    })
}

/// Runs `command` on a terminal of its own; returns what that was told.
pub fn on_a_terminal(command: &Command) -> String {
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(quoted).collect::<Vec<_>>().join(" ");
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm").env("NO_COLOR", "1").env("SHELL", "/bin/sh");
    let output = script.output().expect("`script` is a part of every Linux");
    String::from_utf8(output.stdout).unwrap()
}

/// All that a terminal would obey but for ends of lines.
pub fn obeyed(told: &str) -> Vec<char> {
    let told = told.replace("\r\n", "\n");
    let turns = |c: &char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    told.chars().filter(|c| c.is_control() && *c != '\n' || turns(c)).collect()
}

#[test]
fn a_terminal_shows_what_others_wrote_and_never_obeys_it() {
    let logs = ["job", "logs", JOB];
    for words in [
        &logs[..],
        &["job", "logs", "--follow", JOB],
        &["job", "run", "noop", "--follow"],
        &["job", "list"],
        &["job", "get", JOB],
        &["job", "get", JOB, "-o", "json"],
        &["module", "list"],
    ] {
        let told = on_a_terminal(&hostile().command(words));
        assert!(obeyed(&told).is_empty(), "{words:?}: {told:?}");
        let shown = told.contains(MARKED) || told.contains("<U+202E>");
        assert!(shown, "{words:?}: {told:?}");
    }
}

#[test]
fn a_terminal_shows_what_has_no_width() {
    for words in [&["job", "logs", JOB][..], &["job", "list"], &["module", "list"]] {
        let told = on_a_terminal(&whose(INVISIBLE).command(words));
        assert!(told.contains(INVISIBLE_MARKED), "{words:?}: {told:?}");
    }
    let printed = run(whose(INVISIBLE).command(&["job", "logs", JOB])).with(0);
    assert_eq!(printed, format!("{INVISIBLE}\n"));
}

#[test]
fn a_terminal_shows_words_that_were_not_understood_and_never_obeys_them() {
    let noxctl = |words: &[&str]| {
        let mut command = noxctl();
        command.args(words);
        command
    };
    let mut address = noxctl(&["dev"]);
    address.env("NOX_HTTP_ADDR", HOSTILE);
    for command in [
        noxctl(&["job", "get", HOSTILE]),
        noxctl(&[HOSTILE]),
        noxctl(&["job", "submit", "noop", "-p", HOSTILE]),
        noxctl(&["job", "list", "-o", HOSTILE]),
        address,
    ] {
        let told = on_a_terminal(&command);
        assert!(obeyed(&told).is_empty(), "{command:?}: {told:?}");
        assert!(told.contains(MARKED), "{command:?}: {told:?}");
    }
    let ended = run(noxctl(&["job", "get", HOSTILE]));
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("--help") && ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn a_pipe_gets_what_a_job_printed_as_it_is() {
    let printed = run(hostile().command(&["job", "logs", JOB])).with(0);
    assert_eq!(printed, format!("{HOSTILE}\n"));
    let followed = run(hostile().command(&["job", "run", "noop", "--follow"]));
    assert!(followed.stderr.contains(HOSTILE), "{followed:?}");
    // A cell is one field of one line, and no more.
    let listed = run(hostile().command(&["job", "list"])).with(0);
    assert_eq!((listed.lines().count(), listed.matches('\t').count()), (1, 5), "{listed:?}");
    assert!(obeyed(&listed.replace('\t', "")).is_empty(), "{listed:?}");
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn succeeding() -> Gateway {
    Gateway::start(|method, _, _| match method {
        "POST" => (202, json!({"job_id": JOB, "n": 1})),
        _ => (
            200,
            Value::Object({
                let mut job = job("succeeded", "noop").as_object().unwrap().clone();
                job.insert("outputs".into(), json!({"files": []}));
                job
            }),
        ),
    })
}

#[test]
fn a_standard_error_that_takes_nothing_costs_nobody_the_job() {
    let mut command = succeeding().command(&["job", "run", "noop"]);
    command.stderr(full());
    let printed = run(command).with(0);
    assert!(printed.contains("files"), "{printed}");
}

#[test]
fn a_standard_output_that_takes_nothing_is_an_error_that_names_the_job() {
    for (words, named) in [
        (&["job", "submit", "noop"][..], true),
        (&["job", "run", "noop"], true),
        (&["job", "get", JOB], false),
        (&["token", "--jwt-secret", "0123456789abcdef0123456789abcdef"], false),
    ] {
        let mut command = succeeding().command(words);
        command.stdout(full()).stderr(Stdio::piped());
        let ended: Ended = command.spawn().unwrap().wait_with_output().unwrap().into();
        assert_eq!(ended.status, 1, "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("cannot write to standard output"), "{words:?}: {ended:?}");
        assert!(!named || ended.stderr.contains(JOB), "{words:?}: {ended:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut command = hostile().command(&["job", "list"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::piped());
    let ended: Ended = command.spawn().unwrap().wait_with_output().unwrap().into();
    assert_eq!((ended.status, &*ended.stderr), (0, ""));
}

#[test]
fn whoever_is_signed_out_while_following_hears_that_the_job_goes_on_and_how_to_resume() {
    let gateway = || {
        Gateway::start(|method, path, before| match (method, path) {
            ("POST", _) => (202, json!({"job_id": JOB, "n": 1})),
            (_, path) if path.ends_with("/logs") && before == 0 => {
                (200, json!({"chunks": [{"stream": "stdout", "text": "half\n"}], "next": 17}))
            }
            (_, path) if path.ends_with("/logs") => (200, json!({"chunks": [], "next": 17})),
            _ if before == 0 => (200, job("running", "noop")),
            _ => (401, json!({"title": "Token expired", "status": 401, "code": "token_expired"})),
        })
    };
    for words in [&["job", "run", "noop", "--follow"][..], &["job", "logs", "-f", JOB]] {
        let ended = run(gateway().command(words));
        assert_eq!(ended.status, 4, "{ended:?}");
        let resume = format!("`noxctl job logs --follow --after 17 {JOB}`");
        for part in ["Token expired", "goes on", &resume] {
            assert!(ended.stderr.contains(part), "no {part} in {ended:?}");
        }
    }
    // Of a job that was never seen, nothing is promised.
    let strange = Gateway::start(|_, _, _| (401, json!({"title": "No", "status": 401})));
    let ended = run(strange.command(&["job", "logs", "-f", JOB]));
    assert!(!ended.stderr.contains("goes on"), "{ended:?}");
}

#[test]
fn a_token_that_no_header_may_hold_is_not_blamed_on_the_server() {
    for (token, character) in [("abc\r", "'\\r'"), ("abc\n", "'\\n'"), ("a…", "'…'")] {
        let mut command = noxctl();
        command.args(["job", "list", "--url", "http://127.0.0.1:9"]).env("NOX_TOKEN", token);
        let ended = run(command);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains("no header may hold"), "{ended:?}");
        assert!(ended.stderr.contains(character), "{ended:?}");
        assert!(!ended.stderr.contains("does not answer"), "{ended:?}");
    }
    let mut command = noxctl();
    command.args(["job", "submit", "noop", "--url", "http://127.0.0.1:9", "--token", "x"]);
    command.args(["--idempotency-key", "a\rb"]);
    let ended = run(command);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("idempotency key"), "{ended:?}");
}

#[test]
fn an_address_or_folder_with_a_control_character_is_refused_by_the_name_of_its_variable() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("data\r").display().to_string();
    for (variable, value, character) in [
        ("NOX_URL", "http://127.0.0.1:9\r", r"'\r', as number 19"),
        ("NOX_URL", "\thttp://127.0.0.1:9", r"'\t', as number 1"),
        ("NOX_URL", "http://127.0.0.1:9\u{9b}", r"'\u{9b}', as number 19"),
        ("NOX_DATA", &folder, r"'\r'"),
    ] {
        for words in [&["job", "list"][..], &["module", "list"], &["token"], &["dev"]] {
            let mut command = noxctl();
            command.args(words).env(variable, value);
            let ended = run(command);
            assert_eq!(ended.status, 2, "{words:?}: {ended:?}");
            for part in [variable, "control character", character] {
                assert!(ended.stderr.contains(part), "no {part} in {ended:?}");
            }
            assert!(obeyed(&ended.stderr).is_empty(), "{ended:?}");
        }
    }
    assert!(!fs::exists(&folder).unwrap());
}

#[test]
fn an_error_of_a_file_names_it() {
    let temp = tempfile::tempdir().unwrap();
    // In the way of what is written beside the old file.
    for (name, command) in [("identity.new", "dev"), ("place.new", "dev")] {
        let data = temp.path().join(command).join(name);
        fs::create_dir_all(data.join(name)).unwrap();
        let mut noxctl = noxctl();
        noxctl.args([command, "--http-addr", "127.0.0.1:0", "--data"]).arg(&data);
        let ended = run(noxctl);
        assert_eq!(ended.status, 1, "{ended:?}");
        let path = data.join(name).display().to_string();
        assert!(ended.stderr.contains(&path), "no {path} in {ended:?}");
    }
}

#[test]
fn a_terminal_obeys_only_where_its_owner_asks_for_that() {
    let gateway = hostile();
    let told = on_a_terminal(&gateway.command(&["job", "logs", JOB, "--raw"]));
    assert!(told.contains(HOSTILE), "{told:?}");
    let told = on_a_terminal(&gateway.command(&["job", "logs", JOB]));
    assert!(obeyed(&told).is_empty(), "{told:?}");
}
