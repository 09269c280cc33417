//! The tree of commands: a noun, then a verb.

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    commands::{
        audit, bench, capsule, completions, demo, dev, doctor, events, job, key, ledger, log, me,
        module, projection, prune, queue, quota, replay, report, schedule, token, upload, webhook,
        worker,
    },
    exit::Exit,
    output::{Format, Output},
    target::{GLOBAL, Target},
};

/// Nox on the command line.
///
/// Data goes to standard output, everything else to standard error. Without NOX_URL and NOX_TOKEN,
/// commands go to the development system whose data folder is here.
#[derive(Parser)]
#[command(name = "noxctl", version, after_help = EXITS)]
pub struct Cli {
    #[command(flatten)]
    target: Target,

    /// The form of what is printed.
    #[arg(short, long, global = true, help_heading = GLOBAL, value_enum, default_value_t)]
    output: Format,

    /// The same as `--output json`.
    #[arg(long, global = true, help_heading = GLOBAL, conflicts_with = "output")]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "\
Exit status:
  0 done, or the job succeeded   1 failed              2 wrong usage
  3 not found                    4 not allowed         5 server not reachable
  6 conflict                     7 quota or rate limit 8 still pending
 10 the job failed              11 it was canceled    12 it ran out of time";

#[derive(Subcommand)]
enum Command {
    /// Run all of Nox on this machine until Ctrl-C.
    Dev(dev::Args),
    /// Start all of Nox, run a few jobs, show what came of them, stop.
    Demo(demo::Args),
    /// Make a token.
    Token(token::Args),
    /// Submit jobs and look at them.
    #[command(subcommand)]
    Job(job::Command),
    /// Show what happens, and print what happened.
    #[command(subcommand)]
    Events(events::Command),
    /// Upload a text that is too large for inputs, and print what refers to it there.
    Upload(upload::Args),
    /// Look at what can be run, and switch it.
    #[command(subcommand)]
    Module(module::Command),
    /// Submit jobs again and again.
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Send events to an HTTP endpoint.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// List the jobs that are open, or were at an earlier instant, the first submitted first.
    Queue(queue::Args),
    /// Look at who runs jobs, and take them out of service.
    #[command(subcommand)]
    Worker(worker::Command),
    /// Look at what users and tenants may and use, and change it.
    #[command(subcommand)]
    Quota(quota::Command),
    /// Make API keys for machines, and revoke them.
    #[command(subcommand)]
    Key(key::Command),
    /// Say who you are to the server.
    Me,
    /// Show who did what, and prove what was written of it.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look after the log of facts.
    #[command(subcommand)]
    Log(log::Command),
    /// Prove what the log says that users used.
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Decide again what the log says was decided.
    #[command(subcommand)]
    Replay(replay::Command),
    /// Pack one job's case into a file, and look at one.
    #[command(subcommand)]
    Capsule(capsule::Command),
    /// Write a report of a span of time, as one HTML file.
    Report(report::Args),
    /// Look after the rows that are made from the log.
    #[command(subcommand)]
    Projection(projection::Command),
    /// Remove files and uploads that nobody can see any more, or that were kept long enough.
    Prune(prune::Args),
    /// Say what this machine has, and what is missing for what.
    Doctor(doctor::Args),
    /// Measure how fast Nox is on this machine.
    Bench(bench::Args),
    /// Print what makes a shell complete commands and flags.
    Completions(completions::Args),
}

impl Cli {
    /// Whether the executor is to run in this process.
    pub fn has_executor(&self) -> bool {
        matches!(
            self.command,
            Command::Dev(_)
                | Command::Demo(_)
                | Command::Doctor(_)
                | Command::Module(module::Command::Test { .. })
        )
    }

    pub async fn run(self) -> anyhow::Result<Exit> {
        let format = if self.json { Format::Json } else { self.output };
        let (target, output) = (self.target, Output::new(format));
        target.check()?;
        match self.command {
            Command::Dev(args) => dev::run(args, &target).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Token(args) => token::run(args, &target, output),
            Command::Job(command) => job::run(command, &target, output).await,
            Command::Events(command) => events::run(command, &target, output).await,
            Command::Upload(args) => upload::run(args, &target, output).await,
            Command::Module(command) => module::run(command, &target, output).await,
            Command::Schedule(command) => schedule::run(command, &target, output).await,
            Command::Webhook(command) => webhook::run(command, &target, output).await,
            Command::Queue(args) => queue::run(args, &target, output).await,
            Command::Worker(command) => worker::run(command, &target, output).await,
            Command::Quota(command) => quota::run(command, &target, output).await,
            Command::Key(command) => key::run(command, &target, output).await,
            Command::Me => me::run(&target, output).await,
            Command::Audit(command) => audit::run(command, &target, output).await,
            Command::Log(command) => log::run(command, &target, output).await,
            Command::Ledger(command) => ledger::run(command, &target, output).await,
            Command::Replay(command) => replay::run(command, &target, output).await,
            Command::Capsule(command) => capsule::run(command, &target, output).await,
            Command::Report(args) => report::run(args, &target).await,
            Command::Projection(command) => projection::run(command, &target, output).await,
            Command::Prune(args) => prune::run(args, &target, output).await,
            Command::Doctor(args) => doctor::run(args, &target, output).await,
            Command::Bench(args) => bench::run(args).await,
            Command::Completions(args) => completions::run(&args, &mut Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    /// The page promises what the help does.
    #[test]
    fn the_page_has_every_exit_status() {
        let page = include_str!("../../../docs/CLI.md");
        let listed: Vec<_> = EXITS
            .split(|c: char| !c.is_ascii_digit())
            .filter(|number| !number.is_empty())
            .collect();
        assert_eq!(listed.len(), 12);
        for number in listed {
            assert!(page.contains(&format!("\n| {number} | ")), "{number}");
        }
    }
}
