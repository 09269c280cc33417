//! Files into jobs and out of them.

use std::fs;

use serde_json::json;

use crate::{dev::Dev, modules::printing};

#[test]
fn what_a_job_leaves_is_listed_and_downloaded_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let own = temp.path().join("own");
    let script = "mkdir sub; printf one > \"a#1\"; printf two > \"sub/two words.xyz\"; printf three > $(printf \"\\\\377\")";
    printing(&own, "files", script);
    let manifest = own.join("files/module.toml");
    let keep = "\n[[keep]]\npath = '*'\n[[keep]]\npath = 'sub/*'\n";
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + keep).unwrap();
    let echo = "name = 'echo'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 64, wall_time_s = 60 }\n\
                run = { program = 'wc', args = ['-c', 'in.txt'] }\n\
                [[write]]\npath = 'in.txt'\ntemplate = '{inputs.text}'\n\
                [[keep]]\npath = 'in.txt'\n";
    fs::create_dir_all(own.join("echo")).unwrap();
    fs::write(own.join("echo/module.toml"), echo).unwrap();
    let dev = Dev::start_with(&temp.path().join("data"), &[("NOX_MODULES", own.to_str().unwrap())]);

    let id = dev.run(&["job", "submit", "files"]).with(0).trim().to_owned();
    dev.run(&["job", "logs", &id, "--follow"]).with(0);
    let listed = dev.run(&["job", "artifacts", &id]).with(0);
    let names: Vec<_> = listed.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(names, ["a#1", "%FF", "sub/two words.xyz"], "{listed}");
    assert!(listed.contains("chemical/x-xyz"), "{listed}");
    let to = temp.path().join("to");
    let download = |words: &[&str]| {
        let mut all = vec!["job", "download", &id, "--to", to.to_str().unwrap()];
        all.extend(words);
        dev.run(&all)
    };
    download(&[]).with(0);
    for (name, text) in [("a#1", "one"), ("sub/two words.xyz", "two"), ("%FF", "three")] {
        assert_eq!(fs::read_to_string(to.join(name)).unwrap(), text);
    }
    // What is there is not replaced unasked.
    fs::write(to.join("a#1"), "mine").unwrap();
    let refused = download(&["a#1"]);
    assert!(refused.status == 1 && refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(fs::read_to_string(to.join("a#1")).unwrap(), "mine");
    download(&["a#1", "--force"]).with(0);
    assert_eq!(fs::read_to_string(to.join("a#1")).unwrap(), "one");
    assert_eq!(download(&["../canary"]).status, 3);

    // A text that is too large for inputs is uploaded first, and the program gets it.
    let large = temp.path().join("large.txt");
    fs::write(&large, "x".repeat(1_000_000)).unwrap();
    let param = format!("text=@{}", large.display());
    let id = dev.run(&["job", "submit", "echo", "-p", &param]).with(0).trim().to_owned();
    let printed = dev.run(&["job", "logs", &id, "--follow"]).with(0);
    assert_eq!(printed, "1000000 in.txt\n");
    let told = dev.run(&["job", "artifacts", &id, "-o", "json"]).json();
    assert_eq!(told["artifacts"][0]["size"], json!(1_000_000));
    let uploaded = dev.run(&["upload", large.to_str().unwrap(), "-o", "json"]).json();
    assert_eq!(uploaded["size"], json!(1_000_000));
}
