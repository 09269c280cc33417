//! What a module is, as workers declare it and the log records it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ModuleName, RawJson, Resources};

/// The module that runs a line of shell: always isolated, and for those alone whom an operator names.
pub const COMMAND_MODULE: &str = "command";

/// The part of a module's manifest that everybody needs; how it is run stays with the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    pub name: ModuleName,
    pub version: String,
    #[serde(default)]
    pub title: String,
    /// JSON Schema (2020-12) of `inputs`.
    pub input_schema: RawJson,
    /// JSON Schema (2020-12) of `outputs.scalars`; `true` where the module promises none.
    pub output_schema: RawJson,
    /// What a job gets that asks for nothing.
    pub resources: Resources,
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Most attempts of this module at a time over all workers; unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_max: Option<u32>,
    /// Most attempts of this module that are handed out in a minute, spread evenly; unlimited if absent. At least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_per_minute: Option<u32>,
}

/// Largest manifest that is registered, in bytes of canonical JSON: the log, snapshots and every executor that takes
/// registered modules have it.
pub const REGISTERED_BYTES_MAX: usize = 64 * 1024;

/// A version of a module that an admin registered, as executors are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredModule {
    /// Counts all registrations of the log, from 1.
    pub number: u64,
    pub manifest: Manifest,
    /// The whole manifest, as canonical JSON: how it is run, too.
    pub source: RawJson,
}

/// When a failed attempt is followed by another, and what that is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryPolicy {
    /// Attempts that may fail by themselves before the job does; lost ones are not counted.
    pub attempts_max: u32,
    /// Wait before the second attempt, in milliseconds; doubled for each further one.
    pub backoff_ms: u64,
    /// Longest wait, in milliseconds.
    pub backoff_ms_max: u64,
    /// Codes of the failures that another attempt follows; where none is named, those of which the
    /// worker says that another attempt may go better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// What the next attempt is given more of: without it a failure of this kind would come again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raise: Vec<Raise>,
}

/// After a failure of one kind, the next attempt is given `factor` times as much of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Raise {
    /// The code of the failure: `oom`, `wall_time`, …
    pub after: String,
    pub resource: RaisedResource,
    /// At least 2.
    pub factor: u32,
    /// Never more than this, nor than the owner's largest request, budget, and largest worker allow. In the
    /// resource's unit.
    pub max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RaisedResource {
    MemMb,
    WallTimeS,
}

impl Default for RetryPolicy {
    /// One attempt: a command that failed once is presumed to fail again.
    fn default() -> Self {
        Self {
            attempts_max: 1,
            backoff_ms: 1_000,
            backoff_ms_max: 60_000,
            on: Vec::new(),
            raise: Vec::new(),
        }
    }
}
