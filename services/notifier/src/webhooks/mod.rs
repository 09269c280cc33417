//! Webhooks: events that are sent to the endpoints that users name.
//!
//! What has to be sent is in the outbox, with how far the log was looked through. Each endpoint has a lane of its own,
//! so that one that is dead, hangs or drips holds up nothing but what it is sent itself. An event arrives at least
//! once, always under the same id; in which order, nobody promises.
//!
//! | file | what it does |
//! |---|---|
//! | `definitions` | which webhooks there are, and which want an event |
//! | `follow` | from the log into the outbox |
//! | `send` | from the outbox to endpoints |
//! | `lanes` | which delivery is sent next |
//! | `attempt` | one attempt, and what follows from its answer |
//! | `retry` | when what was not taken is tried again |
//! | `sign` | signatures |
//! | `upkeep` | drops and forgets, and switches off what cannot be delivered |

mod attempt;
mod definitions;
mod follow;
mod lanes;
mod retry;
mod send;
mod sign;
mod upkeep;

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use anyhow::Context;
use nox_archive::Log;
use nox_contract::{
    Command, CommandMessage, DisableReason, DisableWebhook, FrameNumber, TenantId, WebhookId,
    WebhookKey, subject,
};
use nox_egress::{Client, SystemResolver};
use nox_readmodel::{Outbox, OutboxError, Reader, outbox::StoredTarget};
use nox_service::{Backoff, Clock, Readiness, Runtime, ids};
use nox_streams::Broker;
use tokio::sync::{Notify, watch};

use self::definitions::Definitions;
pub use self::retry::Delays;
use crate::{Config, RETRY_MAX, RETRY_MIN, config::WebhookFault, metrics::Metrics};

/// The part of readiness that says whether webhooks follow the log.
const PART: &str = "notifier.webhooks";
/// The outbox among the readers of the log.
const READER: &str = "webhooks";

/// Webhooks at a place in the log.
type Targets = BTreeMap<WebhookId, Arc<StoredTarget>>;

/// What the parts share.
struct Webhooks {
    outbox: Outbox,
    /// Of jobs, where labels have to be known.
    rows: Reader,
    key: WebhookKey,
    client: Client,
    delays: Delays,
    fault: Option<WebhookFault>,
    broker: Broker,
    clock: Clock,
    readiness: Readiness,
    metrics: Metrics,
    targets: watch::Sender<Arc<Targets>>,
    /// What is sent nothing more, since its endpoint is gone, and in which frame it was set.
    closed: watch::Sender<BTreeMap<WebhookId, FrameNumber>>,
    /// Something was taken in.
    news: Notify,
}

/// Whether the configuration has what webhooks need; says so where it has half of it.
pub(crate) fn is_configured(config: &Config) -> bool {
    match (&config.database_url, &config.webhook_key) {
        (Some(_), Some(_)) => true,
        (None, None) => {
            tracing::info!("Sends no webhooks: NOX_DATABASE_URL and NOX_WEBHOOK_KEY are not set");
            false
        }
        (Some(_), None) => {
            tracing::warn!("Sends no webhooks: NOX_WEBHOOK_KEY is not set");
            false
        }
        (None, Some(_)) => {
            tracing::warn!("Sends no webhooks: NOX_DATABASE_URL is not set");
            false
        }
    }
}

/// Sends what webhooks have to send, for ever.
///
/// # Errors
/// The log cannot be followed, another notifier has begun to send, or what was kept is of another log.
pub(crate) async fn run(
    config: &Config,
    runtime: &Runtime,
    log: &Log,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let (Some(url), Some(key)) = (&config.database_url, &config.webhook_key) else {
        return std::future::pending().await;
    };
    runtime.readiness.set(PART, Err("not attached yet"));
    let mut rules = config.webhooks.rules();
    rules.unchecked = config.webhook_fault == Some(WebhookFault::Unchecked);
    let webhooks = Arc::new(Webhooks {
        outbox: Outbox::new(url.reveal(), ids::unique()).context("the database cannot be named")?,
        rows: Reader::new(url.reveal(), 1).context("the database cannot be named")?,
        key: key.clone(),
        client: Client::new(rules, Arc::new(SystemResolver)).context("cannot use TLS")?,
        delays: config.webhook_retry_s.clone(),
        fault: config.webhook_fault,
        broker: log.broker().clone(),
        clock: runtime.clock.clone(),
        readiness: runtime.readiness.clone(),
        metrics: metrics.clone(),
        targets: watch::channel(Arc::default()).0,
        closed: watch::channel(BTreeMap::new()).0,
        news: Notify::new(),
    });
    let attached = webhooks.attach(log).await?;
    tracing::info!(frame.n = attached.place.n.0, "Webhooks follow the log");
    runtime.readiness.set(PART, Ok::<(), String>(()));
    let definitions = Definitions {
        webhooks: attached.webhooks.into_iter().map(|(id, of)| (id, Arc::new(of))).collect(),
    };
    let outcome = tokio::try_join!(
        follow::run(&webhooks, log, attached.place, definitions),
        send::run(webhooks.clone()),
        upkeep::run(webhooks.clone()),
    );
    if let Err(error) = &outcome {
        runtime.readiness.set(PART, Err(format!("{error:#}")));
    }
    outcome.map(drop)
}

impl Webhooks {
    /// Attaches to the outbox, again and again where Postgres is away.
    async fn attach(&self, log: &Log) -> anyhow::Result<nox_readmodel::outbox::Attached> {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            match self.outbox.attach(log.incarnation()).await {
                Ok(attached) => return Ok(attached),
                Err(error @ OutboxError::Unavailable(_)) => {
                    log_postgres(&self.readiness, &error);
                    tokio::time::sleep(backoff.pause()).await;
                }
                Err(error) => return Err(error).context("cannot attach to the outbox"),
            }
        }
    }

    /// Asks for a webhook to be switched off. The leader says so in the log, if it is still as it was in frame `set_in`.
    /// Where the broker is away, `upkeep` asks again.
    async fn disable(&self, webhook_id: WebhookId, reason: DisableReason, set_in: FrameNumber) {
        let disable = DisableWebhook { webhook_id, reason, set_in };
        let message = CommandMessage::new(None, vec![Command::DisableWebhook(disable)]);
        let payload = serde_json::to_vec(&message).unwrap_or_default();
        let asked =
            self.broker.publish(subject::commands(&TenantId::system()), None, payload.into());
        match asked.await {
            Ok(_) => {
                tracing::info!(webhook.id = %webhook_id, reason = reason.as_str(), "Switches a webhook off")
            }
            Err(error) => {
                tracing::warn!(%error, webhook.id = %webhook_id, "Cannot switch a webhook off")
            }
        }
    }
}

/// Says that Postgres is away, where operators look.
fn log_postgres(readiness: &Readiness, error: &impl Display) {
    tracing::debug!(%error, "The outbox has to wait");
    readiness.set(PART, Err(error.to_string()));
}
