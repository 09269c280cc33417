//! The modules that this executor runs: what the folder of manifests holds, less what this machine
//! cannot run.

use std::{
    collections::{BTreeMap, VecDeque},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nox_contract::ModuleName;

use crate::{
    begin_in::begin_in,
    manifest::{Builtin, FILE, Manifest, ManifestError, Run},
    offers::BYTES_MAX,
    sandbox::host::Host,
};

/// Most modules of before that are remembered, over all changes.
const FORMER_MAX: usize = 256;

/// The modules by name.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    by_name: BTreeMap<ModuleName, Arc<Module>>,
    /// Versions that admins registered, of those modules or of others.
    registered: BTreeMap<(ModuleName, String), Arc<Module>>,
    /// Those that were there before, the newest last: attempts of them may be on their way.
    former: VecDeque<Arc<Module>>,
    /// Bytes of all that is declared.
    bytes: usize,
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
    pub fn read(root: &Path, host: &Host) -> Result<Self, ManifestError> {
        let unreadable =
            |error| ManifestError::Unreadable { file: root.display().to_string(), error };
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
            modules.add(Manifest::read(&folder)?, &folder, host)?;
        }
        Ok(modules)
    }

    /// Reads one module's folder.
    ///
    /// # Errors
    /// Its manifest is wrong, or it cannot be run here.
    pub fn read_one(folder: &Path, host: &Host) -> Result<Module, ManifestError> {
        let manifest = Manifest::read(folder)?;
        match engine(&manifest, host) {
            Ok(engine) => Ok(Module { manifest, engine }),
            Err(reason) => {
                let file = folder.join(FILE).display().to_string();
                Err(ManifestError::Wrong { file, reason })
            }
        }
    }

    fn add(&mut self, manifest: Manifest, folder: &Path, host: &Host) -> Result<(), ManifestError> {
        let name = manifest.file.name.clone();
        if self.by_name.contains_key(&name) {
            return Err(ManifestError::Wrong {
                file: folder.join(FILE).display().to_string(),
                reason: format!("there is another module `{name}`"),
            });
        }
        match engine(&manifest, host) {
            Ok(engine) => {
                tracing::info!(module.name = %name, "Module can be run");
                self.bytes += bytes_of(&manifest.declared);
                self.by_name.insert(name, Arc::new(Module { manifest, engine }));
            }
            Err(reason) => {
                tracing::warn!(module.name = %name, reason, "Module is left out");
                self.left_out.push(LeftOut { name, reason });
            }
        }
        Ok(())
    }

    /// Adds a version that was registered, whose manifest is as `read` says, if it is to be taken. The folder has the
    /// last word on what this machine runs: a version that is in there is not replaced.
    pub fn add_registered(
        &mut self,
        declared: &nox_contract::Manifest,
        read: Result<Manifest, String>,
        host: &Host,
    ) {
        let (name, version) = (&declared.name, &declared.version);
        let own = self.by_name.get(name).filter(|own| own.manifest.declared.version == *version);
        let ready = match own {
            Some(own) if own.manifest.declared == *declared => return,
            Some(_) => {
                Err("another manifest of this version is in the folder of modules".to_owned())
            }
            None if self.bytes + bytes_of(declared) > BYTES_MAX => {
                Err(format!("all manifests together would have more than {BYTES_MAX} bytes"))
            }
            None => read.and_then(|manifest| {
                let engine = engine(&manifest, host)?;
                Ok(Module { manifest, engine })
            }),
        };
        match ready {
            Ok(module) => {
                self.bytes += bytes_of(declared);
                self.registered.insert((name.clone(), version.clone()), Arc::new(module));
            }
            Err(reason) => {
                let reason = format!("version {version}, which was registered: {reason}");
                self.left_out.push(LeftOut { name: name.clone(), reason });
            }
        }
    }

    /// Takes away what was registered; attempts of it may be on their way.
    pub fn forget_registered(&mut self) {
        let registered = std::mem::take(&mut self.registered);
        self.bytes = self.by_name.values().map(|of| bytes_of(&of.manifest.declared)).sum();
        self.remember(registered.into_values());
    }

    /// Bytes of what is declared.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, name: &ModuleName) -> Option<&Arc<Module>> {
        self.by_name.get(name)
    }

    /// A module of this version, one of before included.
    pub fn of_version(&self, name: &ModuleName, version: &str) -> Option<&Arc<Module>> {
        let is_it = |module: &&Arc<Module>| {
            module.manifest.file.name == *name && module.manifest.file.version == version
        };
        let own = self.by_name.get(name).filter(is_it);
        let registered = || self.registered.get(&(name.clone(), version.to_owned()));
        own.or_else(registered).or_else(|| self.former.iter().rev().find(is_it))
    }

    /// Takes the place of what there was, which is remembered for a while.
    pub fn replace(&mut self, modules: Self) {
        let before = std::mem::replace(self, modules);
        self.former = before.former;
        let replaced = |(name, module): &(ModuleName, Arc<Module>)| {
            let now = self.by_name.get(name);
            now.is_none_or(|now| now.manifest.file.version != module.manifest.file.version)
        };
        let replaced: Vec<_> = before.by_name.into_iter().filter(replaced).collect();
        let gone =
            before.registered.into_iter().filter(|(key, _)| !self.registered.contains_key(key));
        let gone: Vec<_> = gone.collect();
        self.remember(replaced.into_iter().map(|(_, module)| module));
        self.remember(gone.into_iter().map(|(_, module)| module));
    }

    fn remember(&mut self, modules: impl Iterator<Item = Arc<Module>>) {
        self.former.extend(modules);
        while self.former.len() > FORMER_MAX {
            self.former.pop_front();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.by_name.values().chain(self.registered.values())
    }

    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What a worker says of its modules.
    pub fn declared(&self) -> Vec<nox_contract::Manifest> {
        self.iter().map(|module| module.manifest.declared.clone()).collect()
    }
}

fn bytes_of(declared: &nox_contract::Manifest) -> usize {
    serde_json::to_vec(declared).map_or(0, |json| json.len())
}

/// Finds what does the work, or says why it cannot be done here.
fn engine(manifest: &Manifest, host: &Host) -> Result<Engine, String> {
    let program = match &manifest.file.run {
        Run::Builtin(builtin) => return Ok(Engine::Builtin(*builtin)),
        Run::Program(program) => program,
    };
    let level = manifest.file.sandbox;
    host.has(level).map_err(|reason| {
        format!("it asks for the sandbox level `{level}`, and is not run at a lower one: {reason}")
    })?;
    if let Some(variable) = &program.program_env
        && let Some(path) = env::var_os(variable).filter(|path| !path.is_empty())
    {
        let path = PathBuf::from(path);
        if !path.is_absolute() || !is_executable(&path) {
            return Err(format!("{variable} names no program: {}", path.display()));
        }
        return shown_engine(manifest, host, path);
    }
    let path = find_program(program.program.as_ref())
        .ok_or_else(|| format!("its program `{}` is not installed", program.program))?;
    shown_engine(manifest, host, path)
}

/// The program as an engine, if attempts may be shown what it needs.
fn shown_engine(manifest: &Manifest, host: &Host, program: PathBuf) -> Result<Engine, String> {
    begin_in(&manifest.file.run)?;
    host.shown(&manifest.file, &program)?;
    Ok(Engine::Program(program))
}

/// Where a program is: by its absolute path, or by its name in the folders of `PATH`.
pub fn find_program(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return Some(program.to_owned()).filter(|path| is_executable(path));
    }
    if program.components().count() != 1 || program.to_str().is_none_or(|name| name.contains('/')) {
        return None;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
