//! How much an attempt may take.

use std::io;

use nox_contract::Resources;
use nox_manifest::LimitsTable;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Bounds of an attempt, all its processes together unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds from the start of the program to the end of everything. The clock does not run while
    /// the machine sleeps (`CLOCK_MONOTONIC`, not `CLOCK_BOOTTIME`), for neither does the attempt.
    pub wall_seconds: u64,
    /// Seconds on a processor.
    pub cpu_seconds: u64,
    /// Bytes of memory, shared memory and files in memory included.
    pub memory_bytes: u64,
    /// Bytes of all files in its folder, looked at now and then.
    pub disk_bytes: u64,
    /// Bytes of each file.
    pub file_bytes: u64,
    /// Files and folders in its folder, looked at now and then.
    pub files: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Bytes of the stack of each process; as much as the machine gives, if none.
    pub stack_bytes: Option<u64>,
    /// Bytes in `/dev/shm`, where it has its own.
    pub shm_bytes: u64,
    /// Bytes in `/tmp`, where it has its own.
    pub tmp_bytes: u64,
}

/// Seconds on a processor after which the kernel ends a process by itself, beyond when the supervisor
/// ends all of them together and says why.
const CPU_SECONDS_SPARE: u64 = 2;

/// Seconds on processors beyond what was asked for, so that the wall time is what ends an attempt.
const ASKED_CPU_SECONDS_SPARE: u64 = 10;

/// Private memory of each process beyond the bound, where nothing but the kernel's bound of each
/// process is exact: that counts what libraries map and never touch, 130 MiB in the case of xtb. Below
/// it, some do not fail but hang.
const MAPPED_BYTES_SPARE: u64 = 256 << 20;

impl Limits {
    /// The bounds of an attempt with such resources, of a module with such limits.
    pub fn of(table: &LimitsTable, resources: &Resources) -> Self {
        let mib = |count: u64| count.saturating_mul(1 << 20);
        let wall_seconds = u64::from(resources.wall_time_s);
        Self {
            wall_seconds,
            cpu_seconds: u64::from(resources.cpu) * wall_seconds + ASKED_CPU_SECONDS_SPARE,
            memory_bytes: mib(resources.mem_mb.into()),
            disk_bytes: mib(table.disk_mb),
            file_bytes: mib(table.file_mb),
            files: table.files_max,
            open_files: table.open_files_max,
            processes: table.processes_max,
            stack_bytes: table.stack_mb.map(mib),
            shm_bytes: mib(table.shm_mb),
            tmp_bytes: mib(table.tmp_mb),
        }
    }

    /// Little, which is enough for a program that does nothing.
    pub fn of_a_trial() -> Self {
        Self {
            wall_seconds: 10,
            cpu_seconds: 10,
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 20,
            file_bytes: 1 << 20,
            files: 100,
            open_files: 64,
            processes: 64,
            stack_bytes: None,
            shm_bytes: 1 << 20,
            tmp_bytes: 1 << 20,
        }
    }

    /// Holds this process, and all that it starts, to what the kernel bounds of each process.
    ///
    /// `counted` says that a cgroup bounds the memory: the bound of private memory would only come
    /// before it, and count what is never used.
    pub fn apply(&self, counted: bool) -> io::Result<()> {
        limit(Resource::Core, 0)?;
        limit(Resource::Nofile, self.open_files)?;
        limit(Resource::Cpu, self.cpu_seconds.saturating_add(CPU_SECONDS_SPARE))?;
        limit(Resource::Fsize, self.file_bytes.min(self.disk_bytes))?;
        if !counted {
            limit(Resource::Data, self.memory_bytes.saturating_add(MAPPED_BYTES_SPARE))?;
        }
        raise_stack(self.stack_bytes)
    }
}

/// Lowers a limit of this process and all that it starts; never raises one.
pub fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Gives as much stack as may be had: the customary 8 MiB are too few for a molecule of some hundred
/// atoms, and a program that needs more is ended by a signal that says nothing of it.
fn raise_stack(bytes: Option<u64>) -> io::Result<()> {
    let hard = getrlimit(Resource::Stack).maximum;
    let current = match (bytes, hard) {
        (Some(bytes), Some(hard)) => Some(bytes.min(hard)),
        (bytes, hard) => bytes.or(hard),
    };
    Ok(setrlimit(Resource::Stack, Rlimit { current, maximum: hard })?)
}
