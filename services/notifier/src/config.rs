//! What an operator can set.

use std::path::PathBuf;

use nox_contract::WebhookKey;
use nox_egress::WebhookRules;
use nox_service::Secret;
use nox_streams::Durability;

use crate::webhooks::Delays;

/// The notifier's configuration: flags, or the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Where the broker is.
    #[arg(
        long,
        env = "NOX_NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: Secret,
    /// Where the broker tells of itself; needed for `strict`.
    #[arg(long, env = "NOX_NATS_MONITOR_URL", default_value = "http://127.0.0.1:8222")]
    pub nats_monitor_url: Option<String>,
    /// Whether what is acknowledged has to be on disk: `strict`, or `relaxed`.
    #[arg(long, env = "NOX_SYNC", default_value = "strict")]
    pub sync: Durability,
    /// Where the scheduler keeps the log for good: a folder, or a URL. A feed that is further behind than the log's
    /// stream reaches needs it.
    #[arg(long, env = "NOX_ARCHIVE")]
    pub archive: Option<String>,
    /// Whether facts are published as events: `off`, `live` for whoever listens at that time, or `kept` in
    /// NOX_FEED.
    #[arg(long, env = "NOX_FEED", default_value = "kept")]
    pub feed: Feed,
    /// The frame of the log that a kept feed begins at where nothing says how far it is; unless set, the first,
    /// or, of a feed that had events, none: then somebody has to say it.
    #[arg(long, env = "NOX_FEED_FROM", value_parser = clap::value_parser!(u64).range(1..))]
    pub feed_from: Option<u64>,
    /// Where Postgres is, for what webhooks have to send. Without it, none are sent.
    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// What the secrets of webhooks are computed from: 64 hex digits, the gateways'. Without it, none are sent.
    #[arg(long, env = "NOX_WEBHOOK_KEY", hide_env_values = true)]
    pub webhook_key: Option<WebhookKey>,
    #[command(flatten)]
    pub webhooks: WebhookRules,
    /// Seconds after which an event that was not taken is tried again, at most, after the first attempt, the second and
    /// so on, with commas between. Without more of them it has failed.
    #[arg(
        long,
        env = "NOX_WEBHOOK_RETRY_S",
        default_value = "5,300,1800,7200,18000,36000,50400,72000,86400"
    )]
    pub webhook_retry_s: Delays,
    /// For tests alone: what goes wrong with webhooks.
    #[arg(long, env = "NOX_WEBHOOK_FAULT", hide = true)]
    pub webhook_fault: Option<WebhookFault>,
    /// The folder that who did what is written to, a line an act, for ever; nowhere, unless set. One notifier at a
    /// time has it.
    #[arg(long, env = "NOX_AUDIT")]
    pub audit: Option<PathBuf>,
    /// The frame of the log that an empty folder begins with.
    #[arg(
        long,
        env = "NOX_AUDIT_FROM",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub audit_from: u64,
    /// For tests alone: what goes wrong at each start.
    #[arg(long, env = "NOX_NOTIFIER_FAULT", hide = true)]
    pub fault: Option<Fault>,
}

/// What becomes of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Feed {
    Off,
    Live,
    Kept,
}

/// What a notifier does wrong with webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WebhookFault {
    /// Sends to whatever address.
    Unchecked,
    /// Makes one attempt at a time, whoever it is for.
    OnePlace,
}

/// What a wrong notifier does when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Leaves out the first event.
    Skip,
    /// Publishes the last frame again.
    Repeat,
}
