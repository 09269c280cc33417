//! `noxctl worker drain` and `noxctl worker undrain`.

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

pub async fn run(args: Args, client: &Client, output: Output, drained: bool) -> Result<Exit> {
    let (verb, done) =
        if drained { ("drain", "drained") } else { ("undrain", "put back into service") };
    let answer = client.post(&format!("/workers/{}/{verb}", encoded(&args.id)), None).await?;
    decision::tell(&answer, output, &args.id, done)
}
