//! `noxctl webhook add`.

use anyhow::Result;
use nox_contract::EventFilter;
use serde::Serialize;

use super::{filter::FilterArgs, rotate};
use crate::{client::Client, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    /// Where events are sent: https://…
    #[arg(value_name = "URL")]
    endpoint: String,

    /// What it is for, in a few words.
    #[arg(long, default_value = "")]
    description: String,

    /// Those of all of the tenant; for administrators.
    #[arg(long)]
    of_tenant: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// A webhook as it is sent.
#[derive(Serialize)]
pub(super) struct Body {
    pub url: String,
    pub description: String,
    pub filter: EventFilter,
    pub of_tenant: bool,
    pub enabled: bool,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let Args { endpoint: url, description, of_tenant, filter } = args;
    let body = Body { url, description, filter: filter.filter(), of_tenant, enabled: true };
    let answer = client.post_as("/webhooks", Some(serde_json::to_string(&body)?), None).await?;
    rotate::print(&answer, output, "made")
}
