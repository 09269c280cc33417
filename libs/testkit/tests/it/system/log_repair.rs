//! A message in the log that is none of ours has a way out.

use std::time::Duration;

use nox_contract::subject;
use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options},
    service::Kind,
};

use super::{admitted, mark, noop};

const WITHIN: Duration = Duration::from_secs(60);

/// Runs `noxctl` as the broker's operator.
fn noxctl(cluster: &Cluster, args: &[&str]) -> (Option<i32>, String) {
    super::noxctl(args, &[("NOX_NATS_URL", &cluster.nats_url)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_message_in_the_log_stops_readers_by_its_number_and_is_repaired_away() {
    let options = Options::default().env(Kind::Scheduler, "NOX_SNAPSHOT_ENTRIES", "20").env(
        Kind::Scheduler,
        "NOX_SNAPSHOT_MS",
        "100",
    );
    let mut cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    let (before, _) = admitted(client.submit(0, &mark("before"), Some("the key")).await);
    client.submit_bulk(0, &vec![noop(); 30], Some("many")).await;
    cluster.settle(WITHIN).await.unwrap();
    let (status, said) = noxctl(&cluster, &["log", "repair"]);
    assert_eq!(status, Some(0), "nothing to repair: {said}");

    let broker = cluster.broker().await.unwrap();
    let foreign = r#"{"type":"io.nats.jetstream.api.v1.account_info_response"}"#;
    let foreign = broker.publish(subject::FRAMES.to_owned(), None, foreign.into());
    let foreign = foreign.await.unwrap().seq;
    // Acknowledged by the broker and never decided, for nobody can lead.
    client.submit(0, &mark("meanwhile"), Some("another key")).await;
    for service in [&mut cluster.schedulers[0], &mut cluster.projector] {
        assert!(!service.wait_ended(WITHIN).await.unwrap().success());
        let log = service.log();
        let clear = format!("undecodable message after frame {}", foreign - 1);
        assert!(log.contains(&clear), "{} does not say {clear}:\n{log}", service.name);
    }
    // Starting again helps nobody.
    cluster.schedulers[0].start().unwrap();
    assert!(!cluster.schedulers[0].wait_ended(WITHIN).await.unwrap().success());
    for service in cluster.services() {
        service.stop().await;
    }

    let (status, said) = noxctl(&cluster, &["log", "repair"]);
    assert_eq!(status, Some(1), "{said}");
    for words in
        [format!("{} messages are ours", foreign - 1), "--apply".into(), subject::EPOCH.into()]
    {
        assert!(said.contains(&words), "{said}");
    }
    let incarnation = broker.incarnation(subject::EVENTS).await.unwrap();
    let (status, said) = noxctl(&cluster, &["log", "repair", "--apply"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(broker.last_sequence(subject::EVENTS).await.unwrap(), foreign - 1);
    assert_eq!(broker.incarnation(subject::EVENTS).await.unwrap(), incarnation);
    assert!(broker.last_sequence("NOX_EVENTS_BACKUP").await.unwrap() > foreign);

    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let (again, _) = admitted(client.submit(0, &mark("before"), Some("the key")).await);
    assert_eq!(again, before);
    admitted(client.submit(0, &mark("after"), None).await);
    cluster.settle(WITHIN).await.unwrap();
    assert!(cluster.schedulers[0].log().contains("Leads"));
    check(&cluster.evidence().await.unwrap()).assert_clean();
    let (status, said) = noxctl(&cluster, &["log", "repair"]);
    assert_eq!(status, Some(0), "nothing to repair any more: {said}");
}
