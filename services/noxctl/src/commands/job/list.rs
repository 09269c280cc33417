//! `noxctl job list`.

use anyhow::Result;

use super::filters::Filters;
use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    pages::{Limit, List},
    views::Job,
    when::When,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    limit: Limit,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let list = List { path: "/jobs", member: "jobs", query: &args.filters.query() };
    let jobs = list.read(client, &args.limit).await?;
    let when = When::of(output);
    output.list(&jobs, &["id", "module", "user", "created", "took", "state"], |job: Job| {
        let took = job.took().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        let (id, created, state) = (job.id.to_string(), when.told(job.created_at), job.standing());
        vec![id, job.module, job.user_id, created, took, state]
    })?;
    Ok(Exit::Done)
}
