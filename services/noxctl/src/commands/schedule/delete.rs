//! `noxctl schedule delete`.

use anyhow::Result;

use super::place;
use crate::{client::Client, decision, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.delete(&place(&args.id)).await?;
    decision::tell(&answer, output, &args.id, "deleted")
}
