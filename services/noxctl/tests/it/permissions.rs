//! Commands as a user of the broker who may not do what they need.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::program::{noxctl, run};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Less than any question to the broker waits for its answer.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A broker with the permissions of production. Dropping it kills it.
struct Production {
    process: Child,
    /// Address and port.
    host: String,
    folder: tempfile::TempDir,
}

impl Production {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("server.conf", include_str!("../../../../nats/server.conf")),
            ("permissions.conf", include_str!("../../../../nats/permissions.conf")),
            ("nox.conf", "include ./server.conf\ninclude ./permissions.conf\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut server = Command::new(nox_devkit::tools::nats_server().unwrap().path);
        for user in ["GATEWAY", "SCHEDULER", "EXECUTOR", "PROJECTOR", "OPERATOR"] {
            server.env(format!("NOX_NATS_{user}_PASSWORD"), "secret");
        }
        server
            .arg("-c")
            .arg(folder.path().join("nox.conf"))
            .arg("--ports_file_dir")
            .arg(folder.path())
            .env("NOX_NATS_LISTEN", "127.0.0.1:-1")
            .env("NOX_NATS_MONITOR", "127.0.0.1:-1")
            .env("NOX_NATS_STORE", format!("\"{}\"", folder.path().join("store").display()))
            .env("NOX_NATS_SYNC", "2m")
            .env("NOX_NATS_FILE_MAX", "1TB")
            .stderr(Stdio::null());
        let process = server.spawn().unwrap();
        let mut production = Self { process, host: String::new(), folder };
        let ports = format!("nats-server_{}.ports", production.process.id());
        let begun = Instant::now();
        loop {
            let text = fs::read(production.folder.path().join(&ports)).unwrap_or_default();
            let ports: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            if let Some(url) = ports["nats"][0].as_str() {
                production.host = url.trim_start_matches("nats://").to_owned();
                return production;
            }
            assert!(begun.elapsed() < READY_WITHIN, "the broker does not start");
            thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_wrong_user_of_the_broker_is_named_at_once_with_what_it_may_not_do() {
    let production = Production::start();
    for (user, command) in [("projector", "rebuild"), ("gateway", "rebuild"), ("executor", "lag")] {
        let url = format!("nats://{user}:secret@{}", production.host);
        let begun = Instant::now();
        let mut words = noxctl();
        words.args(["projection", command, "--nats-url", &url]);
        words.args(["--database-url", "postgres://127.0.0.1:9/nobody"]);
        let ended = run(words);
        assert_eq!(ended.status, 1, "{ended:?}");
        let told = format!("the broker's user \"{user}\" may not subscribe to \"_INBOX_noxctl.");
        assert!(ended.stderr.contains(&told), "{ended:?}");
        assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    }
}
