//! A module of one's own, from its skeleton to the folder that executors read.

use std::fs;

use crate::program::{noxctl, run};

#[test]
fn a_new_module_works_and_is_registered() {
    let temp = tempfile::tempdir().unwrap();
    let (folder, all) = (temp.path().join("count"), temp.path().join("modules"));
    fs::create_dir(&all).unwrap();
    let module = |args: &[&str]| {
        let mut command = noxctl();
        command.arg("module").args(args).env("NOX_MODULES", &all).current_dir(temp.path());
        run(command)
    };
    module(&["new", "count"]).with(0);
    assert!(module(&["new", "count"]).stderr.contains("is there already"));
    assert!(module(&["test", "count"]).with(0).contains("ok"));
    assert!(module(&["register", "count"]).stderr.contains("take it on within seconds"));
    assert!(all.join("count/examples/hello.json").is_file());
    assert_eq!(fs::read_dir(&all).unwrap().count(), 1, "nothing else is left there");
    assert!(module(&["register", "count"]).stderr.contains("--replace"));
    module(&["register", "count", "--replace"]).with(0);

    // What is wrong is told: an example, the manifest with its line, a failure that does not come.
    let example = folder.join("examples/hello.json");
    let text = fs::read_to_string(&example).unwrap();
    fs::write(&example, text.replace("\"value\": 5", "\"value\": 6")).unwrap();
    let told = module(&["test", "count"]);
    assert!(told.with(1).contains("bytes is 5, not 6 ± 0"));
    fs::write(&example, r#"{"inputs": {"text": 7}, "error": "input_invalid"}"#).unwrap();
    module(&["test", "count"]).with(0);
    let manifest = folder.join("module.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("cpu = 1", "cpu = 'one'")).unwrap();
    for command in ["test", "register"] {
        let told = module(&[command, "count"]);
        assert_eq!(told.status, 1, "{told:?}");
        assert!(
            told.stderr.contains("count/module.toml") && told.stderr.contains("line 13"),
            "{told:?}"
        );
    }
}

#[test]
fn the_examples_of_the_modules_that_nox_comes_with_are_right() {
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules");
    let mut names = vec!["xtb_hello"];
    if nox_devkit::tools::xtb().is_some() {
        names.push("xtb");
    }
    if std::path::Path::new("/usr/bin/python3").exists() {
        names.extend(["readnfo", "nfofix", "dirfix", "repack", "packaging"]);
    }
    for name in names {
        let mut command = noxctl();
        command.args(["module", "test", &format!("{modules}/{name}")]);
        run(command).with(0);
    }
}
