//! `noxctl quota reset`.

use anyhow::Result;

use super::Whose;
use crate::{
    client::{Client, encoded},
    decision,
    exit::Exit,
    output::Output,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    whose: Whose,

    /// Why; it is kept.
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    // The parser asks for one of them.
    let Some((path, name)) = args.whose.place() else { return Ok(Exit::Usage) };
    let reason = args.reason.map(|reason| format!("?reason={}", encoded(&reason)));
    let answer = client.delete(&format!("{path}{}", reason.unwrap_or_default())).await?;
    decision::tell(&answer, output, &format!("the limits of {name}"), "reset")
}
