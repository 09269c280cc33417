//! Whether a system serves.

use std::time::Duration;

use crate::{
    client::{Client, ClientError},
    views::{Module, Modules},
};

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long a wait may take until it says what it waits for, and again each time.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// Waits until the gateway says that all parts are ready. However long that takes: the servers are
/// there by then, and what is left is to fold a log, and a long one takes its time.
pub async fn serving(client: &Client) {
    let serves = async {
        while client.get("/readyz").await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let mut serves = std::pin::pin!(serves);
    while tokio::time::timeout(SAID_EVERY, &mut serves).await.is_err() {
        tracing::warn!(missing = missing(client).await, "Not ready yet");
    }
}

/// Waits until the rows have each of `modules`: by then a report has gone all the way to a row.
pub async fn declared(client: &Client, modules: &[&str]) {
    while !are_declared(client, modules).await {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn are_declared(client: &Client, wanted: &[&str]) -> bool {
    let Ok(Modules { modules }) = client.read("/modules").await else { return false };
    let declared: Vec<String> = modules
        .iter()
        .filter_map(|module| serde_json::from_str(module.get()).ok())
        .map(|module: Module| module.name)
        .collect();
    wanted.iter().all(|wanted| declared.iter().any(|name| name == wanted))
}

/// What keeps a system from serving, as it says itself.
pub async fn missing(client: &Client) -> String {
    match client.get("/readyz").await {
        Ok(_) => "all parts are ready".to_owned(),
        Err(ClientError::Refused(problem)) => problem.document,
        Err(error) => error.to_string(),
    }
}
