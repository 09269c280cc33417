//! The module `command`: a stranger's line of shell.

use std::{fs, path::Path};

use nox_contract::RawJson;
use nox_executor::{
    manifest::Manifest,
    modules::Modules,
    sandbox::{Level, host::Layer},
};
use serde_json::json;

use crate::{
    sandbox::isolated,
    support::{Place, error, host_without, manifest, outputs, shipped_modules},
};

fn command() -> Manifest {
    Manifest::read(&shipped_modules().join("command")).unwrap()
}

async fn run(place: &mut Place, line: &str) -> nox_executor::attempt::Finished {
    place.start.inputs = RawJson::of(&json!({"command": line})).unwrap();
    let module = command();
    place.run_program(&module, Path::new("/bin/sh")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_shell_is_run_and_what_it_prints_is_its_log() {
    let Some(mut place) = isolated().await else { return };
    let finished = run(&mut place, "/bin/echo hello && sleep 0.1 && /bin/echo done >&2").await;
    outputs(&finished);
    assert_eq!(place.printed(), "hello\ndone\n");

    let finished = run(&mut place, "echo \"$0\"; exit 3").await;
    assert_eq!(
        (error(&finished).0.code.as_str(), error(&finished).0.exit_status),
        ("exit_status", Some(3))
    );
    place.printed();

    // Never an option of the shell; a line break is one of the shell's.
    let finished = run(&mut place, "-c 'echo option'").await;
    assert_eq!(error(&finished).0.exit_status, Some(127));
    assert!(!place.printed().contains("option\n"));
    outputs(&run(&mut place, "a=1\necho $a {inputs.command}").await);
    assert_eq!(place.printed(), "1 {inputs.command}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_isolated_whatever_it_tries() {
    let Some(mut place) = isolated().await else { return };
    let canary = place.runner.data.join("canary");
    fs::write(&canary, "secret").unwrap();
    let line = format!(
        "cat {} && echo read; touch /usr/written && echo written; \
         test -e /proc/{} && echo seen; ls /sys/class/net 2>&1 | grep -qv '^lo$' && echo network; true",
        canary.display(),
        std::process::id()
    );
    let finished = run(&mut place, &line).await;
    outputs(&finished);
    let printed = place.printed();
    for word in ["secret", "read", "written", "seen"] {
        assert!(!printed.lines().any(|line| line == word), "{printed}");
    }
    // The control: without a sandbox the same line reads it.
    let mut trusting = Place::trusting().await;
    let module = trusting.script(&line, "");
    trusting.run(&module).await;
    assert!(trusting.printed().lines().any(|line| line == "secretread"), "the line works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_isolate_serves_no_commands() {
    let served = |host| {
        let modules = Modules::read(&shipped_modules(), &host).unwrap();
        let left_out = modules.left_out().iter().find(|left| left.name.as_str() == "command");
        let reason = left_out.map(|left| left.reason.clone());
        (modules.get(&"command".parse().unwrap()).is_some(), reason)
    };
    for layer in [Layer::Namespaces, Layer::Seccomp] {
        let (is_served, reason) = served(host_without(&[layer]).await);
        assert!(!is_served, "{layer}");
        let reason = reason.unwrap();
        assert!(
            reason.contains("`isolated`") && reason.contains("not run at a lower one"),
            "{reason}"
        );
    }
    // The control: where it can be had, they are.
    let whole = host_without(&[]).await;
    let can = whole.has(Level::Isolated).is_ok();
    assert_eq!(served(whole), (can, served(host_without(&[]).await).1));
    if isolated().await.is_some() {
        assert!(can);
    }
}

/// Variables that Cargo sets stand for JOB_RUNNER_CWD, for tests must not change their environment.
fn beginning_in(place: &Place, variable: &str) -> Manifest {
    let toml = format!(
        "name = 'm'\nversion = '1'\nsandbox = 'isolated'\ninput_schema = {{}}\n\
         resources = {{ cpu = 1, mem_mb = 64, wall_time_s = 60 }}\n\
         run = {{ program = 'sh', args = ['-c', 'pwd; ls; touch own && echo writes; cd \"$HOME\" && touch x'], \
         folder_env = '{variable}' }}"
    );
    manifest(&place.folder, &toml)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_begins_where_the_operator_says() {
    let Some(mut place) = isolated().await else { return };
    // Beneath its own folder, where it is made.
    let module = beginning_in(&place, "CARGO_PKG_NAME");
    outputs(&place.run(&module).await);
    let printed = place.printed();
    let (first, rest) = printed.split_once('\n').unwrap();
    assert!(first.ends_with("/work/nox-executor"), "{printed}");
    assert_eq!(rest, "writes\n");

    // A folder of the machine's, which can be read and not written to.
    let module = beginning_in(&place, "CARGO_MANIFEST_DIR");
    outputs(&place.run(&module).await);
    let printed = place.printed();
    assert_eq!(printed.lines().next(), Some(env!("CARGO_MANIFEST_DIR")));
    assert!(printed.contains("Cargo.toml\n") && !printed.contains("writes"), "{printed}");

    // Without the variable, its own.
    let module = beginning_in(&place, "NOX_TEST_NOT_SET");
    outputs(&place.run(&module).await);
    assert!(place.printed().lines().next().unwrap().ends_with("/work"));

    // A file is no folder: the module is left out, and what runs all the same fails.
    let module = beginning_in(&place, "CARGO");
    let finished = place.run(&module).await;
    assert!(error(&finished).0.message.contains("CARGO names no folder"), "{finished:?}");
    assert_eq!(error(&finished).0.code, "spawn");
    let read = Modules::read_one(&place.folder.path().join("module"), &place.runner.host);
    assert!(read.unwrap_err().to_string().contains("CARGO names no folder"));
}
