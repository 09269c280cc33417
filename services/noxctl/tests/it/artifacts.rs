//! Files into jobs and out of them.

use std::{fs, path::Path, time::Duration};

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

#[test]
fn what_nobody_can_see_any_more_is_pruned_and_what_jobs_need_stays() {
    const DAY: Duration = Duration::from_secs(86_400);
    let temp = tempfile::tempdir().unwrap();
    let own = temp.path().join("own");
    printing(&own, "files", "printf one > a");
    let manifest = own.join("files/module.toml");
    let keep = "\n[[keep]]\npath = 'a'\n";
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + keep).unwrap();
    let data = temp.path().join("data");
    let dev = Dev::start_with(&data, &[("NOX_MODULES", own.to_str().unwrap())]);
    let id = dev.run(&["job", "submit", "files"]).with(0).trim().to_owned();
    dev.run(&["job", "logs", &id, "--follow"]).with(0);

    // Of an attempt that was given up on; of one that may still go on; an upload that a job waits for, and
    // one that nobody needs.
    let store = data.join("artifacts");
    let attempts = store.join("default/dev").join(&id);
    let aged = |path: &Path, age: Duration| {
        let written = fs::metadata(path).unwrap().modified().unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(written - age).unwrap();
    };
    for (attempt, age) in [("2", 2 * DAY), ("3", Duration::ZERO)] {
        fs::create_dir(attempts.join(attempt)).unwrap();
        fs::write(attempts.join(attempt).join("a"), "left").unwrap();
        aged(&attempts.join(attempt).join("a"), age);
    }
    aged(&attempts.join("1/a"), 2 * DAY);
    let mut uploads = Vec::new();
    for text in ["needed", "not needed"] {
        let file = temp.path().join("text");
        fs::write(&file, text).unwrap();
        let told = dev.run(&["upload", file.to_str().unwrap(), "-o", "json"]).json();
        let path = store.join("=uploads/default/dev").join(told["sha256"].as_str().unwrap());
        let refers = json!({"$upload": told["id"], "sha256": told["sha256"]}).to_string();
        uploads.push((path, refers));
    }
    let param = format!("text={}", uploads[0].1);
    let waits = ["job", "submit", "files", "-p", &param, "--run-at", "2099-01-01T00:00:00Z"];
    let waiting = dev.run(&waits).with(0).trim().to_owned();
    dev.run(&["job", "get", &waiting]).with(0);
    uploads.iter().for_each(|(path, _)| aged(path, 9 * DAY));

    let would_go = dev.run(&["prune", "--dry-run"]).with(0);
    let mut lines: Vec<_> = would_go.lines().collect();
    lines.sort();
    assert_eq!(lines.len(), 2, "{would_go}");
    assert!(lines[0].starts_with("=uploads/default/dev/") && lines[0].ends_with("expired"));
    assert_eq!(lines[1], format!("default/dev/{id}/2/a\t4\tleft_behind"));
    assert!(uploads[1].0.exists() && attempts.join("2/a").exists(), "nothing has gone");

    dev.run(&["prune"]).with(0);
    assert!(!uploads[1].0.exists() && !attempts.join("2").exists());
    assert!(uploads[0].0.exists() && attempts.join("3/a").exists());
    assert_eq!(fs::read_to_string(attempts.join("1/a")).unwrap(), "one");
    assert_eq!(dev.run(&["prune"]).with(0), "");
    // When the job is over, its upload may go.
    dev.run(&["job", "cancel", &waiting]).with(0);
    assert!(dev.run(&["prune"]).with(0).ends_with("expired\n"));
    assert!(!uploads[0].0.exists());
}
