//! `noxctl key list`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;

use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    user_id: String,
    role: String,
    scopes: Vec<String>,
    created_by: String,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

const HEAD: [&str; 8] = ["id", "name", "user", "role", "scopes", "by", "created", "expires"];

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let keys = List { path: "/keys", member: "keys", query: "" }.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&keys, &HEAD, |key: Key| {
        let scopes = if key.scopes.is_empty() { "all".to_owned() } else { key.scopes.join(" ") };
        let [created, expires] = [key.created_at, key.expires_at].map(|at| when.told_if(at));
        vec![key.id, key.name, key.user_id, key.role, scopes, key.created_by, created, expires]
    })?;
    Ok(Exit::Done)
}
