//! `noxctl webhook`: events that are sent to an HTTP endpoint.

mod add;
mod change;
mod deliveries;
mod filter;
mod list;
mod rotate;
mod show;
mod update;

use anyhow::Result;

use crate::{client::encoded, exit::Exit, output::Output, target::Target};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List your webhooks; for administrators, all of the tenant.
    List(list::Args),
    /// Send events to an endpoint, and print the secret, which is told this once.
    Add(add::Args),
    /// Show a webhook, and how its endpoint is.
    Show(show::Args),
    /// Send other events, elsewhere, or none; or go on. What is not given stays.
    Update(update::Args),
    /// Send nothing any more; what waited is forgotten.
    Remove(change::Args),
    /// Send an event that says that you asked for it, and print the id of the delivery.
    Test(change::Args),
    /// List what was sent, or is to be sent, the newest first.
    Deliveries(deliveries::Args),
    /// Send an event once more, whether it was taken or not.
    Redeliver(change::RedeliverArgs),
    /// Sign with another secret, print it, and for a time sign with the one before as well.
    RotateSecret(rotate::Args),
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    let client = target.client()?;
    match command {
        Command::List(args) => list::run(args, &client, output).await,
        Command::Add(args) => add::run(args, &client, output).await,
        Command::Show(args) => show::run(args, &client, output).await,
        Command::Update(args) => update::run(args, &client, output).await,
        Command::Remove(args) => change::remove(args, &client, output).await,
        Command::Test(args) => change::test(args, &client, output).await,
        Command::Deliveries(args) => deliveries::run(args, &client, output).await,
        Command::Redeliver(args) => change::redeliver(args, &client, output).await,
        Command::RotateSecret(args) => rotate::run(args, &client, output).await,
    }
}

/// The address of a webhook.
fn place(id: &str) -> String {
    format!("/webhooks/{}", encoded(id))
}
