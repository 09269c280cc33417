//! What a job is to be, whoever hands it in and when.

use std::collections::BTreeMap;

use anyhow::Result;
use nox_contract::{ModuleName, RawJson};
use serde::Serialize;

use super::inputs::Inputs;
use crate::{
    client::{Client, ClientError},
    exit::Misused,
};

#[derive(clap::Args)]
pub struct JobSpec {
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

    /// The version of the module; the present one unless it is given.
    #[arg(long, value_name = "VERSION")]
    module_version: Option<String>,

    /// A label that the worker must have; may be given several times.
    #[arg(long, value_name = "LABEL")]
    worker_label: Vec<String>,

    /// A label of the job, by which it is found, repeatedly.
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Label>,

    /// The release that the job is for, by which it is found.
    #[arg(long, value_name = "RELEASE")]
    release_id: Option<String>,

    /// Of the jobs with this key, few run at a time in the tenant.
    #[arg(long, value_name = "KEY")]
    concurrency_key: Option<String>,

    /// How many of them; 1 if not given.
    #[arg(long, value_name = "NUMBER", requires = "concurrency_key")]
    concurrency_limit: Option<u32>,
}

/// A label as it was typed; the server judges it.
#[derive(Debug, Clone)]
struct Label {
    name: String,
    value: String,
}

impl std::str::FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// As it is sent. What is not given is left out, and is the module's or the gateway's.
#[derive(Serialize)]
pub struct Body<'a> {
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<Concurrency<'a>>,
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

#[derive(Serialize)]
struct Concurrency<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

impl JobSpec {
    pub async fn body(&self, client: &Client) -> Result<Body<'_>> {
        let mut labels = BTreeMap::new();
        for Label { name, value } in &self.label {
            if labels.insert(name.as_str(), value.as_str()).is_some() {
                return Err(Misused(format!("the label {name} is given twice")).into());
            }
        }
        let Self { cpu, mem_mb, wall_time_s, gpu, concurrency_limit: limit, .. } = *self;
        let resources = Resources { cpu, mem_mb, wall_time_s, gpu };
        Ok(Body {
            module: &self.module,
            module_version: self.module_version.as_deref(),
            worker_labels: &self.worker_label,
            inputs: self.inputs.read(client).await?,
            requested_resources: Some(resources).filter(|asked| *asked != Resources::default()),
            priority: self.priority,
            labels,
            release_id: self.release_id.as_deref(),
            concurrency: self.concurrency_key.as_deref().map(|key| Concurrency { key, limit }),
        })
    }

    /// Tells why an input was not taken, where that may be how this program read it.
    pub fn with_hint(&self, error: ClientError) -> ClientError {
        self.inputs.with_hint(error)
    }
}
