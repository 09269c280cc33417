//! A broker whose disk is full: it is said everywhere, and what there is to do; nothing is admitted
//! before it comes to that.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options, until},
};

use super::{admitted, mark, noop};

const WITHIN: Duration = Duration::from_secs(60);
const DISK_BYTES: usize = 64 << 20;
/// What is left when the disk is nearly full: 8 %.
const NEARLY: usize = 5 << 20;

/// A small disk of the test's own.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// `None`, with the reason said, where this user may mount nothing.
    pub(super) fn mount(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"])
            .arg(folder)
            .output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        let must = is_root && std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "CI must be able to mount a disk: {mounted:?}");
        eprintln!("skipped: no disk can be mounted here: {mounted:?}");
        None
    }

    /// Leaves `free` bytes.
    pub(super) fn fill(&self, free: usize) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let block = vec![0; 64 << 10];
        while self.free() > free && ballast.write_all(&block).is_ok() {}
    }

    fn free(&self) -> usize {
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }

    pub(super) fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while the server still has files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_broker_is_said_by_everybody_and_a_restart_with_room_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path()) else { return };
    let data = folder.path().join("nats");
    let options = Options { nats_data: Some(data), ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    admitted(client.submit(0, &mark("before"), None).await);
    cluster.settle(WITHIN).await.unwrap();

    disk.fill(NEARLY);
    admission(&cluster, "closed: the broker's disk").await;
    let refused = client.post(0, "/jobs", &noop()).await.unwrap();
    assert_eq!(refused.status.as_u16(), 507, "{refused:?}");
    assert!(refused.body["detail"].as_str().unwrap().contains("the broker's disk"), "{refused:?}");
    for service in cluster.services() {
        assert!(service.readyz().await.unwrap().0, "{} is well until it is full", service.name);
    }

    disk.fill(0);
    let broker = cluster.broker().await.unwrap();
    broker
        .publish("nox.cmd.default".to_owned(), None, vec![b'x'; 300 << 10].into())
        .await
        .unwrap_err();
    for (service, metric) in cluster.services().zip([
        "nox_scheduler_broker_unwell",
        "nox_executor_broker_unwell",
        "nox_projection_broker_unwell",
        "nox_feed_broker_unwell",
        "nox_gateway_broker_unwell",
    ]) {
        let said = until(WITHIN, "a service to say so", async || {
            Ok(service.readyz().await.filter(|(ready, _)| !ready).map(|(_, said)| said))
        });
        let said = said.await.unwrap();
        for words in ["the broker's disk is full", "no space left", "restart nats-server"] {
            assert!(said.contains(words), "{}: {said}", service.name);
        }
        assert_eq!(service.metric(metric).await, Some(1.0));
        let log = service.log();
        assert_eq!(log.matches("the broker's disk is full").count(), 1, "{log}");
    }

    // Room alone does not help, and that is said as well.
    disk.make_room();
    tokio::time::sleep(Duration::from_secs(3)).await;
    broker.publish("nox.cmd.default".to_owned(), None, "x".into()).await.unwrap_err();
    assert!(!cluster.gateways[0].readyz().await.unwrap().0);

    cluster.nats.restart().await.unwrap();
    cluster.wait_ready().await.unwrap();
    admission(&cluster, "open").await;
    admitted(client.submit(0, &mark("after"), None).await);
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}

/// Waits until the gateway says so of its admission.
async fn admission(cluster: &Cluster, wanted: &str) {
    let says = async || {
        let said = cluster.gateways[0].readyz().await.map(|(_, said)| said);
        Ok(said.filter(|said| said.contains(&format!(r#""admission":"{wanted}"#))))
    };
    until(WITHIN, wanted, says).await.unwrap();
}
