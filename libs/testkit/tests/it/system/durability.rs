//! A broker that would lose what it acknowledged is refused at the start, by every service.

use std::time::Duration;

use nox_devkit::Sync;
use nox_testkit::system::{
    cluster::{Cluster, Options},
    service::Kind,
};

const ENDS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn services_that_want_strict_refuse_a_relaxed_broker() {
    let mut options = Options { sync: Sync::Relaxed, ..Options::default() };
    let kinds = [Kind::Gateway, Kind::Scheduler, Kind::Executor, Kind::Projector, Kind::Notifier];
    for kind in kinds {
        options = options.env(kind, "NOX_SYNC", "strict");
    }
    let mut cluster = Cluster::servers(options).await.unwrap();
    cluster.start_services().unwrap();
    for service in cluster.services() {
        let status = service.wait_ended(ENDS_WITHIN).await.unwrap();
        assert!(!status.success(), "{} ended well", service.name);
        let log = service.log();
        let clear = "acknowledged writes are not safe from a power cut";
        assert!(log.contains(clear), "{} does not say why:\n{log}", service.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaxed_broker_is_an_explicit_choice() {
    let options = Options { sync: Sync::Relaxed, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    let ready = client.get(0, "/readyz").await.unwrap();
    assert_eq!(ready.body["notes"]["durability"], "relaxed", "{}", ready.body);
}
