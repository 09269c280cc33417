//! The pages of curl (docs/curl), run block by block as they are written.

use std::{path::Path, process::Stdio, time::Duration};

use nox_testkit::system::{
    cluster::{Cluster, Options, until},
    service::Kind,
};
use serde_json::json;
use tokio::process::Command;

/// For one page.
const WITHIN: Duration = Duration::from_secs(120);

/// A page's blocks of shell, one script.
fn script(page: &str) -> String {
    let mut blocks = page.split("```sh\n").skip(1).map(|rest| {
        let (block, _) = rest.split_once("```").expect("a block has an end");
        block.to_owned()
    });
    blocks.by_ref().collect()
}

struct Pages<'c> {
    cluster: &'c Cluster,
    user: String,
    admin: String,
}

impl Pages<'_> {
    /// Runs a script; what it said, if it failed.
    async fn run(&self, script: &str) -> Result<(), String> {
        let run = Command::new("bash")
            .args(["-exuo", "pipefail", "-c", script])
            .env("URL", self.cluster.client("x").url(0, ""))
            .env("TOKEN", &self.user)
            .env("ADMIN_TOKEN", &self.admin)
            .current_dir(self.cluster.folder())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(WITHIN, run).await.map_err(|_| "no end".to_owned())?;
        let output = output.map_err(|error| error.to_string())?;
        let said = [output.stdout, output.stderr].concat();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&said).into_owned()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_curl_runs_as_it_is_written() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules");
    let mut options = Options::default().env(Kind::Gateway, "NOX_COMMAND_ROLES", "admin");
    if let Some(xtb) = nox_devkit::tools::xtb() {
        options = options.env(Kind::Executor, "NOX_XTB", xtb.path.to_str().unwrap());
    }
    let mut cluster = Cluster::servers(options).await.unwrap();
    let own = cluster.folder().join("modules");
    for module in std::fs::read_dir(&shipped).unwrap() {
        let name = module.unwrap().file_name();
        if !own.join(&name).exists() {
            super::releases::copy(&shipped.join(&name), &own.join(&name));
        }
    }
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let user = cluster.client("ada");
    let admin = cluster.client_with(json!({"sub": "root", "role": "admin"}));
    let ready = async || {
        let modules = user.get(0, "/modules").await.unwrap().body.to_string();
        Ok(modules.contains("packaging").then_some(modules))
    };
    let modules = until(WITHIN, "the modules", ready).await.unwrap();
    let pages =
        Pages { cluster: &cluster, user: user.token().to_owned(), admin: admin.token().to_owned() };

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/curl");
    for name in ["native", "engines", "releases", "tasks"] {
        let lacks =
            ["command", "xtb"].into_iter().find(|of| !modules.contains(&format!("\"{of}\"")));
        if let Some(module) = lacks.filter(|_| name == "engines") {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no module {module}");
            println!("engines.md is skipped: this machine has no {module}, see `noxctl doctor`");
            continue;
        }
        let page = std::fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        if let Err(said) = pages.run(&script(&page)).await {
            panic!("{name}.md: {said}");
        }
    }

    // The control: a line that does not work is noticed, also when what it says goes to `jq`.
    let wrong = "nox() { curl -sS --fail-with-body \"$@\"; }\nnox \"$URL/jobs\" | jq .\ntrue";
    assert!(pages.run(wrong).await.is_err());
}
