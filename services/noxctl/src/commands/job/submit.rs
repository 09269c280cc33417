//! `noxctl job submit`.

use std::io;

use anyhow::{Result, anyhow};
use nox_contract::JobId;
use serde::Serialize;

use super::spec::{self, JobSpec};
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    views::Admitted,
};

/// A job, and when it may run.
#[derive(clap::Args)]
pub struct Order {
    #[command(flatten)]
    spec: JobSpec,

    /// Not before this instant, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    run_at: Option<String>,

    /// A job that has to succeed first, repeatedly.
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,

    /// The same key twice, with the same job, submits it once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    order: Order,

    /// Keep it, and let it reserve nothing, until `noxctl job submit-draft`.
    #[arg(long)]
    draft: bool,
}

/// The body of a submit. What is not given here is left out, and is the gateway's.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    spec: spec::Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    after: &'a [JobId],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    draft: bool,
}

pub async fn run(args: Args, client: &Client, output: Output) -> Result<Exit> {
    let (answer, admitted) = submit(&args.order, args.draft, client).await?;
    print(&answer, admitted.job_id, output)?;
    Ok(Exit::Done)
}

/// Prints the id of a job that was handed in, or all that was answered.
pub fn print(answer: &str, id: JobId, output: Output) -> Result<()> {
    let printed = match output.format {
        Format::Table => output.line(&id.to_string()),
        Format::Json | Format::Jsonl => output.json(answer),
    };
    printed.map_err(|error| unprinted(id, &error))
}

/// What was to be printed of a job that this command has submitted is in nobody's hands. Also where a
/// reader has gone: whoever cannot read the id there must not lose it.
pub fn unprinted(id: JobId, error: &io::Error) -> anyhow::Error {
    anyhow!("{id} is submitted: {error}")
}

/// Hands the job in; returns the answer as it came, and what it says.
pub async fn submit(order: &Order, draft: bool, client: &Client) -> Result<(String, Admitted)> {
    let body = Body {
        spec: order.spec.body(client).await?,
        run_at: order.run_at.as_deref(),
        after: &order.after,
        draft,
    };
    let key = order.idempotency_key.as_deref();
    let answer = client.post_as("/jobs", Some(serde_json::to_string(&body)?), key).await;
    let answer = answer.map_err(|error| order.spec.with_hint(error))?;
    let admitted = answer.read()?;
    Ok((answer.body, admitted))
}
