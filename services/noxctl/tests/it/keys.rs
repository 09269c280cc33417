//! API keys, from the first word to the last, against a system.

use std::{fs::File, process::Stdio, thread, time::Duration};

use crate::{
    dev::Dev,
    program::{Ended, noxctl, run},
};

/// For so long a gateway may take a key that was revoked, and some more.
const REVOKED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// `noxctl` that asks `dev` with this token.
fn with_token(dev: &Dev, token: &str, words: &[&str]) -> Ended {
    let mut command = noxctl();
    command.args(words).env("NOX_URL", dev.url()).env("NOX_TOKEN", token);
    run(command)
}

#[test]
fn a_key_is_made_told_once_used_and_revoked() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let made = dev.run(&["key", "create", "for ci", "--scope", "compute:read"]);
    assert!(made.stderr.contains("is not told again"), "{made:?}");
    let secret = made.with(0).trim().to_owned();
    assert!(secret.starts_with("nox_"), "{secret}");

    let me = with_token(&dev, &secret, &["me", "--json"]).json();
    assert_eq!((&me["user_id"], &me["role"]), (&"dev".into(), &"user".into()));
    assert_eq!(
        with_token(&dev, &secret, &["me"]).with(0),
        "user\tdev\ntenant\tdefault\nrole\tuser\n"
    );
    with_token(&dev, &secret, &["job", "list"]).with(0);
    // It may look and do nothing; a key never looks after keys.
    assert_eq!(with_token(&dev, &secret, &["job", "submit", "noop"]).status, 4);
    assert_eq!(with_token(&dev, &secret, &["key", "list"]).status, 4);

    let listed = dev.run(&["key", "list", "--json"]).json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed[0]["name"], "for ci");
    let rows = dev.run(&["key", "list"]).with(0);
    assert!(rows.starts_with(&format!("{id}\tfor ci\tdev\tuser\tcompute:read\tdev\t")), "{rows:?}");
    assert!(!rows.contains(&secret) && !listed.to_string().contains(&secret));

    // A secret that nobody could read is lost, and its key is named to be revoked.
    let mut unread = dev.command(&["key", "create", "unread"]);
    unread.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let unread: Ended = unread.spawn().unwrap().wait_with_output().unwrap().into();
    assert_eq!(unread.status, 1, "{unread:?}");
    let newest = dev.run(&["key", "list", "--json"]).json();
    let lost = newest.as_array().unwrap().iter().find(|key| key["name"] == "unread").unwrap();
    let said = format!("{} is made, and its secret lost", lost["id"].as_str().unwrap());
    assert!(unread.stderr.contains(&said), "{unread:?}");

    let more = dev.run(&["key", "create", "too much", "--role", "admin"]);
    assert!(more.status == 1 && more.stderr.contains("/role"), "{more:?}");

    let told = dev.run(&["key", "revoke", &id, "--json"]);
    assert_eq!((told.status, &*told.stdout), (0, ""), "{told:?}");
    let tries = REVOKED_WITHIN.as_millis() / LOOK_AGAIN.as_millis();
    let refused = (0..tries).any(|_| {
        thread::sleep(LOOK_AGAIN);
        with_token(&dev, &secret, &["me"]).status == 4
    });
    assert!(refused);
    assert_eq!(dev.run(&["key", "revoke", &id]).status, 3);
}
