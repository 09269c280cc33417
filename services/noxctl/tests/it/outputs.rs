//! What becomes of output that goes nowhere, and of bytes that are no text.

use std::{
    fs::File,
    process::{Command, Output, Stdio},
};

use serde_json::json;

use crate::{
    dev::Dev,
    gateway::{Gateway, JOB, job},
    modules::printing,
    program::{Ended, noxctl, run},
};

/// What is no UTF-8, between what is.
const BYTES: &[u8] = b"a\xff\xfeb\x80\xc3\n";
/// The same in base64.
const BASE64: &str = "Yf/+YoDDCg==";

fn gateway() -> Gateway {
    Gateway::start(|method, path, before| match (method, path) {
        ("POST", _) => (202, json!({"job_id": JOB, "n": 1})),
        (_, path) if path.ends_with("/logs") && before == 0 => {
            let text = String::from_utf8_lossy(BYTES);
            let raw = json!({"stream": "stdout", "text": text, "base64": BASE64});
            let plain = json!({"stream": "stdout", "text": "grün\n"});
            (200, json!({"chunks": [raw, plain], "next": 7}))
        }
        (_, path) if path.ends_with("/logs") => (200, json!({"chunks": [], "next": 7})),
        (_, "/jobs") => (200, json!({"jobs": [job("failed", "noop")], "next": null})),
        _ => {
            let mut job = job("succeeded", "noop");
            job["outputs"] = json!({"files": []});
            (200, job)
        }
    })
}

/// A pipe whose reader has gone.
fn broken(mut command: Command) -> Ended {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap().into()
}

/// Without a standard output.
fn closed(command: &Command) -> Ended {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >&-", "sh"]).arg(command.get_program());
    shell.args(command.get_args()).stdin(Stdio::null()).stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap().into()
}

#[test]
fn an_id_or_outputs_that_nobody_can_read_are_an_error_that_names_the_job() {
    for words in [
        &["job", "submit", "noop"][..],
        &["job", "submit", "noop", "-o", "json"],
        &["job", "run", "noop"],
        &["job", "run", "noop", "-o", "json"],
    ] {
        for ended in [broken(gateway().command(words)), closed(&gateway().command(words))] {
            assert_eq!(ended.status, 1, "{words:?}: {ended:?}");
            let last = ended.stderr.lines().last().unwrap_or_default();
            let named = last.contains(JOB) && last.contains("cannot write to standard output");
            assert!(named, "{words:?}: {ended:?}");
        }
    }
    // An output that is thrown away on purpose is none of our business.
    let mut thrown_away = gateway().command(&["job", "submit", "noop"]);
    thrown_away.stdout(Stdio::null()).stderr(Stdio::piped());
    let ended: Ended = thrown_away.spawn().unwrap().wait_with_output().unwrap().into();
    assert_eq!((ended.status, &*ended.stderr), (0, ""));
    let mut read_and_write = gateway().command(&["job", "submit", "noop"]);
    read_and_write.stdout(File::options().read(true).write(true).open("/dev/null").unwrap());
    assert_eq!(run_quietly(read_and_write).status, 0);
}

fn run_quietly(mut command: Command) -> Ended {
    command.stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap().into()
}

#[test]
fn whoever_has_seen_enough_of_a_list_or_of_help_is_no_error_but_a_closed_output_is() {
    for words in [&["job", "list"][..], &["job", "logs", JOB], &["--help"], &["job", "--help"]] {
        let ended = broken(gateway().command(words));
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "{words:?}");
        let ended = closed(&gateway().command(words));
        assert_eq!(ended.status, 1, "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("cannot write to standard output"), "{words:?}: {ended:?}");
    }
}

#[test]
fn help_that_nobody_can_read_is_an_error() {
    for word in ["--help", "--version"] {
        let mut command = noxctl();
        command.arg(word).stdout(File::options().write(true).open("/dev/full").unwrap());
        let ended = run_quietly(command);
        assert_eq!(ended.status, 1, "{word}: {ended:?}");
        assert!(ended.stderr.contains("cannot write to standard output"), "{word}: {ended:?}");
        let mut command = noxctl();
        command.arg(word);
        assert!(run(command).with(0).contains("noxctl"), "{word}");
    }
}

fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

#[test]
fn a_pipe_gets_the_bytes_that_a_job_printed() {
    let expected = [BYTES, "grün\n".as_bytes()].concat();
    let logs = output(gateway().command(&["job", "logs", JOB]));
    assert_eq!(logs.stdout, expected, "{logs:?}");
    let run = output(gateway().command(&["job", "run", "noop", "--follow"]));
    let holds = run.stderr.windows(expected.len()).any(|part| part == expected);
    assert!(holds, "{run:?}");
}

#[test]
fn the_bytes_that_a_program_printed_come_out_of_every_end_of_the_system() {
    let temp = tempfile::tempdir().unwrap();
    let modules = temp.path().join("modules");
    printing(&modules, "raw", r#"printf "a\377\376b\200\303\n""#);
    let folder = [("NOX_MODULES", modules.to_str().unwrap())];
    let dev = Dev::start_with(&temp.path().join("data"), &folder);
    let id = dev.run(&["job", "submit", "raw"]).with(0);
    let id = id.trim();
    // Its log is whole when it has ended.
    assert_eq!(output(dev.command(&["job", "logs", "--follow", id])).stdout, BYTES);
    assert_eq!(output(dev.command(&["job", "logs", id])).stdout, BYTES);
    let chunk = dev.run(&["job", "logs", id, "-o", "jsonl"]).with(0);
    assert!(chunk.contains(&format!("\"base64\":\"{BASE64}\"")), "{chunk}");

    let mut curl = Command::new("curl");
    let token = format!("Authorization: Bearer {}", dev.token());
    let url = format!("{}/jobs/{id}/logs", dev.url());
    curl.args(["-fsS", "--max-time", "30", "-H", &token, "-H", "Accept: text/plain", &url]);
    assert_eq!(output(curl).stdout, BYTES);
}
