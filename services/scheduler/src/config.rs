//! What an operator can set.

use anyhow::Context;
use nox_archive::Archive;
use nox_contract::SchedulerConfig;
use nox_protocol::Retention;
use nox_service::Secret;
use nox_streams::{Durability, Layout};
use serde_json::Value;

/// The scheduler's configuration: flags, or the environment.
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
    /// The key of attempt tokens, the same for all schedulers of a cluster: 64 hex digits.
    #[arg(long, env = "NOX_CLUSTER_KEY", hide_env_values = true)]
    pub cluster_key: ClusterKey,
    /// How long a leader that falls silent is waited for, in milliseconds; whole seconds count.
    #[arg(long, env = "NOX_LEASE_MS", default_value_t = 10_000)]
    pub lease_ms: u64,
    /// How long a worker that falls silent is believed to live, in milliseconds.
    #[arg(long, env = "NOX_WORKER_LEASE_MS", default_value_t = 15_000)]
    pub worker_lease_ms: u64,
    /// Whether a worker that is not heard of is asked after, and given up as soon as its process has had no
    /// connection for 1.2 s; else after its lease alone.
    #[arg(long, env = "NOX_WORKER_PROBES", default_value_t = true, action = clap::ArgAction::Set)]
    pub worker_probes: bool,
    /// Budgets and limits, as JSON.
    #[arg(long, env = "NOX_LIMITS", value_parser = limits, default_value = "{}")]
    pub limits: Limits,
    /// Go on although an input stream was lost or is another one. The value, the name of who
    /// decided that, is recorded. Counts for the next takeover only.
    #[arg(long, env = "NOX_ACCEPT_INPUT_RESET")]
    pub accept_input_reset: Option<String>,
    /// Where the log is kept for good: a folder, or a URL (`file://`, `s3://` where built for that). Required:
    /// without it nothing could be cut off the log's stream, and admission would end when that is full.
    #[arg(long, env = "NOX_ARCHIVE")]
    pub archive: Option<String>,
    /// Seconds after which what the log got is in the archive at the latest; at most 30 days.
    #[arg(long, env = "NOX_ARCHIVE_EVERY_S", default_value_t = 3_600,
          value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub archive_every_s: u64,
    /// Size of the log's stream when it is made or raised, as `64GiB`: `nats/streams.toml`, if left out. From
    /// where it is half full it is cut, as far as it is in the archive.
    #[arg(long, env = "NOX_LOG_BYTES", value_parser = log_bytes)]
    pub log_bytes: Option<u64>,
    /// Days for which what jobs print is kept, when its stream is made or that is raised; 0 for ever, as far as
    /// there is room.
    #[arg(long, env = "NOX_JOB_LOG_DAYS", default_value_t = 14)]
    pub job_log_days: u32,
    /// Servers that keep each stream, when it is made: 1, 3 or 5, of as many or more in the broker's cluster.
    #[arg(long, env = "NOX_REPLICAS", value_parser = replicas, default_value_t = 1)]
    pub replicas: u32,
    /// Percent of the log's stream that stay when it is cut.
    #[arg(long, env = "NOX_LOG_TAIL_PERCENT", default_value_t = 25,
          value_parser = clap::value_parser!(u8).range(5..=45))]
    pub log_tail_percent: u8,
    /// Percent of the log's stream up to which a reader that is behind keeps frames from being cut.
    #[arg(long, env = "NOX_LOG_READER_PERCENT", default_value_t = 70,
          value_parser = clap::value_parser!(u8).range(50..=78))]
    pub log_reader_percent: u8,
    /// Fewest entries of the log between two snapshots of the state.
    #[arg(long, env = "NOX_SNAPSHOT_ENTRIES", default_value_t = 50_000)]
    pub snapshot_entries: u64,
    /// Shortest time between two snapshots of the state, in milliseconds.
    #[arg(long, env = "NOX_SNAPSHOT_MS", default_value_t = 60_000)]
    pub snapshot_ms: u64,
    /// For tests alone: what this process does wrong, or otherwise.
    #[arg(long, env = "NOX_SCHEDULER_FAULT", hide = true)]
    pub fault: Option<Fault>,
}

/// What a process is for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// A version that is still to come: it says facts that today's does not know.
    Future,
}

impl Config {
    /// Whether it is to decide by a version that is still to come.
    pub(crate) fn is_future(&self) -> bool {
        self.fault == Some(Fault::Future)
    }

    pub(crate) fn layout(&self) -> Layout {
        let layout = Layout::embedded().on_replicas(self.replicas);
        let layout = layout.with_job_log_days(self.job_log_days);
        match self.log_bytes {
            Some(bytes) => layout.with_log_bytes(bytes),
            None => layout,
        }
    }

    /// The archive, which is made if it is a folder.
    ///
    /// # Errors
    /// None is named, or it cannot be used.
    pub(crate) fn archive(&self) -> anyhow::Result<Archive> {
        let location = self.archive.as_deref().context(
            "NOX_ARCHIVE is not set: name the folder or bucket (/folder, s3://bucket/prefix) that keeps the log \
             for good; without one nothing could be cut off the log's stream, and submits would end when it is full",
        )?;
        Ok(Archive::create(location)?)
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention {
            tail_percent: self.log_tail_percent,
            reader_percent: self.log_reader_percent,
            ..Retention::default()
        }
    }
}

/// Smallest log: so that some frames of full size are a small part of it.
const LOG_BYTES_MIN: u64 = 8 * 1024 * 1024;

fn log_bytes(text: &str) -> Result<u64, String> {
    let bytes =
        Layout::size(text).ok_or("neither a number of bytes nor a size as 64GiB or 256MiB")?;
    if bytes < LOG_BYTES_MIN {
        return Err("smaller than 8MiB".to_owned());
    }
    Ok(bytes)
}

/// An even number survives no more failures than the odd one below it, and the broker keeps five at most.
fn replicas(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(count @ (1 | 3 | 5)) => Ok(count),
        _ => Err("neither 1 nor 3 nor 5"),
    }
}

/// The key from which attempt tokens are computed.
#[derive(Clone)]
pub struct ClusterKey(pub [u8; 32]);

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

impl std::str::FromStr for ClusterKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| "not 64 hex digits")?;
        Ok(Self(key))
    }
}

/// Budgets and limits: the defaults, with what the operator changed.
#[derive(Debug, Clone)]
pub struct Limits(pub SchedulerConfig);

/// Reads the operator's changes over the defaults.
fn limits(text: &str) -> Result<Limits, String> {
    let defaults = SchedulerConfig::default();
    let mut config = serde_json::to_value(&defaults).map_err(|e| e.to_string())?;
    let changes: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if let Some(roles) = changes.get("roles").and_then(Value::as_object) {
        let user = serde_json::to_value(defaults.roles["user"]).map_err(|e| e.to_string())?;
        for role in roles.keys() {
            // A role of the operator's own begins as `user` does.
            if let Some(known) = config["roles"].as_object_mut() {
                known.entry(role).or_insert_with(|| user.clone());
            }
        }
    }
    merge("", &mut config, changes)?;
    serde_json::from_value(config).map(Limits).map_err(|e| e.to_string())
}

/// A word that means nothing is refused: an operator who misspells a limit would believe in it.
fn merge(place: &str, into: &mut Value, changes: Value) -> Result<(), String> {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                let place = format!("{place}/{key}");
                let old = into.get_mut(&key).ok_or_else(|| format!("{place} is no limit"))?;
                merge(&place, old, change)?;
            }
        }
        (into, change) => *into = change,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_archive_it_does_not_start_and_says_what_to_name() {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            config: Config,
        }
        let key = "00".repeat(32);
        let mut flags = vec!["scheduler", "--cluster-key", &key];
        let config = |flags: &[&str]| <Flags as clap::Parser>::parse_from(flags).config;
        let refused = config(&flags).archive().unwrap_err().to_string();
        assert!(refused.starts_with("NOX_ARCHIVE is not set: name the folder"), "{refused}");
        let folder = tempfile::tempdir().unwrap();
        flags.extend(["--archive", folder.path().to_str().unwrap()]);
        assert!(config(&flags).archive().is_ok());
    }

    #[test]
    fn an_operator_changes_one_limit_and_keeps_the_others() {
        let Limits(changed) = limits(r#"{"roles": {"user": {"queued_jobs": 7}}}"#).unwrap();
        let defaults = SchedulerConfig::default();
        assert_eq!(changed.roles["user"].queued_jobs, 7);
        assert_eq!(changed.roles["user"].cpu_seconds, defaults.roles["user"].cpu_seconds);
        assert_eq!(changed.tenant, defaults.tenant);
    }

    #[test]
    fn a_misspelt_limit_is_refused_by_its_name() {
        for (text, place) in [
            (r#"{"role": {}}"#, "/role"),
            (r#"{"roles": {"user": {"queue": 7}}}"#, "/roles/user/queue"),
            (r#"{"tenant": {"cpus": 7}}"#, "/tenant/cpus"),
        ] {
            assert!(limits(text).unwrap_err().contains(place), "{text}");
        }
        let Limits(own) = limits(r#"{"roles": {"guest": {"queued_jobs": 1}}}"#).unwrap();
        assert_eq!(own.roles["guest"].queued_jobs, 1);
        assert_eq!(own.roles["guest"].cpu, own.roles["user"].cpu);
    }

    #[test]
    fn as_many_servers_keep_a_stream_as_make_a_majority() {
        for text in ["1", "3", "5"] {
            assert_eq!(replicas(text).map(|count| count.to_string()).as_deref(), Ok(text));
        }
        for text in ["0", "2", "4", "7", "-1", "three", ""] {
            assert!(replicas(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_that_is_no_number_is_refused() {
        assert!(limits(r#"{"tenant": {"cpu": "many"}}"#).is_err());
    }
}
