//! Commands as a user of the broker who may not do what they need.

use std::time::{Duration, Instant};

use nox_devkit::{NatsConfig, NatsOptions, NatsServer, Sync};

use crate::program::{noxctl, run};

/// Less than any question to the broker waits for its answer.
const TOLD_WITHIN: Duration = Duration::from_secs(4);

#[tokio::test]
async fn the_wrong_user_of_the_broker_is_named_at_once_with_what_it_may_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let options = NatsOptions {
        sync: Sync::Relaxed,
        config: Some(NatsConfig::production(|_| "secret".to_owned())),
        ..NatsOptions::new(folder.path().join("nats"))
    };
    let server = NatsServer::start(options).await.unwrap();
    for (user, command) in [("projector", "rebuild"), ("gateway", "rebuild"), ("executor", "lag")] {
        let url = format!("nats://{user}:secret@{}", server.address());
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
