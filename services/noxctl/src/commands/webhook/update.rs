//! `noxctl webhook update`.

use anyhow::Result;
use nox_contract::EventFilter;

use super::{add::Body, filter::FilterArgs, place, show::Webhook};
use crate::{client::Client, decision, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    /// Where events are sent.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// What it is for, in a few words.
    #[arg(long)]
    description: Option<String>,

    /// Whether it is those of all of the tenant; for administrators.
    #[arg(long, value_name = "BOOL")]
    of_tenant: Option<bool>,

    /// Send again, also after it was switched off.
    #[arg(long, conflicts_with = "off")]
    on: bool,

    /// Send nothing for now. What happens meanwhile is not sent later.
    #[arg(long)]
    off: bool,

    /// All events again, and no choice of them.
    #[arg(long)]
    all: bool,

    /// In place of those that were chosen before, if any is given.
    #[command(flatten)]
    filter: FilterArgs,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let path = place(&args.id);
    let known: Webhook = client.get(&path).await?.read()?;
    let filter = match args.filter.filter() {
        _ if args.all => EventFilter::default(),
        none if none.is_empty() => known.filter,
        chosen => chosen,
    };
    let body = Body {
        url: args.endpoint.unwrap_or(known.url),
        description: args.description.unwrap_or(known.description),
        filter,
        of_tenant: args.of_tenant.unwrap_or(known.of_tenant),
        enabled: args.on || (known.enabled && !args.off),
    };
    let answer = client.put(&path, serde_json::to_string(&body)?).await?;
    decision::tell(&answer, output, &args.id, "updated")
}
