//! `noxctl key create`.

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    terminal::note,
};

/// What is left out is the maker's.
#[derive(clap::Args, Serialize)]
pub struct Args {
    /// What it is for, in a few words.
    name: String,

    /// `user` or `admin`, and not more than you are.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,

    /// `compute:read` or `compute:write`, repeatedly; the key may do no more than that.
    #[arg(long = "scope", value_name = "SCOPE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,

    /// Not good from this instant on, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,

    /// The key acts as the user `service:NAME`, not as you; for administrators.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    secret: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post_as("/keys", Some(serde_json::to_string(&args)?), None).await?;
    let Created { id, secret } = answer.read()?;
    let is_pending = answer.is_pending();
    let printed = match output.format {
        Format::Table => output.lines_of(&secret),
        Format::Json | Format::Jsonl => output.json(&answer.body),
    };
    // Nobody has read the secret, also where a reader has gone, and nobody will be told it again.
    let lost = |error| anyhow!("{id} is made, and its secret lost: {error}; revoke it");
    printed.map_err(lost)?;
    if output.format == Format::Table {
        let made = if is_pending { "will be made" } else { "is made" };
        note!("{id} {made}; its secret is not told again");
    }
    Ok(if is_pending { Exit::Pending } else { Exit::Done })
}
