//! What an attempt takes, as the supervisor sees it now and then, and what of it is too much.

use std::time::Duration;

use super::{
    Level,
    cgroup::Refused,
    disk::{self, Held},
    hold::Hold,
    limits::Limits,
    order::{KilledFor, Order},
    processes::{memory, memory_bound, tasks, times},
};

/// Processes and threads that only hold the namespaces of an attempt.
const NAMESPACE_TASKS: u64 = 4;

/// What an attempt takes at a moment, and what it was refused so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// On all processors.
    pub cpu: Duration,
    /// Bytes; 0 where a cgroup holds it to its bound.
    pub memory: u64,
    /// Processes and threads; 0 where a cgroup holds it to its bound.
    pub tasks: u64,
    pub disk: Held,
    pub refused: Refused,
}

/// Looks at what an attempt takes, all of it that is held.
pub fn look(order: &Order, hold: &Hold) -> Taken {
    let Order { limits, confinement, folder, .. } = order;
    let pids = hold.processes();
    let mut taken = Taken { cpu: times(&pids), ..Taken::default() };
    match &confinement.cgroup {
        Some(group) => taken.refused = group.refused().unwrap_or_default(),
        None => {
            taken.tasks = tasks(&pids);
            if confinement.level == Level::Isolated {
                taken.tasks = taken.tasks.saturating_sub(NAMESPACE_TASKS);
            }
            // The quick look says at most how much it is, the exact one takes long.
            if memory_bound(&pids) > limits.memory_bytes {
                taken.memory = memory(&pids);
            }
        }
    }
    let most = Held { bytes: limits.disk_bytes, files: limits.files };
    taken.disk = disk::look(folder, most).unwrap_or_default();
    taken.disk.bytes += disk::nameless(&pids, folder);
    taken
}

impl Taken {
    /// What of it is too much.
    pub fn exceeds(&self, limits: &Limits) -> Option<KilledFor> {
        let Self { cpu, memory, tasks, disk, refused } = self;
        [
            (refused.memory > 0 || *memory > limits.memory_bytes, KilledFor::Memory),
            (refused.processes > 0 || *tasks > limits.processes, KilledFor::Processes),
            (cpu.as_secs() >= limits.cpu_seconds.max(1), KilledFor::CpuTime),
            (disk.bytes > limits.disk_bytes, KilledFor::Disk),
            (disk.files > limits.files, KilledFor::Files),
        ]
        .into_iter()
        .find_map(|(is_too_much, reason)| is_too_much.then_some(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_what_is_taken_has_its_bound() {
        let limits = Limits::of_a_trial();
        let with = |change: fn(&mut Taken)| {
            let mut taken = Taken::default();
            change(&mut taken);
            taken.exceeds(&limits)
        };
        assert_eq!(with(|_| ()), None);
        assert_eq!(with(|taken| taken.cpu = Duration::from_secs(9)), None);
        assert_eq!(with(|taken| taken.cpu = Duration::from_secs(10)), Some(KilledFor::CpuTime));
        assert_eq!(with(|taken| taken.memory = 65 << 20), Some(KilledFor::Memory));
        assert_eq!(with(|taken| taken.refused.memory = 1), Some(KilledFor::Memory));
        assert_eq!(with(|taken| taken.tasks = 65), Some(KilledFor::Processes));
        assert_eq!(with(|taken| taken.refused.processes = 1), Some(KilledFor::Processes));
        assert_eq!(with(|taken| taken.disk.bytes = 2 << 20), Some(KilledFor::Disk));
        assert_eq!(with(|taken| taken.disk.files = 101), Some(KilledFor::Files));
    }
}
