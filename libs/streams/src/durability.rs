//! Whether the server really syncs what it acknowledges, as it says itself.

use async_nats::Client;

use crate::{
    monitor::{self, Varz},
    options::{ConnectError, ConnectOptions},
};

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

/// What the servers say of themselves, of which one must be the one we are connected to. Of others,
/// those that answer count.
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
    let (mut all_strict, mut ours, mut silent) = (true, false, None);
    for url in monitor::each(urls) {
        match monitor::ask::<Varz>(url, "varz").await {
            Ok(varz) => {
                all_strict &= varz.jetstream.config.sync_always;
                ours |= varz.server_id == connected_to;
            }
            // One of several may be down for long, and stores nothing meanwhile.
            Err(reason) => {
                tracing::warn!(reason, "Durability of a server unknown");
                silent = Some(reason);
            }
        }
    }
    if !strict {
        return Ok(match silent {
            Some(_) => None,
            None if all_strict && ours => Some(Durability::Strict),
            None => Some(Durability::Relaxed),
        });
    }
    if !ours {
        if let Some(reason) = silent {
            return Err(ConnectError::Unreachable(reason));
        }
        return Err(ConnectError::NotDurable(format!("{urls} is another server's monitoring URL")));
    }
    if !all_strict {
        return Err(ConnectError::NotDurable(format!(
            "{urls} says that sync_interval is not `always`"
        )));
    }
    Ok(Some(Durability::Strict))
}
