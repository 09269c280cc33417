//! What the gateway is told at its start.

use std::{net::SocketAddr, num::NonZeroU32};

use nox_contract::WebhookKey;
use nox_egress::{Block, WebhookRules};
use nox_service::Secret;
use nox_streams::Durability;

use crate::{
    identity::{command_roles::CommandRoles, key_source::KeySource, rate::Rate},
    instance::InstanceSettings,
    joblib_settings::JoblibSettings,
};

/// The gateway's configuration, from flags and environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Where to serve the API; port 0 takes a free one.
    #[arg(long, env = "NOX_HTTP_ADDR", default_value = "127.0.0.1:8081")]
    pub http_addr: SocketAddr,

    #[command(flatten)]
    pub http: HttpLimits,

    /// Proxies whose word is taken for whom a request is from (`X-Forwarded-For`, `Forwarded`): blocks of addresses such
    /// as `10.1.2.0/24`, with commas between; nobody's, unless set.
    #[arg(long, env = "NOX_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<Block>,

    #[command(flatten)]
    pub rate: RateSettings,

    #[arg(
        long,
        env = "NOX_NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: Secret,

    /// The broker's monitoring address, from which its durability is read.
    #[arg(long, env = "NOX_NATS_MONITOR_URL", default_value = "http://127.0.0.1:8222")]
    pub nats_monitor_url: Option<String>,

    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,

    /// Where the scheduler keeps the log for good: a folder, or a URL. Without it, a job's history is told
    /// as far as the log's stream has it.
    #[arg(long, env = "NOX_ARCHIVE")]
    pub archive: Option<String>,

    /// Where executors keep files: a folder, or a URL.
    #[arg(long, env = "NOX_ARTIFACTS", default_value = ".nox/artifacts")]
    pub artifacts: String,

    #[command(flatten)]
    pub uploads: UploadLimits,

    #[command(flatten)]
    pub joblib: JoblibSettings,

    /// The secret that tokens are signed with (HS256), at least 32 bytes.
    #[arg(long, env = "NOX_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<Secret>,

    /// Public keys that tokens are verified with (RS256, ES256, EdDSA), as a JSON Web Key Set: a file, or
    /// an address of this machine, `http://127.0.0.1:PORT/…`. They are read again while the gateway runs.
    #[arg(long, env = "NOX_JWT_JWKS")]
    pub jwt_jwks: Option<KeySource>,

    /// How often an address is asked for the public keys, in seconds.
    #[arg(
        long,
        env = "NOX_JWT_JWKS_EVERY_S",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub jwt_jwks_every_s: u64,

    /// Longest time to a token's expiry, in seconds: a token can't be taken back.
    #[arg(long, env = "NOX_JWT_LIFETIME_MAX_S", default_value_t = 86_400)]
    pub jwt_lifetime_max_s: u64,

    /// The one `iss` to accept; any, if unset.
    #[arg(long, env = "NOX_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,

    /// The one `aud` to accept; any, if unset.
    #[arg(long, env = "NOX_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// Whose raw commands are run: `user`, `admin`, or of one tenant `<tenant>/user`, separated by commas;
    /// nobody's, if it is empty.
    #[arg(long, env = "NOX_COMMAND_ROLES", default_value = "")]
    pub command_roles: CommandRoles,

    /// What the secrets of webhooks are computed from: 64 hex digits, the notifier's. Without it nobody makes one.
    #[arg(long, env = "NOX_WEBHOOK_KEY", hide_env_values = true)]
    pub webhook_key: Option<WebhookKey>,

    #[command(flatten)]
    pub webhooks: WebhookRules,

    #[command(flatten)]
    pub instance: InstanceSettings,

    /// Most users whose jobs `/metrics` counts under their own names, the most active ones; 0 names nobody.
    #[arg(long, env = "NOX_METRICS_USERS_MAX", default_value_t = 1_000)]
    pub metrics_users_max: usize,

    /// Whether the broker has to write to stable storage before it acknowledges.
    #[arg(long, env = "NOX_SYNC", default_value = "strict")]
    pub sync: Durability,
}

/// What the gateway's clients may have of it together.
#[derive(Debug, Clone, clap::Args)]
pub struct HttpLimits {
    /// Most connections at a time; each costs a descriptor and at most 100 KiB. Beyond them only
    /// /livez and /readyz are answered.
    #[arg(
        long = "http-connections-max",
        env = "NOX_HTTP_CONNECTIONS_MAX",
        default_value_t = 4_096
    )]
    pub connections_max: usize,

    /// Most memory for bodies and answers in hand, in MiB.
    #[arg(long = "http-memory-mb", env = "NOX_HTTP_MEMORY_MB", default_value_t = 256)]
    pub memory_mb: usize,

    /// How much of both one address may have, in per cent; 100 behind a proxy that is not trusted, whose address is
    /// everybody's.
    #[arg(
        long = "http-address-percent",
        env = "NOX_HTTP_ADDRESS_PERCENT",
        default_value_t = 25,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub address_percent: u8,
}

/// How many requests one user may make, whatever they ask for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RateSettings {
    /// Requests a second of one user; 0 for as many as come.
    #[arg(long = "rate-limit-per-s", env = "NOX_RATE_LIMIT_PER_S", default_value_t = 500)]
    pub per_second: u32,

    /// As many at once.
    #[arg(
        long = "rate-limit-burst",
        env = "NOX_RATE_LIMIT_BURST",
        default_value = "1000",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub burst: u32,
}

impl RateSettings {
    /// As many as come.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 1 };

    /// `None` where there is no limit.
    pub fn allowed(self) -> Option<Rate> {
        let (per_second, burst) = (NonZeroU32::new(self.per_second)?, NonZeroU32::new(self.burst)?);
        Some(Rate { per_second, burst })
    }
}

/// How much may be uploaded, and for how long.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct UploadLimits {
    /// Largest upload, in bytes.
    #[arg(long = "upload-bytes-max", env = "NOX_UPLOAD_BYTES_MAX", default_value_t = 268_435_456)]
    pub bytes_max: u64,

    /// Most bytes that one user's uploads have together.
    #[arg(
        long = "upload-quota-bytes",
        env = "NOX_UPLOAD_QUOTA_BYTES",
        default_value_t = 4_294_967_296
    )]
    pub quota_bytes: u64,

    /// Days for which an upload can be referred to after it was uploaded last; 0 for ever.
    #[arg(long = "upload-days", env = "NOX_UPLOAD_DAYS", default_value_t = 7)]
    pub days: u32,
}
