//! Whether a system serves.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    client::{Client, ClientError},
    views::{Module, Modules},
};

/// How long the services may take. The servers are ready by then; what is left is to fold a log, and
/// a long one takes its time.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until the gateway says that it is ready and a worker has declared `module`: by then a
/// report has gone all the way to a row.
///
/// # Errors
/// It takes too long; says what is missing.
pub async fn ready(client: &Client, module: &str) -> Result<()> {
    let wait = async {
        while !is_ready(client, module).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    match tokio::time::timeout(READY_WITHIN, wait).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("not ready after {READY_WITHIN:?}: {}", missing(client, module).await),
    }
}

async fn is_ready(client: &Client, wanted: &str) -> bool {
    if client.get("/readyz").await.is_err() {
        return false;
    }
    let Ok(Modules { modules }) = client.read("/modules").await else { return false };
    modules.iter().any(|module| {
        serde_json::from_str::<Module>(module.get()).is_ok_and(|module| module.name == wanted)
    })
}

async fn missing(client: &Client, module: &str) -> String {
    match client.get("/readyz").await {
        Ok(_) => format!("no worker has declared the module {module}"),
        Err(ClientError::Refused(problem)) => problem.document,
        Err(error) => error.to_string(),
    }
}
