//! `noxctl webhook remove`, `test` and `redeliver`.

use anyhow::Result;
use serde::Deserialize;

use super::place;
use crate::{
    client::{Client, encoded},
    decision,
    exit::Exit,
    output::{Format, Output},
};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

#[derive(clap::Args)]
pub struct RedeliverArgs {
    id: String,

    /// As `noxctl webhook deliveries` lists it.
    delivery: String,
}

#[derive(Deserialize)]
struct Tested {
    delivery_id: String,
}

pub async fn remove(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.delete(&place(&args.id)).await?;
    decision::tell(&answer, output, &args.id, "removed")
}

pub async fn test(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.post(&format!("{}/test", place(&args.id)), None).await?;
    if output.format == Format::Table {
        let Tested { delivery_id } = answer.read()?;
        output.lines_of(&delivery_id)?;
        return Ok(if answer.is_pending() { Exit::Pending } else { Exit::Done });
    }
    decision::tell(&answer, output, &args.id, "tested")
}

pub async fn redeliver(args: RedeliverArgs, client: &Client, output: Output) -> Result<Exit> {
    let path = format!("{}/deliveries/{}/redeliver", place(&args.id), encoded(&args.delivery));
    let answer = client.post(&path, None).await?;
    decision::tell(&answer, output, &args.delivery, "is sent once more")
}
