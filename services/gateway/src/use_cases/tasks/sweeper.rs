//! Removes jobs that no worker registers and no task is open of. Workers that fell silent are the scheduler's to
//! find.

use std::sync::Arc;

use nox_contract::{Command, RemoveTopic};
use tokio::time::{MissedTickBehavior, interval};

use crate::{app::App, commands::Until};

/// Looks again and again, until the process stops. Several gateways may: what the rows show is decided by the
/// scheduler once more.
pub async fn run(app: Arc<App>) {
    let mut due = interval(app.joblib.sweeper_interval());
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let orphans = match app.reader.orphan_topics().await {
            Ok(orphans) => orphans.value,
            Err(error) => {
                tracing::debug!(%error, "Cannot look for jobs that nobody registers");
                continue;
            }
        };
        for (tenant, topic) in orphans {
            let command = Command::RemoveTopic(RemoveTopic { topic });
            if let Err(error) = app.commands.send(&tenant, &command, Until::Published).await {
                tracing::warn!(%error, "Cannot remove a job that nobody registers");
                break;
            }
        }
    }
}
