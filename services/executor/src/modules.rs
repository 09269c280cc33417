//! The modules that this executor runs: what the folder of manifests holds, less what this machine
//! cannot run.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nox_contract::ModuleName;

use crate::manifest::{Builtin, FILE, Manifest, ManifestError, Run, SandboxLevel};

/// The modules by name.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    by_name: BTreeMap<ModuleName, Arc<Module>>,
    left_out: Vec<LeftOut>,
}

/// A module that can be run here.
#[derive(Debug)]
pub struct Module {
    pub manifest: Manifest,
    pub engine: Engine,
}

/// What does the work of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    Builtin(Builtin),
    /// An executable file.
    Program(PathBuf),
}

/// A module that is not declared, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub name: ModuleName,
    pub reason: String,
}

impl Modules {
    /// Reads every folder in `root` that holds a manifest.
    ///
    /// # Errors
    /// A manifest that is wrong, two of one name, or an unreadable folder: the operator must know.
    /// What is right but cannot be run here is left out instead.
    pub fn read(root: &Path) -> Result<Self, ManifestError> {
        let unreadable =
            |source| ManifestError::Unreadable { file: root.display().to_string(), source };
        let mut folders = Vec::new();
        for entry in fs::read_dir(root).map_err(unreadable)? {
            let folder = entry.map_err(unreadable)?.path();
            if folder.join(FILE).exists() {
                folders.push(folder);
            }
        }
        folders.sort();
        let mut modules = Self::default();
        for folder in folders {
            modules.add(Manifest::read(&folder)?, &folder)?;
        }
        Ok(modules)
    }

    fn add(&mut self, manifest: Manifest, folder: &Path) -> Result<(), ManifestError> {
        let name = manifest.file.name.clone();
        if self.by_name.contains_key(&name) {
            return Err(ManifestError::Wrong {
                file: folder.join(FILE).display().to_string(),
                reason: format!("there is another module `{name}`"),
            });
        }
        match engine(&manifest) {
            Ok(engine) => {
                tracing::info!(module.name = %name, "Module can be run");
                self.by_name.insert(name, Arc::new(Module { manifest, engine }));
            }
            Err(reason) => {
                tracing::warn!(module.name = %name, reason, "Module is left out");
                self.left_out.push(LeftOut { name, reason });
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &ModuleName) -> Option<&Arc<Module>> {
        self.by_name.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.by_name.values()
    }

    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What a worker says of its modules.
    pub fn declared(&self) -> Vec<nox_contract::Manifest> {
        self.by_name.values().map(|module| module.manifest.declared.clone()).collect()
    }
}

/// Finds what does the work, or says why it cannot be done here.
fn engine(manifest: &Manifest) -> Result<Engine, String> {
    let program = match &manifest.file.run {
        Run::Builtin(builtin) => return Ok(Engine::Builtin(*builtin)),
        Run::Program(program) => program,
    };
    match manifest.file.sandbox {
        SandboxLevel::Process => {}
        SandboxLevel::Namespace => {
            return Err("it asks for the sandbox level `namespace`, which this executor does not \
                        have; it is not run at a lower one"
                .to_owned());
        }
    }
    if let Some(variable) = &program.program_env
        && let Some(path) = env::var_os(variable).filter(|path| !path.is_empty())
    {
        let path = PathBuf::from(path);
        return if path.is_absolute() && is_executable(&path) {
            Ok(Engine::Program(path))
        } else {
            Err(format!("{variable} names no program: {}", path.display()))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    find(&program.program, &path)
        .map(Engine::Program)
        .ok_or_else(|| format!("its program `{}` is not installed", program.program))
}

fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| is_executable(path));
    }
    if program.contains('/') {
        return None;
    }
    env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
