//! `noxctl schedule get`.

use anyhow::Result;
use nox_contract::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::place;
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    id: String,
}

#[derive(Deserialize)]
struct Schedule {
    id: String,
    name: String,
    user_id: String,
    cron: String,
    time_zone: String,
    overlap: String,
    catch_up_s: u32,
    job: Box<RawValue>,
    paused: bool,
    next_due_at: Option<Timestamp>,
    last: Option<Last>,
    last_job_id: Option<String>,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Last {
    due_at: Timestamp,
    outcome: String,
    code: Option<String>,
    detail: Option<String>,
}

impl Last {
    fn words(self, when: &When) -> String {
        let why = [self.code, self.detail].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        format!("{}{why}, due {}", self.outcome, when.told(self.due_at))
    }
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let answer = client.get(&place(&args.id)).await?;
    if output.format != Format::Table {
        output.json(&answer.body)?;
        return Ok(Exit::Done);
    }
    let schedule: Schedule = answer.read()?;
    let when = When::of(output);
    let none = || "-".to_owned();
    let next =
        if schedule.paused { "paused".to_owned() } else { when.told_if(schedule.next_due_at) };
    output.members(
        "schedule",
        &[
            ("id", schedule.id),
            ("name", schedule.name),
            ("user", schedule.user_id),
            ("cron", schedule.cron),
            ("time_zone", schedule.time_zone),
            ("overlap", schedule.overlap),
            ("catch_up_s", schedule.catch_up_s.to_string()),
            ("next", next),
            ("last", schedule.last.map_or_else(none, |last| last.words(&when))),
            ("last job", schedule.last_job_id.unwrap_or_else(none)),
            ("created", when.told(schedule.created_at)),
            ("job", schedule.job.get().to_owned()),
        ],
    )?;
    Ok(Exit::Done)
}
