//! `noxctl job submit`: what a job is to be, and handing it in.

use std::io;

use anyhow::{Result, anyhow};
use nox_contract::{JobId, ModuleName, RawJson};
use serde::Serialize;

use super::inputs::Inputs;
use crate::{
    client::Client,
    exit::Exit,
    output::{Format, Output},
    views::Admitted,
};

/// What a job is to be.
#[derive(clap::Args)]
pub struct Order {
    /// What to run; `noxctl module list` says what there is.
    module: ModuleName,

    #[command(flatten)]
    inputs: Inputs,

    /// Cores; what the module says, if not given, as with the other resources.
    #[arg(long)]
    cpu: Option<u32>,

    /// Memory, in MiB.
    #[arg(long)]
    mem_mb: Option<u32>,

    /// Longest run of an attempt, in seconds.
    #[arg(long)]
    wall_time_s: Option<u32>,

    /// Devices.
    #[arg(long)]
    gpu: Option<u32>,

    /// From 0 (last) to 9 (first).
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,

    /// Not before this instant, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    run_at: Option<String>,

    /// A job that has to succeed first, repeatedly.
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,

    /// The version of the module; the present one unless it is given.
    #[arg(long, value_name = "VERSION")]
    module_version: Option<String>,

    /// A label that the worker must have; may be given several times.
    #[arg(long, value_name = "LABEL")]
    worker_label: Vec<String>,

    /// The same key twice, with the same job, submits it once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// The body of a submit. What is not given here is left out, and is the module's or the gateway's.
#[derive(Serialize)]
struct Body<'a> {
    module: &'a ModuleName,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    worker_labels: &'a [String],
    /// As they were written, digit by digit.
    inputs: RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_resources: Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    after: &'a [JobId],
}

#[derive(PartialEq, Eq, Default, Serialize)]
struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_mb: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<u32>,
}

pub async fn run(order: Order, client: &Client, output: Output) -> Result<Exit> {
    let (answer, admitted) = submit(&order, client).await?;
    let printed = match output.format {
        Format::Table => output.line(&admitted.job_id.to_string()),
        Format::Json | Format::Jsonl => output.json(&answer),
    };
    printed.map_err(|error| unprinted(admitted.job_id, &error))?;
    Ok(Exit::Done)
}

/// What was to be printed of a job that this command has submitted is in nobody's hands. Also where a
/// reader has gone: whoever cannot read the id there must not lose it.
pub fn unprinted(id: JobId, error: &io::Error) -> anyhow::Error {
    anyhow!("{id} is submitted: {error}")
}

/// Hands the job in; returns the answer as it came, and what it says.
pub async fn submit(order: &Order, client: &Client) -> Result<(String, Admitted)> {
    let body = order.body(client).await?;
    let key = order.idempotency_key.as_deref();
    let answer = client.post_as("/jobs", Some(body), key).await;
    let answer = answer.map_err(|error| order.inputs.with_hint(error))?;
    let admitted = answer.read()?;
    Ok((answer.body, admitted))
}

impl Order {
    async fn body(&self, client: &Client) -> Result<String> {
        let Self { cpu, mem_mb, wall_time_s, gpu, .. } = *self;
        let resources = Resources { cpu, mem_mb, wall_time_s, gpu };
        let body = Body {
            module: &self.module,
            module_version: self.module_version.as_deref(),
            worker_labels: &self.worker_label,
            inputs: self.inputs.read(client).await?,
            requested_resources: Some(resources).filter(|asked| *asked != Resources::default()),
            priority: self.priority,
            run_at: self.run_at.as_deref(),
            after: &self.after,
        };
        Ok(serde_json::to_string(&body)?)
    }
}
