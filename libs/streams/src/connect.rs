//! Connects, and refuses a broker that would ignore guards or lose acknowledged writes.

use std::{sync::OnceLock, time::Duration};

use async_nats::{ConnectErrorKind, jetstream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    api::API_WAIT,
    broker::{Broker, Inner},
    denied::NOT_PERMITTED,
    durability::check_durability,
    error::Error,
    mux::{Mux, Own},
    options::{ConnectError, ConnectOptions},
    url::{read_urls, with_credentials},
    version::Version,
};

/// Older servers silently ignore guards and batches, and have bugs that lose streams.
const SERVER_MIN: Version = Version::release(2, 15, 1);
/// What that server says of JetStream in the account; an older one elsewhere in the cluster says less.
const API_LEVEL_MIN: u64 = 4;

/// How long [`Broker::connect`] waits for a broker that is starting: one with five million subjects
/// needs 45 s after a crash.
const CONNECT_WAIT: Duration = Duration::from_secs(60);
/// Between two tries, while the server is starting.
const RETRY: Duration = Duration::from_millis(100);
/// One try, from the connection to the handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(3);
/// Two unanswered pings and the connection is given up: a frozen server is noticed after 15 s.
const PING: Duration = Duration::from_secs(5);
/// Messages that the client library holds itself: the most that it can send late, after a reconnect.
const LIBRARY_QUEUE: usize = 256;
/// The longest pause between two reconnects: a restarted server should not wait for its clients.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);

impl Broker {
    /// Connects and checks the server; waits up to a minute for one that is starting.
    ///
    /// # Errors
    /// As the variants say; all but `Unreachable` at once.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        Self::connect_within(options, CONNECT_WAIT).await
    }

    /// As [`connect`](Self::connect), waiting up to `wait`.
    pub async fn connect_within(
        options: ConnectOptions,
        wait: Duration,
    ) -> Result<Self, ConnectError> {
        let mut last = ConnectError::Unreachable(format!("nothing heard within {wait:?}"));
        let tries = async {
            loop {
                match Self::try_connect(&options).await {
                    Err(error) if error.is_transient() => last = error,
                    result => return result,
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::time::timeout(wait, tries).await.unwrap_or(Err(last))
    }

    async fn try_connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let (events, heard) = mpsc::unbounded_channel();
        let (servers, credentials) = read_urls(&options.url)?;
        let user = credentials.user().to_owned();
        let inboxes = format!("_INBOX_{}", options.service);
        let client = with_credentials(credentials)
            .name(format!("nox-{}", options.service))
            .custom_inbox_prefix(inboxes.clone())
            .connection_timeout(HANDSHAKE_WAIT)
            .ping_interval(PING)
            .request_timeout(Some(API_WAIT))
            .client_capacity(LIBRARY_QUEUE)
            .reconnect_delay_callback(reconnect_pause)
            .event_callback(move |event| {
                // The other end goes with the connection.
                let _ = events.send(event);
                async {}
            })
            .connect(servers)
            .await
            .map_err(refused)?;
        check_version(&client.server_info().version)?;

        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let mux = Mux::start(client.clone(), Own { user, inboxes }, heard, stop)
            .await
            .map_err(|e| ConnectError::Unreachable(e.to_string()))?;
        let durability = check_durability(options, &client).await?;
        let broker = Self {
            inner: std::sync::Arc::new(Inner {
                jetstream: jetstream::new(client.clone()),
                client,
                mux,
                layout: OnceLock::new(),
                durability,
                url: options.url.clone(),
                monitor_url: options.monitor_url.clone(),
                _stop: guard,
            }),
        };
        broker.check_api_level().await?;
        Ok(broker)
    }

    async fn check_api_level(&self) -> Result<(), ConnectError> {
        #[derive(Deserialize)]
        struct Account {
            api: Api,
        }
        #[derive(Deserialize)]
        struct Api {
            #[serde(default)]
            level: u64,
        }

        let account: Result<Account, Error> = self.api("INFO", &serde_json::json!({})).await;
        // A server that is starting has no JetStream yet.
        let level = account.map_err(no_account)?.api.level;
        if level < API_LEVEL_MIN {
            return Err(ConnectError::TooOld {
                found: format!("one whose JetStream has API level {level}"),
                needed: SERVER_MIN.to_string(),
            });
        }
        Ok(())
    }
}

fn reconnect_pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    match doublings {
        0 => Duration::ZERO,
        doublings => Duration::from_millis(5 << doublings).min(RECONNECT_PAUSE_MAX),
    }
}

fn refused(error: async_nats::ConnectError) -> ConnectError {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => ConnectError::Denied(error.to_string()),
        _ => ConnectError::Unreachable(error.to_string()),
    }
}

fn no_account(error: Error) -> ConnectError {
    match error {
        Error::Refused { code: NOT_PERMITTED, description } => ConnectError::Denied(description),
        error => ConnectError::Unreachable(error.to_string()),
    }
}

fn check_version(found: &str) -> Result<(), ConnectError> {
    let new_enough = Version::parse(found).is_some_and(|version| version >= SERVER_MIN);
    if new_enough {
        return Ok(());
    }
    let found = if found.is_empty() { "of no version" } else { found };
    Err(ConnectError::TooOld { found: found.to_owned(), needed: SERVER_MIN.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_with_both_versions_named() {
        let error = check_version("2.10.25").unwrap_err().to_string();
        assert!(error.contains("2.10.25") && error.contains("2.15.1"), "{error}");
        for old in ["2.15.0", "2.15.1-RC.2", "", "latest"] {
            assert!(matches!(check_version(old), Err(ConnectError::TooOld { .. })), "{old}");
        }
        for new in ["2.15.1", "2.16.0-dev"] {
            assert!(check_version(new).is_ok(), "{new}");
        }
    }

    #[test]
    fn reconnects_begin_at_once_and_pause_no_longer_than_half_a_second() {
        assert_eq!(reconnect_pause(1), Duration::ZERO);
        assert_eq!(reconnect_pause(2), Duration::from_millis(10));
        assert_eq!(reconnect_pause(1000), RECONNECT_PAUSE_MAX);
    }
}
