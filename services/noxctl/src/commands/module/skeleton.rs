//! `noxctl module new` and `noxctl module install`: folders of modules.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use nox_contract::ModuleName;
use nox_executor::manifest::{FILE, Manifest};

use crate::{system::modules, terminal::note};

/// A module that works: it counts the bytes of a text.
const MANIFEST: &str = r#"# What each line means, and what else there is: modules/README.md
name = "@NAME@"
version = "1.0.0"
title = "Counts the bytes of a text"
sandbox = "process"
input_schema = "inputs.json"

[run]
program = "wc"
args = ["-c", "input.txt"]

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[[write]]
path = "input.txt"
template = "{inputs.text}"

[[keep]]
path = "input.txt"

[[result]]
name = "bytes"
type = "integer"
stream = "stdout"
pattern = '^\s*(?<value>\d+)'
"#;

const INPUTS: &str = r#"{
  "type": "object",
  "required": ["text"],
  "additionalProperties": false,
  "properties": {
    "text": { "description": "What is counted.", "type": "string", "maxLength": 8000 }
  }
}
"#;

const EXAMPLE: &str = r#"{
  "inputs": { "text": "hello" },
  "scalars": { "bytes": { "value": 5, "tolerance": 0 } }
}
"#;

/// Writes the folder of a new module.
pub fn write(folder: &Path, name: &ModuleName) -> Result<()> {
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    fs::create_dir_all(folder.join("examples"))?;
    fs::write(folder.join(FILE), MANIFEST.replace("@NAME@", name.as_str()))?;
    fs::write(folder.join("inputs.json"), INPUTS)?;
    fs::write(folder.join("examples/hello.json"), EXAMPLE)?;
    note!("{} has a module that works; try it: noxctl module test {0}", folder.display());
    Ok(())
}

/// Copies a module's folder among those that executors read.
pub fn install(folder: &Path, replace: bool) -> Result<()> {
    let manifest = Manifest::read(folder)?;
    let name = &manifest.file.name;
    let all = modules::folder()?;
    let place = all.join(name.as_str());
    if place.exists() && fs::canonicalize(&place)? == fs::canonicalize(folder)? {
        bail!("{} is where it is installed", folder.display());
    }
    if place.exists() && !replace {
        bail!("{} is there already: --replace puts this one in its place", place.display());
    }
    // Whole or not at all: an executor that looks meanwhile reads no half of it.
    let copy = tempfile::Builder::new().prefix(".install-").tempdir_in(&all);
    let copy = copy.with_context(|| format!("cannot write to {}", all.display()))?;
    let new = copy.path().join("new");
    copy_folder(folder, &new)?;
    if place.exists() {
        fs::rename(&place, copy.path().join("old"))?;
    }
    fs::rename(&new, &place)?;
    let version = &manifest.file.version;
    note!(
        "{name} {version} is in {}; executors take it on within seconds, and jobs keep the version that \
         they were submitted for",
        all.display()
    );
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target)?;
        } else {
            bail!("{} is neither a file nor a folder", path.display());
        }
    }
    Ok(())
}
