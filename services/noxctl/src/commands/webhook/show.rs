//! `noxctl webhook show`.

use anyhow::Result;
use nox_contract::{EventFilter, Timestamp};
use serde::Deserialize;

use super::place;
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct Webhook {
    pub id: String,
    pub url: String,
    pub description: String,
    pub user_id: String,
    pub filter: EventFilter,
    pub of_tenant: bool,
    pub enabled: bool,
    pub disabled_reason: Option<String>,
    pub previous_secret_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub endpoint: Option<Endpoint>,
}

#[derive(Deserialize)]
pub(super) struct Endpoint {
    failures: u32,
    failing_since: Option<Timestamp>,
    dropped: u64,
}

impl Webhook {
    /// `on`, `off`, or why it was switched off.
    pub fn state(&self) -> String {
        match (&self.disabled_reason, self.enabled) {
            (Some(reason), _) => reason.clone(),
            (None, true) => "on".to_owned(),
            (None, false) => "off".to_owned(),
        }
    }

    /// What it is sent, in the words that say so.
    pub fn events(&self) -> String {
        let whose = if self.of_tenant { "all of the tenant" } else { "all" };
        if self.filter.is_empty() {
            return whose.to_owned();
        }
        serde_json::to_string(&self.filter).unwrap_or_default()
    }
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(&place(&args.id)).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let webhook: Webhook = answer.read()?;
    let when = When::of(output);
    let (state, events) = (webhook.state(), webhook.events());
    let (failures, since, dropped) = match &webhook.endpoint {
        Some(of) => {
            (of.failures.to_string(), when.told_if(of.failing_since), of.dropped.to_string())
        }
        None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
    };
    output.members(
        "webhook",
        &[
            ("id", webhook.id),
            ("url", webhook.url),
            ("description", webhook.description),
            ("user", webhook.user_id),
            ("events", events),
            ("state", state),
            ("failures", failures),
            ("failing since", since),
            ("dropped", dropped),
            ("old secret until", when.told_if(webhook.previous_secret_until)),
            ("created", when.told(webhook.created_at)),
        ],
    )?;
    Ok(Exit::Done)
}
