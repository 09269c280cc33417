//! Schedules, from the first word to the last, against a system.

use nox_contract::Timestamp;

use crate::dev::Dev;

#[test]
fn a_schedule_is_made_looked_at_stopped_and_ended() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let ended = dev.run(&[
        "schedule",
        "create",
        "xtb_hello",
        "--name",
        "nightly",
        "--cron",
        "30 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--overlap",
        "queue",
        "-p",
        "text=hello",
        "--priority",
        "7",
    ]);
    let id = ended.with(0).trim().to_owned();

    let shown = dev.run(&["schedule", "get", &id, "--json"]).json();
    assert_eq!((&shown["name"], &shown["cron"]), (&"nightly".into(), &"30 2 * * *".into()));
    assert_eq!(
        (&shown["time_zone"], &shown["overlap"]),
        (&"Europe/Berlin".into(), &"queue".into())
    );
    assert_eq!(
        (&shown["job"]["module"], &shown["job"]["priority"]),
        (&"xtb_hello".into(), &7.into())
    );
    let listed = dev.run(&["schedule", "list"]).with(0);
    assert!(listed.starts_with(&format!("{id}\tnightly\tdev\t30 2 * * *\t")), "{listed:?}");
    assert!(dev.run(&["schedule", "get", &id]).with(0).contains("catch_up_s\t3600"));

    let next = dev.run(&["schedule", "next", &id, "--count", "3"]).with(0);
    let next: Vec<Timestamp> = next.lines().map(|at| at.parse().unwrap()).collect();
    assert!(next.len() == 3 && next.is_sorted(), "{next:?}");

    let told = dev.run(&["schedule", "pause", &id]);
    assert_eq!((told.status, &*told.stdout), (0, ""));
    assert!(told.stderr.contains("paused"), "{told:?}");
    let next = dev.run(&["schedule", "next", &id]);
    assert!(next.stderr.contains("is paused"), "{next:?}");
    assert_eq!(next.with(0), "");
    assert_eq!(dev.run(&["schedule", "resume", &id, "--json"]).json()["id"], *id);

    // What it submits is a job as any other.
    let job = dev.run(&["schedule", "trigger", &id]).with(0);
    dev.run(&["job", "watch", job.trim()]).with(0);
    assert_eq!(dev.run(&["job", "get", job.trim(), "--json"]).json()["priority"], 7);

    let replace =
        ["schedule", "replace", &id, "noop", "--name", "hourly", "--cron", "@hourly", "--json"];
    assert_eq!(dev.run(&replace).json()["id"], *id);
    let shown = dev.run(&["schedule", "get", &id, "--json"]).json();
    assert_eq!((&shown["name"], &shown["job"]["module"]), (&"hourly".into(), &"noop".into()));

    dev.run(&["schedule", "delete", &id]).with(0);
    assert_eq!(dev.run(&["schedule", "list", "--json"]).json(), serde_json::json!([]));
    for words in [&["schedule", "get", &id][..], &["schedule", "pause", &id]] {
        assert_eq!(dev.run(words).status, 3, "{words:?}");
    }
    let wrong = ["schedule", "create", "noop", "--name", "never", "--cron", "61 * * * *"];
    let wrong = dev.run(&wrong);
    assert_eq!(wrong.status, 1, "{wrong:?}");
    assert!(wrong.stderr.contains("/cron"), "{wrong:?}");
}
