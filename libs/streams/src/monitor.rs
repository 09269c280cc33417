//! What a server says of itself at its monitoring port.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

/// One question.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// The parts of `/varz` that matter.
#[derive(Deserialize)]
pub(crate) struct Varz {
    pub(crate) server_id: String,
    #[serde(default)]
    pub(crate) jetstream: JetStream,
}

#[derive(Default, Deserialize)]
pub(crate) struct JetStream {
    #[serde(default)]
    pub(crate) config: Config,
}

#[derive(Default, Deserialize)]
pub(crate) struct Config {
    /// Whether each acknowledged write is on the disk.
    #[serde(default)]
    pub(crate) sync_always: bool,
    /// Where the streams are; empty without any.
    #[serde(default)]
    pub(crate) store_dir: PathBuf,
}

/// The servers of a cluster, as the configuration names them.
pub(crate) fn each(urls: &str) -> impl Iterator<Item = &str> {
    urls.split(',').map(str::trim)
}

/// What the server says of itself; also where it says so with status 503.
pub(crate) async fn ask<T: DeserializeOwned>(url: &str, path: &str) -> Result<T, String> {
    let ask = async {
        let url = format!("{}/{path}", url.trim_end_matches('/'));
        let answer = client()?.get(url).send().await?;
        answer.json::<T>().await
    };
    match tokio::time::timeout(ANSWER_WAIT, ask).await {
        Ok(answer) => answer.map_err(|e| format!("cannot ask {url}: {e}")),
        Err(_) => Err(format!("no answer from {url} within {ANSWER_WAIT:?}")),
    }
}

/// One for all questions: to make one reads the system's certificates. It keeps no connections, which
/// would belong to the runtime of whoever asked first.
fn client() -> reqwest::Result<&'static reqwest::Client> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    match CLIENT.get() {
        Some(client) => Ok(client),
        None => {
            let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
            Ok(CLIENT.get_or_init(|| client))
        }
    }
}
