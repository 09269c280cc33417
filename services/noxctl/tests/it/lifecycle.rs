//! How a development system begins and ends.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::{
    dev::{Dev, until_gone},
    program::{noxctl, run},
};

#[test]
fn a_restart_finds_the_same_system() {
    let data = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(data.path());
    let (url, children) = (dev.url().to_owned(), dev.children());
    assert!(children.len() >= 2, "{children:?}");
    let id = dev.run(&["job", "submit", "xtb_hello", "-p", "text=hello"]).with(0);

    dev.signal(Signal::TERM);
    assert_eq!(dev.ended(), Some(0));
    until_gone(&children);

    let mut dev = Dev::start(data.path());
    assert_eq!(dev.url(), url);
    let job = dev.run(&["job", "get", id.trim(), "-o", "json"]).json();
    assert_eq!(job["module"], "xtb_hello");
    // Ctrl-C.
    dev.signal(Signal::INT);
    assert_eq!(dev.ended(), Some(0));
}

#[test]
fn tokens_are_signed_with_the_secret_that_the_environment_names() {
    let data = tempfile::tempdir().unwrap();
    let secret = [("NOX_JWT_SECRET", "a secret of the operator's own, 32 bytes at least")];
    let mut dev = Dev::start_with(data.path(), &secret);
    let list = |dev: &Dev, token: &str| {
        let mut command = dev.command(&["job", "list"]);
        if !token.is_empty() {
            command.env("NOX_TOKEN", token);
        }
        run(command).status
    };
    let mut named = dev.command(&["token"]);
    named.envs(secret);
    let named = run(named).with(0);
    let found = dev.run(&["token"]).with(0);
    for token in [dev.token(), named.trim(), found.trim(), ""] {
        assert_eq!(list(&dev, token), 0);
    }
    dev.signal(Signal::TERM);
    assert_eq!(dev.ended(), Some(0));

    // Without it, the folder's own secret counts again.
    let dev = Dev::start(data.path());
    assert_eq!(list(&dev, ""), 0);
    assert_eq!(list(&dev, named.trim()), 4);
}

#[test]
fn killed_outright_it_leaves_nothing_running() {
    let data = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(data.path());
    dev.run(&["job", "submit", "noop", "-p", "sleep_ms=60000"]).with(0);
    let children = dev.children();
    dev.signal(Signal::KILL);
    assert_eq!(dev.ended(), None);
    until_gone(&children);
    // And what it leaves on the disk is no hindrance.
    let dev = Dev::start(data.path());
    dev.run(&["job", "run", "noop"]).with(0);
}

#[test]
fn a_taken_port_and_a_taken_folder_are_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut command = noxctl();
    command.args(["dev", "--http-addr", &address, "--data"]).arg(data.path());
    let ended = run(command);
    assert_eq!(ended.status, 1);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    let who = format!("(process {})", std::process::id());
    assert!(ended.stderr.contains(&who), "{}", ended.stderr);

    let dev = Dev::start(data.path());
    let ended = dev.run(&["dev", "--http-addr", "127.0.0.1:0"]);
    assert_eq!(ended.status, 1);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("another `noxctl dev`"), "{}", ended.stderr);
    assert!(ended.stderr.contains(": noxctl (process "), "{}", ended.stderr);
}
