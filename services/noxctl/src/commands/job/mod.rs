//! `noxctl job`: one file for each thing that can be asked of jobs.

mod artifacts;
mod cancel;
mod download;
mod events;
pub mod filters;
mod get;
mod inputs;
mod list;
mod logs;
mod many;
mod retry;
mod run;
pub mod spec;
pub mod submit;
mod submit_draft;
mod watch;
mod why;

use anyhow::Result;

use crate::{exit::Exit, follow, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Submit a job, wait for its end, and print its outputs.
    Run(run::Args),
    /// Submit a job and print its id.
    Submit(submit::Args),
    /// Submit a job that was kept as a draft.
    SubmitDraft(submit_draft::Args),
    /// Show a job, as it is or as it was.
    #[command(visible_alias = "state")]
    Get(get::Args),
    /// List jobs, newest first.
    List(list::Args),
    /// Print what a job printed.
    ///
    /// A terminal shows a mark in place of each control character; a pipe gets all as it is, so that
    /// `| less -R` shows colours.
    Logs(logs::Args),
    /// List the files that a job has left, with their sizes and hashes.
    Artifacts(artifacts::Args),
    /// Download files that a job has left.
    Download(download::Args),
    /// Say why a job waits or waited, and what is in its way.
    Why(why::Args),
    /// Show how a job stands, and each change of it, until it has ended.
    Watch(watch::Args),
    /// Cancel a job.
    Cancel(cancel::Args),
    /// Cancel all jobs of a list that have not ended, or say how many those are.
    CancelAll(many::Args),
    /// Submit all jobs of a list that have ended once more, or say how many those are.
    RetryAll(many::Args),
    /// Submit a job that has ended once more, as a new one, and print its id.
    Retry(retry::Args),
    /// Show all that ever happened to a job.
    Events(follow::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    let client = target.client()?;
    match command {
        Command::Run(args) => run::run(args, &client, output).await,
        Command::Submit(args) => submit::run(args, &client, output).await,
        Command::SubmitDraft(args) => submit_draft::run(args, &client, output).await,
        Command::Get(args) => get::run(args, &client, output).await,
        Command::List(args) => list::run(args, &client, output).await,
        Command::Logs(args) => logs::run(args, &client, output).await,
        Command::Artifacts(args) => artifacts::run(args, &client, output).await,
        Command::Download(args) => download::run(args, &client).await,
        Command::Why(args) => why::run(args, &client, output).await,
        Command::Watch(args) => watch::run(args, &client, output).await,
        Command::Cancel(args) => cancel::run(args, &client, output).await,
        Command::CancelAll(args) => many::run(many::Action::Cancel, args, &client, output).await,
        Command::RetryAll(args) => many::run(many::Action::Retry, args, &client, output).await,
        Command::Retry(args) => retry::run(args, &client, output).await,
        Command::Events(args) => events::run(args, &client, output).await,
    }
}
