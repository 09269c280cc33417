//! Whether the server really syncs what it acknowledges, as it says itself.

use std::{sync::OnceLock, time::Duration};

use async_nats::Client;
use serde::{Deserialize, de::DeserializeOwned};

use crate::options::{ConnectError, ConnectOptions};

/// One question to the monitoring port.
const MONITOR_WAIT: Duration = Duration::from_secs(3);

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    Strict,
    /// The end of the server process; a power cut takes minutes of writes.
    Relaxed,
}

impl std::str::FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, UnknownDurability> {
        match text {
            "strict" => Ok(Self::Strict),
            "relaxed" => Ok(Self::Relaxed),
            _ => Err(UnknownDurability),
        }
    }
}

/// A word that names no durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither strict nor relaxed")]
pub struct UnknownDurability;

/// The parts of `/varz` that matter.
#[derive(Deserialize)]
struct Varz {
    server_id: String,
    #[serde(default)]
    jetstream: VarzJetStream,
}

#[derive(Default, Deserialize)]
struct VarzJetStream {
    #[serde(default)]
    config: VarzConfig,
}

#[derive(Default, Deserialize)]
struct VarzConfig {
    #[serde(default)]
    sync_always: bool,
}

/// What the servers say of themselves, of which one must be the one we are connected to.
pub(crate) async fn check_durability(
    options: &ConnectOptions,
    client: &Client,
) -> Result<Option<Durability>, ConnectError> {
    let strict = options.sync == Durability::Strict;
    let Some(urls) = &options.monitor_url else {
        return match strict {
            true => Err(ConnectError::NotDurable("no monitoring URL to ask the server at".into())),
            false => Ok(None),
        };
    };
    let connected_to = client.server_info().server_id;
    let (mut all_strict, mut ours) = (true, false);
    for url in urls.split(',') {
        let varz = match ask_monitor::<Varz>(url.trim(), "varz").await {
            Ok(varz) => varz,
            Err(reason) if strict => return Err(ConnectError::Unreachable(reason)),
            Err(reason) => {
                tracing::warn!(reason, "Durability unknown");
                return Ok(None);
            }
        };
        all_strict &= varz.jetstream.config.sync_always;
        ours |= varz.server_id == connected_to;
    }
    if !strict {
        return Ok(Some(if all_strict && ours { Durability::Strict } else { Durability::Relaxed }));
    }
    if !ours {
        return Err(ConnectError::NotDurable(format!("{urls} is another server's monitoring URL")));
    }
    if !all_strict {
        return Err(ConnectError::NotDurable(format!(
            "{urls} says that sync_interval is not `always`"
        )));
    }
    Ok(Some(Durability::Strict))
}

/// One for all questions: to make one reads the system's certificates. It keeps no connections, which
/// would belong to the runtime of whoever asked first.
fn monitor_client() -> reqwest::Result<&'static reqwest::Client> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    match CLIENT.get() {
        Some(client) => Ok(client),
        None => {
            let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
            Ok(CLIENT.get_or_init(|| client))
        }
    }
}

/// What the server says of itself; also where it says so with status 503.
pub(crate) async fn ask_monitor<T: DeserializeOwned>(url: &str, path: &str) -> Result<T, String> {
    let ask = async {
        let url = format!("{}/{path}", url.trim_end_matches('/'));
        let answer = monitor_client()?.get(url).send().await?;
        answer.json::<T>().await
    };
    match tokio::time::timeout(MONITOR_WAIT, ask).await {
        Ok(answer) => answer.map_err(|e| format!("cannot ask {url}: {e}")),
        Err(_) => Err(format!("no answer from {url} within {MONITOR_WAIT:?}")),
    }
}
