//! What an operator can set stands in docs/OPERATIONS.md, and what stands there can be set.

use std::collections::BTreeSet;

use clap::{Args, Command};

use crate::program::{noxctl, run};

const PAGE: &str = include_str!("../../../../docs/OPERATIONS.md");

/// What is no program's own argument: of every service, of modules, of the search for servers.
const BESIDE: [&str; 10] = [
    "JOB_RUNNER_CWD",
    "NOX_ADMIN_ADDR",
    "NOX_LOG",
    "NOX_LOG_FORMAT",
    "NOX_XTB",
    "NOX_ORCA",
    "NOX_GAUSSIAN",
    "NOX_NATS_SERVER",
    "NOX_POSTGRES_BIN",
    "NOX_TOOLS",
];

/// Words of the page that look like variables.
const STREAMS: [&str; 3] = ["NOX_EVENTS", "NOX_COMMANDS", "NOX_REPORTS"];

/// The variables of a service that are not for tests alone.
fn of_service<C: Args>() -> BTreeSet<String> {
    C::augment_args(Command::new("service"))
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
        .collect()
}

/// The variables of a command, as its help names them.
fn of_noxctl(command: &str) -> BTreeSet<String> {
    let mut help = noxctl();
    help.args(command.split_whitespace()).arg("--help");
    let help = run(help).with(0);
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    named.map(str::to_owned).collect()
}

fn named(page: &str) -> BTreeSet<String> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|word| word.split('=').next())
        .filter(|word| word.starts_with("NOX_") || word.starts_with("JOB_RUNNER_"))
        .filter(|word| !STREAMS.contains(word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_for_operators_names_every_variable_and_no_other() {
    let mut settable: BTreeSet<String> = BESIDE.map(str::to_owned).into();
    settable.extend(of_service::<nox_gateway::Config>());
    settable.extend(of_service::<nox_scheduler::Config>());
    settable.extend(of_service::<nox_executor::Config>());
    settable.extend(of_service::<nox_projector::Config>());
    settable.extend(of_service::<nox_notifier::Config>());
    for command in [
        "dev",
        "demo",
        "token",
        "job run",
        "projection lag",
        "projection rebuild",
        "log verify",
        "ledger verify",
        "replay verify",
        "events replay",
    ] {
        let of_command = of_noxctl(command);
        assert!(of_command.contains("NOX_DATA"), "{command} says {of_command:?}");
        settable.extend(of_command);
    }
    let documented = named(PAGE);
    let missing: Vec<_> = settable.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&settable).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}
