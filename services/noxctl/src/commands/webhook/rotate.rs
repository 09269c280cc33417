//! `noxctl webhook rotate-secret`.

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::json;

use super::place;
use crate::{
    client::{Answer, Client},
    exit::Exit,
    output::{Format, Output},
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,

    /// For so many seconds the secret of before signs as well; a day, if not given.
    #[arg(long, value_name = "SECONDS")]
    overlap_s: Option<u32>,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    secret: String,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let body = args.overlap_s.map(|seconds| json!({"overlap_s": seconds}));
    let path = format!("{}/rotate-secret", place(&args.id));
    let answer = client.post(&path, body.as_ref()).await?;
    print(&answer, output, "signs with it")
}

/// Prints a secret, which nobody is told again.
pub(super) fn print(answer: &Answer, output: Output, done: &str) -> Result<Exit> {
    let Told { id, secret } = answer.read()?;
    let is_pending = answer.is_pending();
    let printed = match output.format {
        Format::Table => output.lines_of(&secret),
        Format::Json | Format::Jsonl => output.json(&answer.body),
    };
    let lost = |error| anyhow!("{id}: its secret is lost: {error}; rotate it");
    printed.map_err(lost)?;
    if output.format == Format::Table {
        let done = if is_pending { "will be decided" } else { done };
        note!("{id} {done}; its secret is not told again");
    }
    Ok(if is_pending { Exit::Pending } else { Exit::Done })
}
