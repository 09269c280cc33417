//! Workers, drafts and versions, against a system.

use serde_json::json;

use crate::dev::Dev;

#[test]
fn a_worker_is_looked_at_drained_and_put_back() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let listed = dev.run(&["worker", "list", "--json"]).json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed[0]["state"], "joined");
    let rows = dev.run(&["worker", "list"]).with(0);
    assert!(rows.starts_with(&format!("{id}\tjoined\t0\t")) && rows.contains("noop"), "{rows:?}");

    let told = dev.run(&["worker", "drain", &id]);
    assert!(told.status == 0 && told.stderr.contains("drained"), "{told:?}");
    let rows = dev.run(&["worker", "list", "--state", "drained"]).with(0);
    assert!(rows.starts_with(&format!("{id}\tdrained\t")), "{rows:?}");
    assert_eq!(dev.run(&["worker", "list", "--state", "joined"]).with(0), "");
    let shown = dev.run(&["worker", "get", &id]).with(0);
    assert!(shown.contains("drained by\tadmin"), "{shown}");
    let told = dev.run(&["worker", "undrain", &id, "--json"]).json();
    assert_eq!((&told["worker_id"], &told["drained"]), (&json!(id), &json!(false)));
    assert_eq!(dev.run(&["worker", "drain", "nobody"]).status, 3);
    assert_eq!(dev.run(&["worker", "list", "--state", "asleep"]).status, 1);

    let versions = dev.run(&["module", "versions", "noop"]).with(0);
    assert!(versions.lines().next().unwrap().contains("\tpresent\t"), "{versions}");
    let versions = dev.run(&["module", "versions", "noop", "--json"]).json();
    assert_eq!(versions["versions"][0]["present"], true);
    assert_eq!(dev.run(&["module", "versions", "nothing"]).status, 3);
}

#[test]
fn a_job_is_submitted_with_all_that_it_is_found_and_held_by_and_a_draft_later() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let words = ["job", "submit", "noop", "--draft", "--release-id", "2026.11", "--label", "a=b=c"];
    let held = ["--label", "team=quantum", "--concurrency-key", "db", "--concurrency-limit", "2"];
    let id = dev.run(&[&words[..], &held].concat()).with(0);
    let job = dev.run(&["job", "get", id.trim(), "--json"]).json();
    assert_eq!(job["state"], "draft");
    assert_eq!(job["labels"], json!({"a": "b=c", "team": "quantum"}));
    assert_eq!(job["release_id"], "2026.11");
    assert_eq!(job["concurrency"], json!({"key": "db", "limit": 2}));

    let found = dev.run(&["job", "list", "--filter", "label=team=quantum"]).with(0);
    assert!(found.starts_with(id.trim()), "{found:?}");
    assert_eq!(dev.run(&["job", "submit-draft", id.trim()]).with(0), id);
    dev.run(&["job", "watch", id.trim()]).with(0);
    assert_eq!(dev.run(&["job", "submit-draft", id.trim()]).status, 6);
    assert_eq!(dev.run(&["job", "submit", "noop", "--label=-=b"]).status, 1);
    for wrong in [
        &["job", "submit", "noop", "--label", "a=b", "--label", "a=c"][..],
        &["job", "submit", "noop", "--label", "a"],
        &["job", "submit", "noop", "--concurrency-limit", "2"],
        &["job", "run", "noop", "--draft"],
    ] {
        assert_eq!(dev.run(wrong).status, 2, "{wrong:?}");
    }
}
