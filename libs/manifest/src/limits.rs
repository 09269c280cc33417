//! Bounds that jobs do not ask for: those of their module.

use serde::Deserialize;

const MIB: u64 = 1 << 20;

/// The table `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// MiB of all files in the attempt's folder.
    pub disk_mb: u64,
    /// MiB of each file.
    pub file_mb: u64,
    /// Files and folders in the attempt's folder.
    pub files_max: u64,
    /// Open files of each process.
    pub open_files_max: u64,
    /// Processes and threads at a time.
    pub processes_max: u64,
    /// MiB that it prints.
    pub output_mb: u64,
    /// MiB of each process's stack; as much as the machine gives, if none.
    pub stack_mb: Option<u64>,
    /// MiB in `/dev/shm`, of the level `isolated`.
    pub shm_mb: u64,
    /// MiB in `/tmp`, of the level `isolated`.
    pub tmp_mb: u64,
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
    pub(crate) fn check(&self) -> Result<(), String> {
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
}
