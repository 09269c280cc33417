//! `noxctl key revoke`.

use anyhow::Result;

use crate::{
    client::{Client, encoded},
    decision,
    exit::Exit,
    output::Output,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.delete(&format!("/keys/{}", encoded(&args.id))).await?;
    decision::tell(&answer, output, &args.id, "revoked")
}
