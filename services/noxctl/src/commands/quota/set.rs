//! `noxctl quota set`.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Whose, limits::Limits};
use crate::{
    client::{Client, ClientError},
    decision,
    exit::Exit,
    output::Output,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    whose: Whose,

    /// Those that are not named stay as they are.
    #[command(flatten)]
    limits: Limits,

    /// Why; it is kept.
    #[arg(long)]
    reason: String,
}

#[derive(Deserialize)]
struct Account {
    limits: Limits,
}

#[derive(Serialize)]
struct Body {
    limits: Limits,
    reason: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    // The parser asks for one of them.
    let Some((path, name)) = args.whose.place() else { return Ok(Exit::Usage) };
    let mut limits = args.limits;
    if !limits.are_complete() {
        let Account { limits: present } = client.read(&path).await.map_err(unknown)?;
        limits = limits.or(present);
    }
    let body = serde_json::to_string(&Body { limits, reason: args.reason })?;
    let answer = client.put(&path, body).await?;
    decision::tell(&answer, output, &format!("the limits of {name}"), "set")
}

/// Of whom nothing is known yet, there is nothing to leave as it is.
fn unknown(error: ClientError) -> ClientError {
    let ClientError::Refused(mut problem) = error else { return error };
    if problem.status == 404 {
        problem.hint = Some("name all limits to set those of an account before it is used".into());
    }
    ClientError::Refused(problem)
}
