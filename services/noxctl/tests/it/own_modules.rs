//! A module of one's own, from its skeleton to the folder that executors read.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    dev::Dev,
    gateway::Gateway,
    program::{noxctl, run},
};

#[test]
fn a_new_module_works_and_is_installed() {
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
    assert!(module(&["install", "count"]).stderr.contains("take it on within seconds"));
    assert!(all.join("count/examples/hello.json").is_file());
    assert_eq!(fs::read_dir(&all).unwrap().count(), 1, "nothing else is left there");
    assert!(module(&["install", "count"]).stderr.contains("--replace"));
    module(&["install", "count", "--replace"]).with(0);

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
    for command in ["test", "install", "register"] {
        let told = module(&[command, "count"]);
        assert_eq!(told.status, 1, "{told:?}");
        assert!(
            told.stderr.contains("count/module.toml") && told.stderr.contains("line 13"),
            "{told:?}"
        );
    }
}

#[test]
fn a_path_where_nothing_is_is_named_once() {
    let temp = tempfile::tempdir().unwrap();
    let nothing = temp.path().join("nothing");
    for command in ["register", "test", "install"] {
        let mut words = noxctl();
        words.args(["module", command, nothing.to_str().unwrap()]);
        let told = run(words);
        assert_eq!(told.status, 1, "{told:?}");
        assert_eq!(told.stderr.matches("No such file").count(), 1, "{told:?}");
    }
}

#[test]
fn a_registration_that_nobody_has_decided_ends_as_any_change_that_is_pending() {
    let temp = tempfile::tempdir().unwrap();
    let mut new = noxctl();
    new.args(["module", "new", "count"]).current_dir(temp.path());
    run(new).with(0);
    let folder = temp.path().join("count");
    let path = folder.to_str().unwrap();
    for (status, pending, exit) in [(202, true, 8), (201, false, 0), (200, false, 0)] {
        let gateway = Gateway::start(move |_, _, _| {
            (status, json!({"name": "count", "version": "1.0.0", "pending": pending}))
        });
        for words in [&["module", "register", path][..], &["module", "register", path, "--json"]] {
            let told = run(gateway.command(words));
            assert_eq!(told.status, exit, "{told:?}");
        }
    }
}

#[test]
fn a_module_is_registered_with_what_lies_beside_its_manifest() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let folder = data.path().join("count");
    let module = |args: &[&str]| {
        let mut command = dev.command(&["module"]);
        command.args(args).current_dir(data.path());
        run(command)
    };
    module(&["new", "count"]).with(0);
    assert!(module(&["register", "count"]).stderr.contains("count 1.0.0 is registered"));
    let again = module(&["register", "count/module.toml"]);
    assert!(again.stderr.contains("was registered before"), "{again:?}");
    let shown = module(&["get", "count"]).with(0);
    assert!(shown.contains("maxLength") && shown.contains("registered"), "{shown}");

    // The same version with something else beside it.
    let schema = folder.join("inputs.json");
    let text = fs::read_to_string(&schema).unwrap();
    fs::write(&schema, text.replace("8000", "9000")).unwrap();
    let conflict = module(&["register", "count"]);
    assert!(conflict.status != 0 && conflict.stderr.contains("another manifest"), "{conflict:?}");
    // What is the operator's alone is refused before anything is sent.
    let manifest = folder.join("module.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("[run]", "[run]\nsecret_env = [\"HOME\"]")).unwrap();
    let refused = module(&["register", "count"]);
    assert!(refused.status == 1 && refused.stderr.contains("/run/secret_env"), "{refused:?}");
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

/// Bytes that are no text go into a job as base64, and what is long is uploaded first.
#[test]
fn an_nfo_of_any_bytes_is_uploaded_read_mended_and_packed() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        println!("skipped: python3 is not installed");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let line = b"\xb0\xb1\xb2\xdb Caf\x82 \xdb\xb2\xb1\xb0\r\n";
    let nfo = [b"Title: Caf\x82\r\n".as_slice(), &line.repeat(1_000)].concat();
    let file = data.path().join("nfo.b64");
    fs::write(&file, STANDARD.encode(&nfo)).unwrap();
    let nfo = format!("nfo_base64=@{}", file.display());

    let read = dev.run(&["job", "run", "readnfo", "-p", &nfo]).json();
    assert_eq!(read["scalars"]["metadata"]["title"], "Café", "{read}");
    assert_eq!(read["scalars"]["structure"]["lines"], 1_001);
    let id = dev.run(&["job", "list", "--limit", "1", "--json"]).json()[0]["id"].clone();
    let job = dev.run(&["job", "get", id.as_str().unwrap(), "--json"]).json();
    assert!(job["inputs"]["nfo_base64"]["$upload"].is_string(), "{job}");

    let mended = dev.run(&["job", "run", "nfofix", "-p", &nfo, "-p", "line_end=lf"]).json();
    assert_eq!(mended["scalars"]["changed"], true);
    assert_eq!(mended["scalars"]["changes"]["line_ends_changed"], 1_001);
    let files = r#"files=[{"name":"a b.txt","text":"x"}]"#;
    let words = ["job", "run", "packaging", "-p", "release=Some.Film-GRP", "-p", files];
    let packed = dev.run(&words).json();
    assert_eq!(packed["scalars"]["archive"]["name"], "Some.Film-GRP.zip");
    let wrong = dev.run(&["job", "run", "repack", "-p", "archive_base64=eA=="]);
    assert_eq!(wrong.status, 10, "{wrong:?}");
    assert!(wrong.stderr.contains("neither a zip nor a tar"), "{wrong:?}");
}
