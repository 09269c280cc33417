//! `noxctl queue`: which jobs are open, or were.

use anyhow::Result;
use nox_contract::{JobId, Timestamp};
use serde::Deserialize;

use crate::{
    client::encoded,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    target::Target,
    when::{self, When},
};

#[derive(clap::Args)]
pub struct Args {
    /// As it was then: the number of a frame, or an instant such as 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = when::instant_or_frame)]
    at: Option<String>,

    /// Only those that stood so: draft, queued, running or canceled.
    #[arg(long)]
    status: Option<String>,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
struct Open {
    id: JobId,
    user_id: String,
    module: String,
    state: String,
    waiting_code: Option<String>,
    priority: u8,
    worker_id: Option<String>,
    created_at: Timestamp,
}

const HEAD: [&str; 7] = ["id", "user", "module", "state", "priority", "worker", "created"];

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let client = target.client()?;
    let mut query = String::new();
    for (name, value) in [("as_of", &args.at), ("status", &args.status)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let list = List { path: "/queue", member: "jobs", query: &query };
    let jobs = list.read(&client, &args.limit).await?;
    let when = When::of(output);
    output.list(&jobs, &HEAD, |job: Open| {
        let state = match job.waiting_code {
            Some(code) => format!("{} ({code})", job.state),
            None => job.state,
        };
        let worker = job.worker_id.unwrap_or_else(|| when::NEVER.to_owned());
        let (priority, created) = (job.priority.to_string(), when.told(job.created_at));
        vec![job.id.to_string(), job.user_id, job.module, state, priority, worker, created]
    })?;
    Ok(Exit::Done)
}
