//! `noxctl schedule replace`.

use anyhow::Result;

use super::{place, spec::ScheduleSpec};
use crate::{client::Client, decision, exit::Exit, output::Output};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    /// All of it; nothing stays as it was.
    #[command(flatten)]
    spec: ScheduleSpec,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let path = place(&args.id);
    let answer = args.spec.send(client, |body| client.put(&path, body)).await?;
    decision::tell(&answer, output, &args.id, "replaced")
}
