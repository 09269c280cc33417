//! `noxctl job cancel-all` and `job retry-all`: all jobs of a list, after a look at how many that would be.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::filters::Filters;
use crate::{
    client::{Client, encoded},
    exit::{Exit, Misused},
    output::{Format, Output},
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: Filters,

    /// Do it; without this, only say how many jobs there are.
    #[arg(long)]
    yes: bool,
}

/// What is done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Cancel,
    Retry,
}

impl Action {
    fn path(self) -> &'static str {
        match self {
            Self::Cancel => "/jobs/cancel",
            Self::Retry => "/jobs/retry",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Retry => "tried again",
        }
    }
}

/// What the API says of many jobs.
#[derive(Deserialize)]
struct Many {
    count: usize,
    complete: bool,
    jobs: Vec<Value>,
    next: Option<String>,
}

pub async fn run(action: Action, args: Args, client: &Client, output: Output) -> Result<Exit> {
    let filters = args.filters.query();
    if filters.is_empty() {
        let missing = "name the jobs, as --status queued or --filter label=run=1";
        return Err(Misused(missing.to_owned()).into());
    }
    let path = action.path();
    let preview = format!("{path}?preview=true{filters}");
    let Many { count, complete, .. } = client.post(&preview, None).await?.read()?;
    if !args.yes {
        let more = if complete { "" } else { " and more" };
        match output.format {
            Format::Table => {
                note!("{count} jobs{more} would be {}; --yes does it", action.done());
            }
            Format::Json | Format::Jsonl => {
                output.json(
                    &json!({"preview": true, "count": count, "complete": complete}).to_string(),
                )?;
            }
        }
        return Ok(Exit::Done);
    }
    let (mut jobs, mut cursor) = (Vec::new(), None);
    loop {
        // Those that came since then are counted in no preview.
        let at_most =
            if complete && cursor.is_none() { format!("&at_most={count}") } else { String::new() };
        let from = cursor.map(|next: String| format!("&cursor={}", encoded(&next)));
        let page = format!("{path}?limit=1000{filters}{at_most}{}", from.unwrap_or_default());
        let Many { jobs: more, next, .. } = client.post(&page, None).await?.read()?;
        jobs.extend(more);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let problems = jobs.iter().filter(|job| !job["problem"].is_null()).count();
    let pending = jobs.iter().any(|job| job["pending"] == true);
    match output.format {
        Format::Table => {
            note!("{} jobs {}", jobs.len() - problems, action.done());
            for job in jobs.iter().filter(|job| !job["problem"].is_null()) {
                let id = job["job_id"].as_str().or(job["retry_of"].as_str()).unwrap_or_default();
                let detail = job["problem"]["detail"].as_str().unwrap_or_default();
                note!("{id}: {detail}");
            }
        }
        Format::Json | Format::Jsonl => {
            output.json(&json!({"count": jobs.len(), "jobs": jobs}).to_string())?
        }
    }
    Ok(match (problems, pending) {
        (0, false) => Exit::Done,
        (0, true) => Exit::Pending,
        _ => Exit::Failed,
    })
}
