//! Bounds that jobs do not ask for: those of their module.

use nox_contract::Resources;
use serde::Deserialize;

use crate::sandbox::Limits;

const MIB: u64 = 1 << 20;

/// Seconds on processors beyond what was asked for, so that the wall time is what ends an attempt.
const CPU_SECONDS_SPARE: u64 = 10;

/// The table `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// MiB of all files in the attempt's folder.
    disk_mb: u64,
    /// MiB of each file.
    file_mb: u64,
    /// Files and folders in the attempt's folder.
    files_max: u64,
    /// Open files of each process.
    open_files_max: u64,
    /// Processes and threads at a time.
    processes_max: u64,
    /// MiB that it prints.
    output_mb: u64,
    /// MiB of each process's stack; as much as the machine gives, if none.
    stack_mb: Option<u64>,
    /// MiB in `/dev/shm`, of the level `isolated`.
    shm_mb: u64,
    /// MiB in `/tmp`, of the level `isolated`.
    tmp_mb: u64,
}

impl Default for LimitsTable {
    /// What the engines that are known need, and far from what would starve a machine.
    fn default() -> Self {
        Self {
            disk_mb: 8 << 10,
            file_mb: 4 << 10,
            files_max: 200_000,
            open_files_max: 4096,
            processes_max: 1024,
            output_mb: 1 << 10,
            stack_mb: None,
            shm_mb: 64,
            tmp_mb: 64,
        }
    }
}

impl LimitsTable {
    /// Makes sure that something can run within them.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { disk_mb, file_mb, files_max, output_mb, shm_mb, tmp_mb, .. } = self;
        let at_least_one = [*disk_mb, *file_mb, *files_max, *output_mb, *shm_mb, *tmp_mb];
        if at_least_one.contains(&0) || self.stack_mb == Some(0) {
            return Err("`limits` must be at least 1 each".to_owned());
        }
        if self.open_files_max < 16 || self.processes_max < 2 {
            return Err("`limits` must leave 16 open files and 2 processes for a program to begin"
                .to_owned());
        }
        Ok(())
    }

    /// Bytes that an attempt may print.
    pub fn output_bytes(&self) -> u64 {
        self.output_mb.saturating_mul(MIB)
    }

    /// The bounds of an attempt with such resources.
    pub fn of(&self, resources: &Resources) -> Limits {
        let mib = |count: u64| count.saturating_mul(MIB);
        let wall_seconds = u64::from(resources.wall_time_s);
        Limits {
            wall_seconds,
            cpu_seconds: u64::from(resources.cpu) * wall_seconds + CPU_SECONDS_SPARE,
            memory_bytes: mib(resources.mem_mb.into()),
            disk_bytes: mib(self.disk_mb),
            file_bytes: mib(self.file_mb),
            files: self.files_max,
            open_files: self.open_files_max,
            processes: self.processes_max,
            stack_bytes: self.stack_mb.map(mib),
            shm_bytes: mib(self.shm_mb),
            tmp_bytes: mib(self.tmp_mb),
        }
    }
}
