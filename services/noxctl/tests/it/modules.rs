//! Folders of modules other than the one that Nox comes with.

use std::{fs, path::Path};

use rustix::process::Signal;

use crate::{
    dev::Dev,
    program::{noxctl, run},
};

fn module(folder: &Path, name: &str) {
    printing(folder, name, "echo mine");
}

/// A module whose program is the line `script` of a shell.
pub fn printing(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder.join(name)).unwrap();
    let toml = format!(
        "name = '{name}'\nversion = '1'\nsandbox = 'process'\ninput_schema = {{}}\n\
         resources = {{ cpu = 1, mem_mb = 64, wall_time_s = 60 }}\n\
         run = {{ program = 'sh', args = ['-c', '''{script}'''] }}"
    );
    fs::write(folder.join(name).join("module.toml"), toml).unwrap();
}

#[test]
fn a_development_system_is_ready_whatever_modules_there_are() {
    let temp = tempfile::tempdir().unwrap();
    let own = temp.path().join("own");
    for name in ["", "mine"] {
        fs::create_dir_all(&own).unwrap();
        if !name.is_empty() {
            module(&own, name);
        }
        let mut dev =
            Dev::start_with(&temp.path().join("data"), &[("NOX_MODULES", own.to_str().unwrap())]);
        let listed = dev.run(&["module", "list", "-o", "jsonl"]).with(0);
        assert_eq!(listed.lines().count(), usize::from(!name.is_empty()), "{listed}");
        if !name.is_empty() {
            // At once: by the time that it is ready, its modules can be run.
            dev.run(&["job", "run", name]).with(0);
        }
        dev.signal(Signal::TERM);
        assert_eq!(dev.ended(), Some(0));
    }
}

#[test]
fn a_demonstration_without_its_modules_says_so_at_once() {
    let temp = tempfile::tempdir().unwrap();
    module(temp.path(), "mine");
    for command in ["demo", "bench"] {
        let mut words = noxctl();
        words.arg(command).env("NOX_MODULES", temp.path());
        let ended = run(words);
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.stderr.contains("has no module"), "{ended:?}");
        assert!(ended.stderr.contains("NOX_MODULES"), "{ended:?}");
    }
}
