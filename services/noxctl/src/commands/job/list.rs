//! `noxctl job list`.

use anyhow::Result;

use crate::{
    client::{Client, encoded},
    exit::Exit,
    output::{Format, Output},
    views::{Job, Jobs},
};

/// Most jobs that the gateway puts into a page.
const PAGE_MAX: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// Only those that stand so; every usual spelling will do.
    #[arg(long)]
    status: Option<String>,

    #[arg(long)]
    module: Option<String>,

    /// Only this user's; others' are for administrators.
    #[arg(long)]
    user: Option<String>,

    /// Most jobs to list.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let mut filters = String::new();
    for (name, value) in
        [("status", &args.status), ("module", &args.module), ("user_id", &args.user)]
    {
        if let Some(value) = value {
            filters.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let mut jobs = Vec::new();
    let mut cursor = String::new();
    while jobs.len() < args.limit {
        let limit = (args.limit - jobs.len()).min(PAGE_MAX);
        let page: Jobs = client.read(&format!("/jobs?limit={limit}{filters}{cursor}")).await?;
        jobs.extend(page.jobs);
        match page.next {
            Some(next) => cursor = format!("&cursor={}", encoded(&next)),
            None => break,
        }
    }
    if output.format != Format::Table {
        output.documents(&jobs)?;
        return Ok(Exit::Done);
    }
    let rows = jobs.iter().map(|job| {
        let job: Job = serde_json::from_str(job.get())?;
        let took = job.took().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        let (state, created) = (job.standing(), job.created_at.to_string());
        Ok(vec![job.id.to_string(), job.module, job.user_id, created, took, state])
    });
    let rows: Vec<_> = rows.collect::<serde_json::Result<_>>()?;
    output.table(&["id", "module", "user", "created", "took", "state"], &rows)?;
    Ok(Exit::Done)
}
