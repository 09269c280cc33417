//! What an operator can set.

use std::{num::NonZeroU32, path::PathBuf, thread::available_parallelism, time::Duration};

use nox_contract::{Capacity, WorkerId};
use nox_service::Secret;
use nox_streams::Durability;

use crate::{registered::Policy, sandbox::host::Settings};

/// Between two heartbeats if nothing is said, in milliseconds: of a lease of 15 s, seven may get lost.
const BEAT_MS: u32 = 2_000;

/// The longest time between two heartbeats that is taken from a setting which was meant for a poll, in milliseconds:
/// a third of the time after which a silent worker is given up on.
const POLL_MS_MAX: u32 = 5_000;

/// The executor's configuration: flags, or the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
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

    /// Whether what is acknowledged has to survive a power cut, kept files included: `strict`, or
    /// `relaxed`.
    #[arg(long, env = "NOX_SYNC", default_value = "strict")]
    pub sync: Durability,

    /// This worker's name, stable over restarts, and no other's.
    #[arg(long, env = "NOX_WORKER_ID", default_value = "executor-1")]
    pub worker_id: WorkerId,

    /// Attempts at a time.
    #[arg(long, env = "NOX_SLOTS", default_value_t = cores())]
    pub slots: NonZeroU32,

    /// Cores that attempts may ask for together.
    #[arg(long, env = "NOX_CPU", default_value_t = cores())]
    pub cpu: NonZeroU32,

    /// Memory that attempts may ask for together, in MiB.
    #[arg(long, env = "NOX_MEM_MB", default_value = "4096")]
    pub mem_mb: NonZeroU32,

    /// Devices that attempts may ask for together.
    #[arg(long, env = "NOX_GPU", default_value = "0")]
    pub gpu: u32,

    /// What jobs may ask of their worker beside room, separated by commas.
    #[arg(long, env = "NOX_LABELS", value_delimiter = ',')]
    pub labels: Vec<String>,

    /// The folder with a folder for each module.
    #[arg(long, env = "NOX_MODULES", default_value = "modules")]
    pub modules: PathBuf,

    /// Where kept files go: a folder, or a URL. The gateway's is the same.
    #[arg(long, env = "NOX_ARTIFACTS", default_value = ".nox/artifacts")]
    pub artifacts: String,

    /// The folder where attempts run, in a folder of this worker's.
    #[arg(long, env = "NOX_DATA", default_value = ".nox/data")]
    pub data: PathBuf,

    /// Between two heartbeats, in milliseconds; 2000 if neither this nor JOB_RUNNER_POLL_MS is set.
    #[arg(long, env = "NOX_BEAT_MS")]
    pub beat_ms: Option<NonZeroU32>,

    /// Another name for the time between two heartbeats, which are when work is asked for that got lost: nothing
    /// else here polls. At most 5000 counts.
    #[arg(long, env = "JOB_RUNNER_POLL_MS")]
    pub poll_ms: Option<NonZeroU32>,

    /// How long running attempts may go on after the order to stop, in seconds; what has not ended by
    /// then is ended and handed back.
    #[arg(long, env = "NOX_STOP_GRACE_S", default_value = "5",
          value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub stop_grace_s: u32,

    /// The program that supervises attempts; this one, unless it is told otherwise.
    #[arg(long, env = "NOX_SUPERVISOR", default_value = "/proc/self/exe")]
    pub supervisor: PathBuf,

    #[command(flatten)]
    pub sandbox: Settings,

    #[command(flatten)]
    pub registered: Policy,
}

impl Config {
    pub(crate) fn capacity(&self) -> Capacity {
        let Self { slots, cpu, mem_mb, gpu, .. } = self;
        Capacity { slots: slots.get(), cpu: cpu.get(), mem_mb: mem_mb.get(), gpu: *gpu }
    }

    /// Between two heartbeats.
    pub(crate) fn beat(&self) -> Duration {
        let polled = self.poll_ms.map(NonZeroU32::get).filter(|_| self.beat_ms.is_none());
        if let Some(asked) = polled.filter(|ms| *ms > POLL_MS_MAX) {
            tracing::warn!(
                asked,
                taken = POLL_MS_MAX,
                "JOB_RUNNER_POLL_MS is longer than a worker may be silent"
            );
        }
        let polled = polled.map(|ms| ms.min(POLL_MS_MAX));
        let beat = self.beat_ms.map(NonZeroU32::get).or(polled);
        Duration::from_millis(beat.unwrap_or(BEAT_MS).into())
    }

    /// This worker's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data.join(format!("executor-{}", self.worker_id))
    }
}

fn cores() -> NonZeroU32 {
    available_parallelism().ok().and_then(|n| n.try_into().ok()).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Flags {
        #[command(flatten)]
        config: Config,
    }

    fn beat(flags: &[&str]) -> u128 {
        Flags::try_parse_from(flags).unwrap().config.beat().as_millis()
    }

    #[test]
    fn a_poll_is_the_time_between_heartbeats_as_long_as_no_worker_is_lost_by_it() {
        assert_eq!(beat(&[]), 2_000);
        assert_eq!(beat(&["--poll-ms=500"]), 500);
        assert_eq!(beat(&["--poll-ms=60000"]), 5_000);
        assert_eq!(beat(&["--beat-ms=300", "--poll-ms=500"]), 300);
        assert_eq!(beat(&["--beat-ms=9000"]), 9_000);
        for wrong in ["--poll-ms=0", "--poll-ms=soon"] {
            assert!(Flags::try_parse_from([wrong]).is_err(), "{wrong}");
        }
    }
}
