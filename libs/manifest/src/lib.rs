//! A module's manifest, `module.toml`: all that is needed to run an engine, without a line of Rust.
//!
//! Unknown keys are errors. What cannot be right is refused when the file is read, with its line.

mod condition;
mod level;
mod limits;
mod portable;
mod problem;
mod progress;
mod registered;
pub mod relative;
mod result;
mod retry;
mod run;
mod series;
pub mod template;
mod write;
mod wrong;

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use nox_contract::{COMMAND_MODULE, ModuleName, RawJson, Resources};
use nox_schema::{Exact, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

pub use condition::When;
pub use level::Level;
pub use limits::LimitsTable;
pub use portable::portable;
pub use problem::ProblemRule;
pub use progress::Progress;
pub use result::{GROUP, How, Kind, ResultRule, Source, Stream, Take};
pub use run::{Arg, Builtin, Program, Run};
pub use series::{Numbers, SeriesRule};
pub use write::Write;
pub use wrong::{AllWrong, Wrong};

use self::retry::RetryTable;
use crate::{
    relative::{Glob, RelativePath},
    template::Template,
};

/// The file's name in a module's folder.
pub const FILE: &str = "module.toml";

/// The largest size of a kept file where the manifest names none: 64 MiB.
const KEEP_BYTES_MAX: u64 = 64 << 20;

/// The longest version.
const VERSION_BYTES_MAX: usize = 64;

/// Seconds that a program is given to end by itself, where the manifest names none…
const STOP_GRACE_S: u32 = 2;

/// …and at most: whoever cancels a job or stops an executor waits for it.
const STOP_GRACE_S_MAX: u32 = 600;

/// Why a module's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("cannot read {file}: {error}")]
    Unreadable { file: String, error: std::io::Error },
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
    pub sandbox: Level,
    /// Whether attempts may use the machine's network.
    #[serde(default)]
    pub network: bool,
    /// What attempts may read beside the system, the program's folder and their own: absolute paths.
    #[serde(default)]
    pub read: Vec<PathBuf>,
    /// Most attempts at a time over all workers.
    pub running_max: Option<u32>,
    /// Most attempts that are handed out in a minute over all workers, spread evenly.
    pub starts_per_minute: Option<NonZeroU32>,
    /// Seconds between SIGTERM and SIGKILL where an attempt is ended before its time.
    #[serde(default = "stop_grace_s")]
    pub stop_grace_s: u32,
    /// JSON Schema (2020-12) of the inputs. Its `default`s are filled in before a run.
    input_schema: SchemaSource,
    /// JSON Schema of the scalars; made from the results' types where it is absent.
    output_schema: Option<SchemaSource>,
    resources: ResourcesTable,
    #[serde(default)]
    pub limits: LimitsTable,
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
    /// Lines that say how far it is.
    pub progress: Option<Progress>,
    /// Many numbers of one kind that are read from it.
    #[serde(default)]
    pub series: Vec<SeriesRule>,
    /// What its failures mean.
    #[serde(default)]
    pub problem: Vec<ProblemRule>,
}

impl ManifestFile {
    fn wants_molecule(&self) -> bool {
        let files = self.write.iter().filter_map(Write::template);
        let values = self.result.iter().filter_map(|rule| match &rule.how {
            How::Value(template) => Some(template),
            How::Pointer { .. } | How::Pattern { .. } => None,
        });
        files.chain(values).chain(self.run.templates()).any(Template::wants_molecule)
    }

    /// Whether any rule looks into the stream.
    pub fn wants(&self, stream: Stream) -> bool {
        self.result.iter().any(|rule| rule.wants(stream))
            || self.series.iter().any(|rule| rule.source.is(stream))
            || self.problem.iter().any(|rule| rule.wants(stream))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum SchemaSource {
    /// A file beside the manifest.
    File(RelativePath),
    /// What was in it.
    #[serde(skip)]
    Read(RawJson),
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

impl Keep {
    /// A file that is there.
    pub fn file(name: &str) -> Result<Self, String> {
        let path = Glob::try_from(name.to_owned())?;
        Ok(Self { path, required: true, bytes_max: keep_bytes_max() })
    }
}

fn yes() -> bool {
    true
}

fn stop_grace_s() -> u32 {
    STOP_GRACE_S
}

fn keep_bytes_max() -> u64 {
    KEEP_BYTES_MAX
}

/// A manifest with everything that it refers to.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub file: ManifestFile,
    /// Checks the inputs, and makes of them what the program gets.
    pub inputs: Arc<Schema>,
    /// What everybody else needs to know of it.
    pub declared: nox_contract::Manifest,
    /// Checks the scalars.
    pub outputs: Arc<Schema>,
}

impl Manifest {
    /// Reads `folder`/module.toml and what lies beside it.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(FILE);
        let name = path.display().to_string();
        let wrong = |reason: String| ManifestError::Wrong { file: name.clone(), reason };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ManifestError::Unreadable { file: name.clone(), error })?;
        // The message has the line, the column and the line's text.
        let mut file: ManifestFile =
            toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        for write in &mut file.write {
            write.read(folder).map_err(|reason| wrong(format!("`write`: {reason}")))?;
        }
        for schema in [Some(&mut file.input_schema), file.output_schema.as_mut()] {
            let Some(schema) = schema else { continue };
            schema.read(folder).map_err(wrong)?;
        }
        Self::checked(file, AllWrong::default()).map_err(|all| wrong(all.reasons()))
    }

    /// Checks a file of which all that lies beside it was read, and of which `all` is known to be wrong.
    fn checked(file: ManifestFile, mut all: AllWrong) -> Result<Self, AllWrong> {
        if file.version.is_empty() || file.version.len() > VERSION_BYTES_MAX {
            all.add("/version", format!("`version` must have 1 to {VERSION_BYTES_MAX} characters"));
        }
        let ResourcesTable { cpu, mem_mb, wall_time_s, gpu } = file.resources;
        if cpu == 0 || mem_mb == 0 || wall_time_s == 0 {
            all.add("/resources", "`resources` must be at least 1 each");
        }
        let retry = file.retry.policy().map_err(|reason| format!("`retry`: {reason}"));
        let retry = all.unless("/retry", retry);
        let is_command = file.name.as_str() == COMMAND_MODULE;
        if is_command && file.sandbox != Level::Isolated {
            let reason =
                format!("the module `{COMMAND_MODULE}` runs at the level `isolated` alone");
            all.add("/sandbox", reason);
        }
        if file.stop_grace_s > STOP_GRACE_S_MAX {
            all.add("/stop_grace_s", format!("`stop_grace_s` must be at most {STOP_GRACE_S_MAX}"));
        }
        all.unless("/limits", file.limits.check());
        for path in file.read.iter().filter(|path| !path.is_absolute()) {
            all.add("/read", format!("`read`: {} is no absolute path", path.display()));
        }
        let inputs = file.input_schema.compile();
        let inputs = all
            .unless("/input_schema", inputs.map_err(|reason| format!("`input_schema`: {reason}")));
        let has_molecule = inputs.as_ref().is_none_or(|(_, schema)| schema.has_molecule());
        if !has_molecule && file.wants_molecule() {
            all.add("/input_schema", "`{molecule.…}` needs `x-nox-molecule` in `input_schema`");
        }
        if !is_command && file.run.is_raw_shell() {
            let reason = "`run`: an input would be a part of what the shell is told; give it an argument of its \
                          own, which the shell has as \"$1\"";
            all.add("/run/args", reason);
        }
        let outputs = match &file.output_schema {
            Some(schema) => schema.compile(),
            None => SchemaSource::Inline(schema_of_results(&file.result)).compile(),
        };
        let outputs = all.unless(
            "/output_schema",
            outputs.map_err(|reason| format!("`output_schema`: {reason}")),
        );
        let (Some(retry), Some(inputs), Some(outputs), true) =
            (retry, inputs, outputs, all.is_empty())
        else {
            return Err(all);
        };
        let ((input_schema, inputs), (output_schema, outputs)) = (inputs, outputs);
        let declared = nox_contract::Manifest {
            name: file.name.clone(),
            version: file.version.clone(),
            title: file.title.clone(),
            input_schema,
            output_schema,
            resources: Resources { cpu, mem_mb, wall_time_s, gpu },
            retry,
            running_max: file.running_max,
            starts_per_minute: file.starts_per_minute.map(NonZeroU32::get),
        };
        Ok(Self { file, inputs: inputs.into(), declared, outputs: outputs.into() })
    }
}

impl SchemaSource {
    /// Reads it, where it lies in the module's folder.
    fn read(&mut self, folder: &Path) -> Result<(), String> {
        let Self::File(path) = self else { return Ok(()) };
        let text = std::fs::read_to_string(folder.join(path.as_str()))
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        let raw = RawJson::parse(text).map_err(|error| format!("{path}: {error}"))?;
        // Without blanks: everybody keeps it.
        let text = Exact::read(&raw).map_err(|error| format!("{path}: {error}"))?.to_string();
        *self = Self::Read(RawJson::parse(text).map_err(|error| format!("{path}: {error}"))?);
        Ok(())
    }

    /// Makes sure that it is a schema.
    fn compile(&self) -> Result<(RawJson, Schema), String> {
        let raw = match self {
            Self::Inline(schema) => RawJson::of(schema).map_err(|error| error.to_string())?,
            Self::Read(raw) => raw.clone(),
            Self::File(_) => {
                return Err("must be the schema itself: no files come with it".to_owned());
            }
        };
        let schema = Schema::compile(&raw)?;
        Ok((raw, schema))
    }
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
