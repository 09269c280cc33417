//! Lets the executor in this process find engines that are not installed but unpacked.

use std::{env, os::unix::process::CommandExt, process::Command};

use nox_devkit::tools;

use crate::terminal::note;

/// Where `modules/xtb` looks before it looks at PATH.
const XTB: &str = "NOX_XTB";

/// Begins this process anew with `NOX_XTB` set, if `make setup` has unpacked xtb where PATH does not
/// lead. An environment can only be changed safely before there are threads, so call this first.
pub fn find() {
    if env::var_os(XTB).is_some_and(|path| !path.is_empty()) {
        return;
    }
    let Some(xtb) = tools::xtb().filter(|xtb| xtb.unpacked.is_some()) else { return };
    let Ok(program) = env::current_exe() else { return };
    // It returns only if it fails; then xtb's jobs are what is missing.
    let error = Command::new(program).args(env::args_os().skip(1)).env(XTB, xtb.path).exec();
    note!("noxctl: cannot begin anew with {XTB} set: {error}");
}
