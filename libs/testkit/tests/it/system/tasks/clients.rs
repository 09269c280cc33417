//! Clients that others have written, unchanged.

use std::path::Path;

use nox_testkit::system::cluster::{Cluster, Options};
use serde_json::json;
use tokio::process::Command;

use super::well;

/// Runs a Python program against the system, with the packages that `make test` has brought.
async fn python(cluster: &Cluster, program: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages = std::env::var_os("NOX_TOOLS")
        .map_or_else(|| root.join(".nox/tools"), Into::into)
        .join("python");
    assert!(
        packages.join("httpx").is_dir(),
        "{} has no httpx: `make test` brings it, or libs/devkit/setup.sh clients",
        packages.display()
    );
    let admin = cluster.client_with(json!({"sub": "user_123", "role": "admin"}));
    let user = cluster.client("somebody");
    let script = root.join("libs/testkit/tests/it/system/tasks/python").join(program);
    let output = Command::new("python3")
        .arg(script)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NOX_URL", admin.url(0, ""))
        .env("NOX_ADMIN_TOKEN", admin.token())
        .env("NOX_USER_TOKEN", user.token())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), output).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}\n{said}\n{complained}", output.status);
    assert!(said.contains("all well"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_document_works_unchanged() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    python(&cluster, "document.py").await;
    well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_client_works_where_its_addresses_are_the_documents() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    python(&cluster, "published.py").await;
    well(&cluster).await;
}
