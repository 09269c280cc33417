//! `noxctl schedule create`.

use anyhow::{Result, anyhow};
use serde::Deserialize;

use super::spec::ScheduleSpec;
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
};

#[derive(Deserialize)]
struct Created {
    id: String,
}

pub async fn run(spec: ScheduleSpec, client: &Client, output: Output) -> Result<Exit> {
    let answer = spec.send(client, |body| client.post_as("/schedules", Some(body), None)).await?;
    let Created { id } = answer.read()?;
    let printed = match output.format {
        Format::Table => output.lines_of(&id),
        Format::Json | Format::Jsonl => output.json(&answer.body),
    };
    // Also where a reader has gone: whoever cannot read the id there must not lose it.
    printed.map_err(|error| anyhow!("the schedule {id} is made: {error}"))?;
    Ok(if answer.is_pending() { Exit::Pending } else { Exit::Done })
}
