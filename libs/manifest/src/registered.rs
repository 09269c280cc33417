//! Manifests that an administrator registers. They stand by themselves, for no folder comes with them, and say nothing
//! of the machine that will run them: its files, its variables and its programs beyond `PATH` are its operator's.

use nox_contract::{COMMAND_MODULE, RawJson, Task, canonical::pointer_token};
use serde_path_to_error::{Path, Segment};

use crate::{Manifest, ManifestFile, Program, Run, SchemaSource, Wrong};

impl Manifest {
    /// Reads a manifest in its JSON form: the members of `module.toml`, with all that would lie beside it in it.
    ///
    /// # Errors
    /// Something is wrong with it, and where that is.
    pub fn registered(source: &RawJson) -> Result<Self, Wrong> {
        let mut json = serde_json::Deserializer::from_str(source.get());
        let file: ManifestFile = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let text = error.inner().to_string();
            // Lines and columns would be those of a text that nobody wrote.
            let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
            Wrong { pointer: pointer(error.path()), reason: reason.to_owned() }
        })?;
        check(&file)?;
        Self::checked(file)
    }
}

/// Refuses what a registered module may not have.
fn check(file: &ManifestFile) -> Result<(), Wrong> {
    let wrong = |pointer: String, reason: &str| Err(Wrong { pointer, reason: reason.to_owned() });
    let of_operator = "is for modules in an executor's own folder: what it names is its operator's";
    if file.name.as_str() == COMMAND_MODULE {
        return wrong("/name".to_owned(), "is the module of raw commands, which nobody registers");
    }
    if file.name == Task::module() {
        return wrong("/name".to_owned(), "stands for all tasks, which workers claim");
    }
    let of_version = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if !file.version.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !file.version.chars().all(of_version)
    {
        return wrong(
            "/version".to_owned(),
            "must be of letters, digits, `.`, `_`, `+` and `-`, and begin with a letter or digit",
        );
    }
    if file.title.contains(char::is_control) {
        return wrong("/title".to_owned(), "has control characters");
    }
    if !file.read.is_empty() {
        return wrong("/read".to_owned(), of_operator);
    }
    if let Run::Program(program) = &file.run {
        let Program { program, program_env, secret_env, folder_env, .. } = program;
        if program.contains('/') || matches!(&**program, "" | "." | "..") {
            return wrong(
                "/run/program".to_owned(),
                "must be a name that executors look up in their PATH",
            );
        }
        let of_executor = [
            ("program_env", program_env.is_some()),
            ("secret_env", !secret_env.is_empty()),
            ("folder_env", folder_env.is_some()),
        ];
        if let Some((member, _)) = of_executor.into_iter().find(|(_, is_there)| *is_there) {
            return wrong(format!("/run/{member}"), of_operator);
        }
    }
    let schemas = [
        ("input_schema", Some(&file.input_schema)),
        ("output_schema", file.output_schema.as_ref()),
    ];
    for (member, schema) in schemas {
        if let Some(SchemaSource::File(_)) = schema {
            return wrong(
                format!("/{member}"),
                "must be the schema itself: no files come with a registered module",
            );
        }
    }
    match file.write.iter().position(|write| write.file().is_some()) {
        Some(place) => wrong(
            format!("/write/{place}/file"),
            "must be the text itself, as `text`: no files come with a registered module",
        ),
        None => Ok(()),
    }
}

fn pointer(path: &Path) -> String {
    let tokens = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(pointer_token(key)),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    tokens.flat_map(|token| ["/".to_owned(), token]).collect()
}

#[cfg(test)]
mod tests;
