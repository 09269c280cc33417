//! Manifests that an administrator registers. They stand by themselves, for no folder comes with them, and say nothing
//! of the machine that will run them: its files, its variables and its programs beyond `PATH` are its operator's.

use nox_contract::{COMMAND_MODULE, RawJson, Task, canonical::pointer_token};
use serde_path_to_error::{Path, Segment};

use crate::{AllWrong, Manifest, ManifestFile, Program, Run};

impl Manifest {
    /// Reads a manifest in its JSON form: the members of `module.toml`, with all that would lie beside it in it.
    ///
    /// # Errors
    /// All that is wrong with it, and where that is; what has another shape is told alone, for nothing behind it was read.
    pub fn registered(source: &RawJson) -> Result<Self, AllWrong> {
        let mut all = AllWrong::default();
        let mut json = serde_json::Deserializer::from_str(source.get());
        match serde_path_to_error::deserialize(&mut json) {
            Ok(file) => {
                check(&file, &mut all);
                Self::checked(file, all)
            }
            Err(error) => {
                let text = error.inner().to_string();
                // Lines and columns would be those of a text that nobody wrote.
                let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
                all.add(pointer(error.path()), reason);
                Err(all)
            }
        }
    }
}

/// Refuses what a registered module may not have.
fn check(file: &ManifestFile, all: &mut AllWrong) {
    let of_operator = "is for modules in an executor's own folder: what it names is its operator's";
    if file.name.as_str() == COMMAND_MODULE {
        all.add("/name", "is the module of raw commands, which nobody registers");
    }
    if file.name == Task::module() {
        all.add("/name", "stands for all tasks, which workers claim");
    }
    let of_version = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if !file.version.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !file.version.chars().all(of_version)
    {
        all.add(
            "/version",
            "must be of letters, digits, `.`, `_`, `+` and `-`, and begin with a letter or digit",
        );
    }
    if file.title.contains(char::is_control) {
        all.add("/title", "has control characters");
    }
    if !file.read.is_empty() {
        all.add("/read", of_operator);
    }
    if let Run::Program(program) = &file.run {
        let Program { program, program_env, secret_env, folder_env, .. } = program;
        if program.contains('/') || matches!(&**program, "" | "." | "..") {
            all.add("/run/program", "must be a name that executors look up in their PATH");
        }
        let of_executor = [
            ("program_env", program_env.is_some()),
            ("secret_env", !secret_env.is_empty()),
            ("folder_env", folder_env.is_some()),
        ];
        for (member, _) in of_executor.into_iter().filter(|(_, is_there)| *is_there) {
            all.add(format!("/run/{member}"), of_operator);
        }
    }
    for (place, write) in file.write.iter().enumerate() {
        if write.file().is_some() {
            all.add(
                format!("/write/{place}/file"),
                "must be the text itself, as `text`: no files come with a registered module",
            );
        }
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
