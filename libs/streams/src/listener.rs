//! Whether anybody listens on a subject, as the broker says it: at once, for it knows its connections.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use crate::{Broker, Error, mux::Outgoing};

/// What of a stream's servers its leader heard last has to be younger than this, for servers that are being
/// connected anew do not know of each other's clients: their streams tell each other something at least once a
/// second, and where one is silent for longer, the way between them may be gone.
const PEER_HEARD_WITHIN: Duration = Duration::from_millis(1_200);

impl Broker {
    /// Sends `payload` to whoever listens on `subject`. Resolves with `true` as soon as the broker says that
    /// nobody does, and with `false` if it has not said so within 2 s, or is gone.
    pub fn finds_nobody(
        &self,
        subject: String,
        payload: Bytes,
    ) -> impl Future<Output = bool> + Send + use<> {
        let message = Outgoing { subject, headers: Vec::new(), payload };
        let nobody = self.inner.mux.send_and_hear_if_nobody(message);
        async move { nobody.await.is_ok() }
    }

    /// The sequence of the stream's last message; `None` while not all servers that keep the stream are known to
    /// be connected with each other.
    ///
    /// # Errors
    /// As for any question to the broker.
    pub async fn last_sequence_if_connected(&self, stream: &str) -> Result<Option<u64>, Error> {
        let info = self.info(stream).await?;
        let connected = info.cluster.is_none_or(|cluster| cluster.is_connected());
        Ok(connected.then_some(info.state.last_seq))
    }
}

/// The servers that keep a stream, beside its leader.
#[derive(Deserialize)]
pub(crate) struct StreamCluster {
    /// Of the servers that are one broker together; empty where there is one.
    #[serde(default)]
    name: String,
    #[serde(default)]
    replicas: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
    /// Nanoseconds since the leader heard of it.
    #[serde(default)]
    active: u64,
}

impl StreamCluster {
    fn is_connected(&self) -> bool {
        // Of several servers, one that keeps a stream alone says nothing of the others.
        if self.replicas.is_empty() {
            return self.name.is_empty();
        }
        self.replicas.iter().all(|peer| {
            peer.current && !peer.offline && Duration::from_nanos(peer.active) < PEER_HEARD_WITHIN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_connected_where_each_was_heard_of_lately() {
        let connected =
            |text: &str| serde_json::from_str::<StreamCluster>(text).unwrap().is_connected();
        assert!(connected(r#"{"leader": "a"}"#));
        assert!(!connected(r#"{"name": "nox", "leader": "a"}"#));
        let replicas = |active: u64, current: bool| {
            format!(
                r#"{{"name": "nox", "replicas": [{{"name": "b", "current": true, "active": 5}},
                                 {{"name": "c", "current": {current}, "active": {active}}}]}}"#
            )
        };
        assert!(connected(&replicas(1_000_000_000, true)));
        assert!(!connected(&replicas(1_200_000_000, true)));
        assert!(!connected(&replicas(1_000_000, false)));
    }
}
