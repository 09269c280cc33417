//! Lets the executor in this process find what is not installed but unpacked.

use std::{env, ffi::OsString, os::unix::process::CommandExt, process::Command};

use nox_devkit::tools;

use crate::terminal::note;

/// Where `modules/xtb` looks before it looks at PATH.
const XTB: &str = "NOX_XTB";

/// What else attempts may read: an engine's own folder, if it is not one of the system's.
const READ: &str = "NOX_SANDBOX_READ";

/// What the executor takes for bubblewrap.
const BWRAP: &str = "NOX_BWRAP";

/// Begins this process anew with the variables set that lead to what `make setup` has unpacked, where
/// PATH does not lead. An environment can only be changed safely before there are threads, so call this
/// first.
pub fn find() {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut found: Vec<(&str, OsString)> = Vec::new();
    if !is_set(XTB)
        && let Some(xtb) = tools::xtb()
        && let Some(folder) = xtb.unpacked
    {
        found.push((XTB, xtb.path.into()));
        if !is_set(READ) {
            found.push((READ, folder.into()));
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).any(|folder| folder.join("bwrap").is_file());
    if !is_set(BWRAP)
        && !on_path
        && let Some(bubblewrap) = tools::bubblewrap()
    {
        found.push((BWRAP, bubblewrap.into()));
    }
    if found.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    // It returns only if it fails; then what was found is what is missing.
    let error = Command::new(program).args(env::args_os().skip(1)).envs(found).exec();
    note!("noxctl: cannot begin anew with what was unpacked: {error}");
}
