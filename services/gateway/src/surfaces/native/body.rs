//! Bodies as they are described. Those of jobs are read member by member ([`super::request`]), so that all that is
//! wrong is named at once, and inputs are kept as they were written.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{JobId, ModuleName, Timestamp};
use schemars::{
    JsonSchema, Schema,
    transform::{RecursiveTransform, Transform},
};
use serde::Deserialize;
use serde_json::Value;

/// A job: exactly one of `module`, `engine` and `command`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = not_null)]
#[schemars(extend("oneOf" = [{"required": ["module"]}, {"required": ["engine"]}, {"required": ["command"]}]))]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct JobBody {
    module: Option<ModuleName>,
    /// The present one, if left out.
    module_version: Option<String>,
    /// `xtb`, `orca` or `gaussian`, whose `inputs` are a molecule and `params`.
    engine: Option<String>,
    /// What the engine is to compute.
    kind: Option<String>,
    /// A line of shell, run in isolation.
    #[schemars(length(min = 1, max = 2000))]
    command: Option<String>,
    /// As the module's input schema has it.
    inputs: Option<Value>,
    requested_resources: Option<ResourcesBody>,
    /// Labels that the worker must have.
    #[schemars(length(max = 16))]
    worker_labels: Option<BTreeSet<String>>,
    /// 0 (last) to 9 (first).
    #[schemars(range(min = 0, max = 9))]
    priority: Option<u8>,
    /// Not before this instant.
    run_at: Option<Timestamp>,
    /// Jobs that must succeed first.
    #[schemars(length(max = 100))]
    after: Option<Vec<JobId>>,
    labels: Option<Labels>,
    /// What it is made for, in your words; jobs are found by it.
    #[schemars(length(min = 1, max = 128))]
    release_id: Option<String>,
    concurrency: Option<ConcurrencyBody>,
    /// Keep it, and do not run it before `POST /jobs/{id}/submit`.
    draft: Option<bool>,
}

/// What jobs are found by: at most 16 texts of at most 256 bytes.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("maxProperties" = 16))]
#[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"}))]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct Labels(BTreeMap<String, LabelValue>);

/// No control characters.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
struct LabelValue(#[schemars(length(max = 256))] String);

/// While a job runs, no more than its `limit` of jobs with its `key` run in its tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = not_null)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
struct ConcurrencyBody {
    #[schemars(length(min = 1, max = 128))]
    key: String,
    /// 1, if left out.
    #[schemars(range(min = 1, max = 10000))]
    limit: Option<u32>,
}

/// What is another one of the new job; the rest is as the old one was.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = not_null)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct RetryBody {
    /// In place of all inputs.
    inputs: Option<Value>,
    /// Those that are named.
    requested_resources: Option<ResourcesBody>,
    /// In place of all labels.
    labels: Option<Labels>,
}

/// What is left out is the module's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = not_null)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct ResourcesBody {
    #[schemars(range(min = 1))]
    cpu: Option<u32>,
    #[schemars(range(min = 1))]
    mem_mb: Option<u32>,
    #[schemars(range(min = 1))]
    wall_time_s: Option<u32>,
    gpu: Option<u32>,
}

/// Many jobs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = not_null)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct BatchBody {
    #[schemars(length(min = 1, max = 900))]
    jobs: Vec<JobOrNot>,
    /// True, if left out: all are admitted or none. If false, each is judged by itself, and what is none is answered
    /// with its problem beside the answers to the others.
    atomic: Option<bool>,
}

/// A job, or something else.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
enum JobOrNot {
    Job(Box<JobBody>),
    NoJob(Value),
}

/// What is left out is left out: `null` is no value of a member.
fn not_null(schema: &mut Schema) {
    RecursiveTransform(|schema: &mut Schema| {
        let Some(schema) = schema.as_object_mut() else { return };
        if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
            kinds.retain(|kind| kind != "null");
            if let [kind] = kinds.as_slice() {
                schema["type"] = kind.clone();
            }
        }
        let Some(mut choices) = schema.remove("anyOf") else { return };
        if let Some(choices) = choices.as_array_mut() {
            choices.retain(|choice| choice["type"] != "null");
            if let [Value::Object(choice)] = choices.as_slice() {
                schema.extend(choice.clone());
                return;
            }
        }
        schema.insert("anyOf".to_owned(), choices);
    })
    .transform(schema);
}
