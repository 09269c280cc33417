//! A module's manifest, `module.toml`: all that is needed to run an engine, without a line of Rust.
//!
//! Unknown keys are errors. What cannot be right is refused when the file is read, with its line.

use std::{collections::BTreeMap, fmt, path::Path};

use nox_contract::{ModuleName, RawJson, Resources, RetryPolicy};
use regex::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, json};

use crate::{
    relative::{Glob, RelativePath},
    template::{InputPath, Template},
};

/// The file's name in a module's folder.
pub const FILE: &str = "module.toml";

/// The largest size of a kept file where the manifest names none: 64 MiB.
const KEEP_BYTES_MAX: u64 = 64 << 20;

/// The name that a regular expression's group must have.
pub const GROUP: &str = "value";

/// Why a module's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("cannot read {file}: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{file}: {reason}")]
    Wrong { file: String, reason: String },
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    pub name: ModuleName,
    pub version: String,
    #[serde(default)]
    pub title: String,
    pub sandbox: SandboxLevel,
    /// Most attempts at a time over all workers.
    pub running_max: Option<u32>,
    /// JSON Schema (2020-12) of the inputs. Its `default`s are filled in before a run.
    input_schema: SchemaSource,
    /// JSON Schema of the scalars; made from the results' types where it is absent.
    output_schema: Option<SchemaSource>,
    resources: ResourcesTable,
    #[serde(default)]
    retry: RetryTable,
    pub run: Run,
    /// Files that are written before the program runs.
    #[serde(default)]
    pub write: Vec<Write>,
    /// Files that are kept after it has ended well.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// Values that are read from what it wrote.
    #[serde(default)]
    pub result: Vec<ResultRule>,
}

/// How far an attempt is shut in. An executor never runs a lower level than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxLevel {
    /// Its own session under a supervisor, a clean environment, a private folder, limits, no new
    /// privileges. It sees the machine's files and network as the executor's user does.
    Process,
    /// Its own namespaces: only its folder, no network.
    Namespace,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum SchemaSource {
    /// A file beside the manifest.
    File(RelativePath),
    Inline(serde_json::Map<String, Value>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourcesTable {
    cpu: u32,
    mem_mb: u32,
    wall_time_s: u32,
    #[serde(default)]
    gpu: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryTable {
    attempts_max: u32,
    backoff_ms: u64,
    backoff_ms_max: u64,
}

impl Default for RetryTable {
    fn default() -> Self {
        let RetryPolicy { attempts_max, backoff_ms, backoff_ms_max } = RetryPolicy::default();
        Self { attempts_max, backoff_ms, backoff_ms_max }
    }
}

/// What is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RunTable")]
pub enum Run {
    Builtin(Builtin),
    Program(Program),
}

/// What the executor does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// Nothing; for measurements and tests.
    Noop,
}

/// A program and its command line.
#[derive(Debug, Clone)]
pub struct Program {
    /// A name that is looked up in `PATH`, or an absolute path.
    pub program: String,
    /// The environment variable of the executor that names another program instead.
    pub program_env: Option<String>,
    pub args: Vec<Arg>,
    pub env: BTreeMap<String, String>,
    pub success_exit_codes: Vec<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTable {
    builtin: Option<Builtin>,
    program: Option<String>,
    program_env: Option<String>,
    #[serde(default)]
    args: Vec<Arg>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default = "only_zero")]
    success_exit_codes: Vec<i32>,
}

fn only_zero() -> Vec<i32> {
    vec![0]
}

impl TryFrom<RunTable> for Run {
    type Error = String;

    fn try_from(table: RunTable) -> Result<Self, String> {
        let RunTable { builtin, program, program_env, args, env, success_exit_codes } = table;
        match (builtin, program) {
            (Some(builtin), None) if args.is_empty() && env.is_empty() => {
                Ok(Self::Builtin(builtin))
            }
            (Some(_), None) => Err("a builtin has neither `args` nor `env`".to_owned()),
            (None, Some(program)) if !program.is_empty() => {
                if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains('=')) {
                    return Err(format!("`{name}` is no name of an environment variable"));
                }
                Ok(Self::Program(Program { program, program_env, args, env, success_exit_codes }))
            }
            _ => Err("`run` needs either `program` or `builtin`".to_owned()),
        }
    }
}

/// An argument, or several that are there only if an input is.
#[derive(Debug, Clone)]
pub struct Arg {
    pub when: Option<InputPath>,
    pub templates: Vec<Template>,
}

impl<'de> Deserialize<'de> for Arg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArgVisitor;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct When {
            when: InputPath,
            args: Vec<Template>,
        }

        impl<'de> Visitor<'de> for ArgVisitor {
            type Value = Arg;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table with `when` and `args`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Arg, E> {
                let template = Template::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Arg { when: None, templates: vec![template] })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Arg, M::Error> {
                let When { when, args } = When::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Arg { when: Some(when), templates: args })
            }
        }

        deserializer.deserialize_any(ArgVisitor)
    }
}

/// A file to write beneath the work directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    pub path: RelativePath,
    pub template: Template,
}

/// A file to keep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    pub path: Glob,
    /// Without it the attempt has failed.
    #[serde(default = "yes")]
    pub required: bool,
    /// A larger one fails the attempt.
    #[serde(default = "keep_bytes_max")]
    pub bytes_max: u64,
}

fn yes() -> bool {
    true
}

fn keep_bytes_max() -> u64 {
    KEEP_BYTES_MAX
}

/// How one scalar is found. Where several rules have a name, the first whose `when` holds counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "ResultTable")]
pub struct ResultRule {
    pub name: String,
    pub kind: Kind,
    pub source: Source,
    pub how: How,
    /// Without it the attempt has failed.
    pub required: bool,
    pub when: Option<InputPath>,
    /// Multiplies a number.
    pub scale: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Number,
    Integer,
    String,
    Boolean,
    /// Any JSON value.
    Json,
}

/// Where a scalar is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(RelativePath),
    Stream(Stream),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How a scalar is told from what stands around it.
#[derive(Debug, Clone)]
pub enum How {
    /// RFC 6901; of a vector of numbers its length, if so asked.
    Pointer { pointer: String, norm: bool },
    /// The group `value` of the first match, or of the last.
    Pattern { pattern: Regex, last: bool },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultTable {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    file: Option<RelativePath>,
    stream: Option<Stream>,
    pointer: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    take: Take,
    #[serde(default)]
    norm: bool,
    scale: Option<f64>,
    #[serde(default = "yes")]
    required: bool,
    when: Option<InputPath>,
}

#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Take {
    First,
    #[default]
    Last,
}

impl TryFrom<ResultTable> for ResultRule {
    type Error = String;

    fn try_from(table: ResultTable) -> Result<Self, String> {
        let ResultTable { name, kind, file, stream, pointer, pattern, .. } = table;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(format!(
                "a result's name is 1 to 64 letters, digits and '_', not `{name}`"
            ));
        }
        let source = match (file, stream) {
            (Some(file), None) => Source::File(file),
            (None, Some(stream)) => Source::Stream(stream),
            _ => return Err(format!("result `{name}` needs either `file` or `stream`")),
        };
        let how = match (pointer, pattern) {
            (Some(pointer), None) if pointer.is_empty() || pointer.starts_with('/') => {
                How::Pointer { pointer, norm: table.norm }
            }
            (Some(pointer), None) => {
                return Err(format!("`{pointer}` is no JSON pointer: it must begin with '/'"));
            }
            (None, Some(pattern)) => {
                let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
                if !pattern.capture_names().flatten().any(|group| group == GROUP) {
                    return Err(format!("the pattern of `{name}` has no group `(?<{GROUP}>…)`"));
                }
                if table.norm || kind == Kind::Json {
                    return Err(format!("the pattern of `{name}` finds neither vectors nor JSON"));
                }
                How::Pattern { pattern, last: table.take == Take::Last }
            }
            _ => return Err(format!("result `{name}` needs either `pointer` or `pattern`")),
        };
        if (table.scale.is_some() || table.norm) && kind != Kind::Number {
            return Err(format!("only a number has `scale` or `norm`, and `{name}` is none"));
        }
        let (required, when, scale) = (table.required, table.when, table.scale);
        Ok(Self { name, kind, source, how, required, when, scale })
    }
}

/// A manifest with everything that it refers to.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub file: ManifestFile,
    pub input_schema: Value,
    /// What everybody else needs to know of it.
    pub declared: nox_contract::Manifest,
    /// Checks the scalars.
    pub outputs: std::sync::Arc<jsonschema::Validator>,
}

impl Manifest {
    /// Reads `folder`/module.toml and what lies beside it.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(FILE);
        let name = path.display().to_string();
        let wrong = |reason: String| ManifestError::Wrong { file: name.clone(), reason };
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ManifestError::Unreadable { file: name.clone(), source })?;
        // The message has the line, the column and the line's text.
        let file: ManifestFile = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if file.version.is_empty() || file.version.len() > 64 {
            return Err(wrong("`version` must have 1 to 64 characters".to_owned()));
        }
        let ResourcesTable { cpu, mem_mb, wall_time_s, gpu } = file.resources;
        if cpu == 0 || mem_mb == 0 || wall_time_s == 0 {
            return Err(wrong("`resources` must be at least 1 each".to_owned()));
        }
        if file.retry.attempts_max == 0 {
            return Err(wrong("`retry.attempts_max` must be at least 1".to_owned()));
        }
        let (input_schema, _) = schema(folder, &file.input_schema)
            .map_err(|reason| wrong(format!("`input_schema`: {reason}")))?;
        let output_schema = file
            .output_schema
            .clone()
            .unwrap_or_else(|| SchemaSource::Inline(schema_of_results(&file.result)));
        let (output_schema, outputs) = schema(folder, &output_schema)
            .map_err(|reason| wrong(format!("`output_schema`: {reason}")))?;
        let raw = |schema: &Value| RawJson::of(schema).map_err(|error| wrong(error.to_string()));
        let RetryTable { attempts_max, backoff_ms, backoff_ms_max } = file.retry;
        let declared = nox_contract::Manifest {
            name: file.name.clone(),
            version: file.version.clone(),
            title: file.title.clone(),
            input_schema: raw(&input_schema)?,
            output_schema: raw(&output_schema)?,
            resources: Resources { cpu, mem_mb, wall_time_s, gpu },
            retry: RetryPolicy { attempts_max, backoff_ms, backoff_ms_max },
            running_max: file.running_max,
        };
        Ok(Self { file, input_schema, declared, outputs: outputs.into() })
    }
}

/// Reads a schema and makes sure that it is one.
fn schema(folder: &Path, source: &SchemaSource) -> Result<(Value, jsonschema::Validator), String> {
    let schema = match source {
        SchemaSource::Inline(schema) => Value::Object(schema.clone()),
        SchemaSource::File(path) => {
            let text = std::fs::read_to_string(folder.join(path.as_str()))
                .map_err(|error| format!("cannot read {path}: {error}"))?;
            serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?
        }
    };
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
    Ok((schema, validator))
}

/// What the rules promise by themselves.
fn schema_of_results(rules: &[ResultRule]) -> serde_json::Map<String, Value> {
    let mut properties = serde_json::Map::new();
    for rule in rules {
        // A value that could not be stored is replaced by null.
        let kind = match rule.kind {
            Kind::Number => json!({"type": ["number", "null"]}),
            Kind::Integer => json!({"type": ["integer", "null"]}),
            Kind::String => json!({"type": ["string", "null"]}),
            Kind::Boolean => json!({"type": ["boolean", "null"]}),
            Kind::Json => json!({}),
        };
        properties.insert(rule.name.clone(), kind);
    }
    let mut schema = serde_json::Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema
}
