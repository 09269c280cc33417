//! `noxctl schedule`: jobs that are submitted again and again.

mod create;
mod delete;
mod get;
mod list;
mod next;
mod pause;
mod replace;
mod spec;
mod trigger;

use anyhow::Result;

use crate::{client::encoded, exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List your schedules; for administrators, all of the tenant.
    List(list::Args),
    /// Show a schedule, and what became of its newest occurrence.
    Get(get::Args),
    /// Say when a schedule is due next.
    Next(next::Args),
    /// Submit a job again and again, and print the id of the schedule.
    Create(spec::ScheduleSpec),
    /// Submit something else, or at other times.
    Replace(replace::Args),
    /// Submit nothing for now.
    Pause(pause::Args),
    /// Go on; what was due meanwhile is not made up for.
    Resume(pause::Args),
    /// Submit the schedule's job at once, beside its times, and print its id.
    Trigger(trigger::Args),
    /// Submit no more; jobs that it submitted go on.
    Delete(delete::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    let client = target.client()?;
    match command {
        Command::List(args) => list::run(args, &client, output).await,
        Command::Get(args) => get::run(args, &client, output).await,
        Command::Next(args) => next::run(args, &client, output).await,
        Command::Create(args) => create::run(args, &client, output).await,
        Command::Replace(args) => replace::run(args, &client, output).await,
        Command::Pause(args) => pause::run(args, &client, output, true).await,
        Command::Resume(args) => pause::run(args, &client, output, false).await,
        Command::Trigger(args) => trigger::run(args, &client, output).await,
        Command::Delete(args) => delete::run(args, &client, output).await,
    }
}

/// The address of a schedule.
fn place(id: &str) -> String {
    format!("/schedules/{}", encoded(id))
}
