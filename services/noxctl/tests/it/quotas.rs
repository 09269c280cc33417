//! Limits and what is used of them, from the first word to the last, against a system.

use crate::dev::Dev;

#[test]
fn limits_are_looked_at_set_and_reset() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    // Before it is used, an account has nothing that could stay as it is.
    let unknown = dev.run(&["quota", "set", "dev", "--queued-jobs", "2", "--reason", "trial"]);
    assert_eq!(unknown.status, 3, "{unknown:?}");
    assert!(unknown.stderr.contains("name all limits"), "{unknown:?}");

    let job = dev.run(&["job", "submit", "noop", "--wall-time-s", "60"]).with(0);
    dev.run(&["job", "watch", job.trim()]).with(0);
    let own = dev.run(&["quota", "get"]).with(0);
    let before: Vec<_> = own.lines().map(|line| line.split('\t').collect::<Vec<_>>()).collect();
    assert!(before.iter().any(|row| row[0] == "cpu_seconds" && row[2] == "day"), "{own}");
    let mem_mb = before.iter().find(|row| row[0] == "mem_mb").unwrap()[1].to_owned();
    let usage = dev.run(&["quota", "usage"]).with(0);
    assert!(usage.lines().any(|line| line.starts_with("queued_jobs\t0\t")), "{usage}");

    let ledger = dev.run(&["quota", "ledger", "--json"]).json();
    assert_eq!((&ledger[0]["job_id"], &ledger[0]["reservation"]), (&job.trim().into(), &60.into()));
    let lines = dev.run(&["quota", "ledger"]).with(0);
    assert_eq!((lines.lines().count(), lines.matches('\t').count()), (1, 6), "{lines}");

    let set = ["quota", "set", "dev", "--cpu", "1", "--starts-per-minute", "unlimited"];
    let set = dev.run(&[&set[..], &["--reason", "a trial"]].concat());
    assert!(set.status == 0 && set.stderr.contains("the limits of dev set"), "{set:?}");
    let shown = dev.run(&["quota", "get", "dev", "--json"]).json();
    assert_eq!(shown["limits"]["cpu"], 1);
    assert_eq!(shown["limits"]["mem_mb"].to_string(), mem_mb);
    assert_eq!(shown["change"]["reason"], "a trial");
    let shown = dev.run(&["quota", "get", "dev"]).with(0);
    assert!(shown.contains("starts_per_minute\tunlimited") && shown.contains("a trial"), "{shown}");
    let listed = dev.run(&["quota", "list"]).with(0);
    assert!(listed.lines().any(|line| line.starts_with("user/dev\tuser\t")), "{listed}");

    // What does not fit is refused with a status of its own, and can be looked up.
    let refused = dev.run(&["job", "submit", "noop", "--cpu", "2"]);
    assert_eq!(refused.status, 7, "{refused:?}");
    let violations = dev.run(&["quota", "violations"]).with(0);
    assert!(violations.contains("request_too_large"), "{violations}");
    assert_eq!(dev.run(&["quota", "violations", "--json"]).json()[0]["limit"], 1);

    dev.run(&["quota", "reset", "dev", "--reason", "over"]).with(0);
    let shown = dev.run(&["quota", "get", "dev", "--json"]).json();
    assert!(shown["limits"]["cpu"].as_u64() > Some(1), "{shown}");
    assert_eq!(shown["change"]["reset"], true);

    let tenant = dev.run(&["quota", "get", "--tenant", "default", "--json"]).json();
    assert_eq!(tenant["account"], "tenant");
    let set = ["quota", "set", "--tenant", "default", "--drafts", "9", "--reason", "x", "--json"];
    assert_eq!(dev.run(&set).json()["account"], "tenant");
    for wrong in [
        &["quota", "set", "--drafts", "9", "--reason", "whose"][..],
        &["quota", "set", "dev", "--tenant", "default", "--reason", "both"],
        &["quota", "set", "dev", "--drafts", "9"],
        &["quota", "reset"],
    ] {
        assert_eq!(dev.run(wrong).status, 2, "{wrong:?}");
    }
}
