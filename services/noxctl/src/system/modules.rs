//! Where the manifests of the modules are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The folder of modules, in a checkout and elsewhere.
const FOLDER: &str = "modules";

/// What each module's folder in it has.
const MANIFEST: &str = "module.toml";

/// What `NOX_MODULES` names, else the nearest folder `modules` above the current folder, else that
/// above this program, in whose checkout it was built.
pub fn folder() -> Result<PathBuf> {
    if let Some(named) = env::var_os("NOX_MODULES").filter(|named| !named.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let program = env::current_exe().unwrap_or_default();
    let places = [env::current_dir().unwrap_or_default(), program];
    let found = places.iter().find_map(|place| above(place));
    found.context("no folder `modules` here or above: set NOX_MODULES")
}

/// The same for a command that runs jobs of its own, of the modules `needed`.
pub fn folder_with(needed: &[&str]) -> Result<PathBuf> {
    let folder = folder()?;
    for name in needed {
        if !folder.join(name).join(MANIFEST).is_file() {
            bail!(
                "{} has no module {name}, which this command runs; set NOX_MODULES to the folder \
                 that Nox comes with",
                folder.display()
            );
        }
    }
    Ok(folder)
}

fn above(place: &Path) -> Option<PathBuf> {
    place.ancestors().map(|above| above.join(FOLDER)).find(|folder| holds_modules(folder))
}

fn holds_modules(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.path().join(MANIFEST).is_file())
}
