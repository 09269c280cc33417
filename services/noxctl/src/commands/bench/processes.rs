//! What processes cost, from the kernel's books: processor time, memory, and what else was running.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context, Result};
use nox_service::Clock;

/// In these units Linux tells processor times to everybody, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// A process under the name that is reported.
pub type Named = (&'static str, u32);

/// One process, as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    parent: u32,
    /// Of the process itself.
    own: Duration,
    /// Of its children that have ended and were waited for.
    reaped: Duration,
}

/// All processes of the machine at one moment.
struct Table(BTreeMap<u32, Entry>);

/// Processor time since some moment in the past that stays the same.
pub struct Spent {
    by_name: BTreeMap<&'static str, Duration>,
    /// Of this process and whatever it has started.
    ours: Duration,
    /// Of the whole machine.
    machine: Duration,
    at: Duration,
}

/// Processor time between two moments.
pub struct Cost {
    /// Microseconds a job, by process.
    pub us_per_job: Vec<(&'static str, f64)>,
    /// Cores that others than this program and what it started were using, on average.
    pub others_cores: f64,
}

/// Reads what each of `processes` has spent, its descendants included: a Postgres backend counts as
/// Postgres, a job's program as the executor. This process counts alone, for the others are its children.
pub fn spent(processes: &[Named], clock: &Clock) -> Result<Spent> {
    let table = Table::read()?;
    let this = std::process::id();
    let by_name = processes.iter().map(|(name, pid)| {
        let spent = if *pid == this { table.own(this) } else { table.family_spent(*pid) };
        (*name, spent)
    });
    Ok(Spent {
        by_name: by_name.collect(),
        ours: table.family_spent(this),
        machine: machine(&fs::read_to_string("/proc/stat")?)
            .context("cannot understand /proc/stat")?,
        at: clock.monotonic(),
    })
}

impl Spent {
    /// What `jobs` jobs have cost from `before` until this was read.
    pub fn since(&self, before: &Self, jobs: usize) -> Cost {
        let us_per_job = self.by_name.iter().map(|(name, after)| {
            let spent = after.saturating_sub(before.by_name.get(name).copied().unwrap_or_default());
            (*name, spent.as_secs_f64() * 1e6 / jobs as f64)
        });
        let busy = self.machine.saturating_sub(before.machine);
        let others = busy.saturating_sub(self.ours.saturating_sub(before.ours));
        let span = self.at.saturating_sub(before.at).as_secs_f64().max(0.001);
        Cost { us_per_job: us_per_job.collect(), others_cores: others.as_secs_f64() / span }
    }
}

/// Bytes of memory that each of `processes` and its descendants have: the resident set; of several
/// processes the sum of their proportional sets, in which what they share counts once.
pub fn memory(processes: &[Named]) -> Result<Vec<(&'static str, u64)>> {
    let table = Table::read()?;
    let this = std::process::id();
    let bytes = processes.iter().map(|(name, pid)| {
        let family = if *pid == this { vec![this] } else { table.family(*pid) };
        let bytes = match family[..] {
            [alone] => kib(alone, "status", "VmRSS:"),
            _ => family.iter().map(|pid| kib(*pid, "smaps_rollup", "Pss:")).sum(),
        };
        (*name, bytes * 1024)
    });
    Ok(bytes.collect())
}

/// The process and all its descendants.
pub fn family(pid: u32) -> Result<Vec<u32>> {
    Ok(Table::read()?.family(pid))
}

impl Table {
    fn read() -> Result<Self> {
        let entries = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // It may have ended since the folder was read.
            Some((pid, parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        });
        Ok(Self(entries.collect()))
    }

    fn own(&self, pid: u32) -> Duration {
        self.0.get(&pid).map_or(Duration::ZERO, |entry| entry.own)
    }

    /// The time of a child that ends moves to its parent's books, so that this sum never falls.
    fn family_spent(&self, pid: u32) -> Duration {
        let entries = self.family(pid).into_iter().filter_map(|pid| self.0.get(&pid));
        entries.map(|entry| entry.own + entry.reaped).sum()
    }

    fn family(&self, pid: u32) -> Vec<u32> {
        let mut family = vec![pid];
        let mut known = BTreeSet::from([pid]);
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            let children = self.0.iter().filter(|(_, entry)| entry.parent == parent);
            family.extend(children.map(|(pid, _)| *pid).filter(|pid| known.insert(*pid)));
            next += 1;
        }
        family
    }
}

/// The parent is the fourth field, utime, stime, cutime and cstime are the 14th to 17th; the second is a
/// name that may hold anything.
fn parse(line: &str) -> Option<Entry> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u32>().ok().map(|ticks| TICK * ticks);
    Some(Entry {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        reaped: ticks(13)? + ticks(14)?,
    })
}

/// What all processors together were busy with, the time that a hypervisor took included; of the first
/// line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn machine(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|field| fields.get(*field)).sum();
    Some(Duration::from_millis(busy * TICK.as_millis() as u64))
}

/// A line of one of a process's files that names KiB; 0 where it has ended.
fn kib(pid: u32, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(parent: u32, own: u64, reaped: u64) -> Entry {
        Entry { parent, own: Duration::from_secs(own), reaped: Duration::from_secs(reaped) }
    }

    #[test]
    fn all_four_times_are_read_whatever_the_process_is_called() {
        let line = "7 (a) 1 2) S 1 7 7 0 -1 4194560 1 2 3 4 100 200 300 400 20 0 1 0 99";
        assert_eq!(parse(line), Some(entry(1, 3, 7)));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_process_answers_for_its_descendants_and_for_those_it_has_waited_for() {
        let table = Table(BTreeMap::from([
            (2, entry(1, 1, 10)),
            (3, entry(2, 100, 0)),
            (4, entry(3, 1_000, 0)),
            (5, entry(1, 10_000, 0)),
        ]));
        assert_eq!(table.family(2), [2, 3, 4]);
        assert_eq!(table.family_spent(2), Duration::from_secs(1_111));
        // The third ends, and its child with it.
        let later = Table(BTreeMap::from([(2, entry(1, 1, 1_110)), (5, entry(1, 10_000, 0))]));
        assert_eq!(later.family_spent(2), table.family_spent(2));
    }

    #[test]
    fn what_jobs_cost_is_a_difference_and_the_rest_of_the_machine_is_others() {
        let spent = |named, ours, machine, at| Spent {
            by_name: BTreeMap::from([("postgres", Duration::from_secs(named))]),
            ours: Duration::from_secs(ours),
            machine: Duration::from_secs(machine),
            at: Duration::from_secs(at),
        };
        let cost = spent(4, 20, 1_030, 110).since(&spent(2, 10, 1_000, 100), 100_000);
        assert_eq!(cost.us_per_job, [("postgres", 20.0)]);
        assert_eq!(cost.others_cores, 2.0);
    }

    #[test]
    fn waiting_is_not_busy() {
        let stat = "cpu  100 200 300 4000 5000 600 700 800 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(machine(stat), Some(Duration::from_secs(27)));
    }

    #[test]
    fn the_own_process_has_memory_and_time() {
        let own = [("own", std::process::id())];
        assert!(memory(&own).unwrap()[0].1 > 100 * 1024);
        assert!(spent(&own, &Clock::system()).unwrap().by_name.contains_key("own"));
    }
}
