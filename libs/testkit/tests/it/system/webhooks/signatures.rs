//! What is sent is verified by the receiver of docs/webhooks.md as it is written there.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use nox_devkit::free_port;
use nox_testkit::system::cluster::{Cluster, until};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{WITHIN, add, ask, job_events, jobs_end, run_jobs, system};

const PAGE: &str = include_str!("../../../../../../docs/webhooks.md");

/// Python of the page.
fn program() -> &'static str {
    let (_, rest) = PAGE.split_once("```python receiver\n").expect("the page has it");
    rest.split_once("```").expect("a block has an end").0
}

struct Verifier {
    child: Child,
    port: u16,
    events: PathBuf,
}

impl Verifier {
    async fn start(port: u16, secret: &str, events: &Path) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tools =
            std::env::var_os("NOX_TOOLS").map_or_else(|| root.join(".nox/tools"), Into::into);
        let packages = tools.join("python");
        ensure!(
            packages.join("standardwebhooks").is_dir(),
            "{} has no standardwebhooks: `make test` brings it, or libs/devkit/setup.sh clients",
            packages.display()
        );
        let child = Command::new("python3")
            .args(["-c", program()])
            .env("PYTHONPATH", packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PORT", port.to_string())
            .env("SECRET", secret)
            .env("EVENTS", events)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        until(WITHIN, "the receiver", async || {
            Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop))
        })
        .await?;
        Ok(Self { child, port, events: events.to_owned() })
    }

    /// Begins again with another secret.
    async fn restart(mut self, secret: &str) -> Result<Self> {
        self.child.kill().await?;
        Self::start(self.port, secret, &self.events).await
    }

    fn ids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.events).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter_map(|event| Some(event["id"].as_str()?.to_owned())).collect()
    }

    /// Waits until it has verified every event of a job, and one of each test.
    async fn has_all(&self, cluster: &Cluster) -> Result<()> {
        let wanted = job_events(cluster).await?;
        until(WITHIN, "the events", async || {
            let ids = self.ids();
            Ok(wanted.iter().all(|id| ids.contains(id)).then_some(()))
        })
        .await
        .with_context(|| format!("{} of {} verified", self.ids().len(), wanted.len()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_of_the_page_verifies_all_that_is_sent_also_while_a_secret_is_rotated() {
    let cluster = system(&[]).await.unwrap();
    let client = cluster.client("ada");
    let events = cluster.folder().join("verified.jsonl");
    let port = free_port(std::net::Ipv4Addr::LOCALHOST.into()).unwrap();
    let url = format!("http://127.0.0.1:{port}/nox");
    let (id, old) = add(&client, &url, json!({"type": ["job"]})).await;
    assert!(old.starts_with("whsec_"));
    let verifier = Verifier::start(port, &old, &events).await.unwrap();
    run_jobs(&client, 20, "signed").await;
    jobs_end(&client).await.unwrap();
    verifier.has_all(&cluster).await.unwrap();

    // Both secrets sign: whoever has the old one still verifies, and so does who has the new one.
    let rotate = format!("/webhooks/{id}/rotate-secret");
    let rotate = async |overlap_s: u32| {
        let body = Some(json!({"overlap_s": overlap_s}));
        let rotated = ask(&client, reqwest::Method::POST, &rotate, body).await;
        assert_eq!(rotated.status, 200, "{}", rotated.body);
        rotated.body["secret"].as_str().unwrap().to_owned()
    };
    let new = rotate(600).await;
    assert_ne!(old, new);
    run_jobs(&client, 5, "old").await;
    jobs_end(&client).await.unwrap();
    verifier.has_all(&cluster).await.unwrap();
    let verifier = verifier.restart(&new).await.unwrap();
    run_jobs(&client, 5, "new").await;
    jobs_end(&client).await.unwrap();
    verifier.has_all(&cluster).await.unwrap();

    // The negative control: after another rotation without overlap, who has the old secret is refused by itself.
    let newest = rotate(0).await;
    let before = verifier.ids().len();
    run_jobs(&client, 1, "neither").await;
    jobs_end(&client).await.unwrap();
    until(WITHIN, "a refusal", async || {
        let path = format!("/webhooks/{id}/deliveries");
        let listed = client.get(0, &path).await.map_err(anyhow::Error::msg)?;
        let deliveries = listed.body["deliveries"].as_array().cloned().unwrap_or_default();
        Ok(deliveries.iter().any(|of| of["status"] == 400).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(verifier.ids().len(), before);
    let verifier = verifier.restart(&newest).await.unwrap();
    verifier.has_all(&cluster).await.unwrap();
}
