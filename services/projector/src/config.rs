//! What an operator can set.

use nox_service::Secret;
use nox_store::sweep::Rules;
use nox_streams::Durability;

/// The projector's configuration: flags, or the environment.
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
    /// Where the scheduler keeps the log for good: a folder, or a URL. Rows that are further behind than
    /// the log's stream reaches need it.
    #[arg(long, env = "NOX_ARCHIVE")]
    pub archive: Option<String>,
    /// Where Postgres is.
    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,
    /// Days for which ended jobs have a row, by the log's time, at least one; for ever, if not set.
    #[arg(long, env = "NOX_KEEP_DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: Option<u32>,
    /// Where executors and gateways keep files and uploads: a folder, or a URL. Those that were kept long
    /// enough, or that nobody can see any more, are removed there; without it, none are.
    #[arg(long, env = "NOX_ARTIFACTS")]
    pub artifacts: Option<String>,
    /// Days for which a job's files are kept after its end; 0 for ever.
    #[arg(long, env = "NOX_ARTIFACT_DAYS", default_value_t = 90)]
    pub artifact_days: u32,
    /// Days for which an upload is kept after it was uploaded last; 0 for ever. The gateways' is the same.
    #[arg(long, env = "NOX_UPLOAD_DAYS", default_value_t = 7)]
    pub upload_days: u32,
    /// Seconds between two looks for what may go; 0 for none.
    #[arg(long, env = "NOX_SWEEP_S", default_value_t = 3600)]
    pub sweep_s: u32,
    /// For tests alone: wait so many milliseconds before each commit, so that rows are behind.
    #[arg(long, env = "NOX_PROJECTOR_DELAY_MS", default_value_t = 0, hide = true)]
    pub delay_ms: u64,
}

impl Config {
    pub(crate) fn rules(&self) -> Rules {
        Rules { artifact_days: self.artifact_days, upload_days: self.upload_days }
    }
}
