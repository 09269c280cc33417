//! Where the manifests of the modules are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The folder in a checkout, and what it is known by.
const FOLDER: &str = "modules";
const KNOWN_BY: &str = "modules/xtb_hello";

/// What `NOX_MODULES` names, else the folder of the checkout that this program is in: the one of the
/// current folder, or the one that the program was built in.
pub fn folder() -> Result<PathBuf> {
    if let Some(named) = env::var_os("NOX_MODULES").filter(|named| !named.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let program = env::current_exe().unwrap_or_default();
    let places = [env::current_dir().unwrap_or_default(), program];
    let found = places.iter().find_map(|place| above(place));
    found.context("no folder `modules` here or above: set NOX_MODULES")
}

fn above(place: &Path) -> Option<PathBuf> {
    let checkout = place.ancestors().find(|above| above.join(KNOWN_BY).is_dir())?;
    Some(checkout.join(FOLDER))
}
