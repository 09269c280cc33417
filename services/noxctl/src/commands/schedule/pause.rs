//! `noxctl schedule pause` and `noxctl schedule resume`.

use anyhow::Result;

use super::place;
use crate::{client::Client, decision, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

pub async fn run(args: Args, client: &Client, output: Output, paused: bool) -> Result<Exit> {
    let (verb, done) = if paused { ("pause", "paused") } else { ("resume", "resumed") };
    let answer = client.post(&format!("{}/{verb}", place(&args.id)), None).await?;
    decision::tell(&answer, output, &args.id, done)
}
