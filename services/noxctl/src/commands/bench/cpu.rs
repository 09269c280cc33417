//! What processes have cost, from the kernel's books.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result};

/// In these units Linux tells processor times to everybody, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// A process under the name that is reported.
pub type Named = (&'static str, u32);

/// Processor time since the start of each process.
pub type Spent = BTreeMap<&'static str, Duration>;

/// Reads what each of `processes` and its children have spent.
pub fn read(processes: &[Named]) -> Result<Spent> {
    processes.iter().map(|(name, pid)| Ok((*name, of_family(*pid)?))).collect()
}

/// Microseconds a job, by process.
pub fn spent(before: &Spent, after: &Spent, jobs: usize) -> BTreeMap<&'static str, f64> {
    after
        .iter()
        .map(|(name, after)| {
            let spent = after.saturating_sub(before.get(name).copied().unwrap_or_default());
            (*name, spent.as_secs_f64() * 1e6 / jobs as f64)
        })
        .collect()
}

/// A process, its children that live, and those that have ended: their time moves to the parent's
/// books then, so that the sum never falls.
fn of_family(pid: u32) -> Result<Duration> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        // One may end between the two looks; its parent has its time then.
        .filter_map(|child| of(child).ok())
        .sum::<Duration>();
    Ok(of(pid)? + children)
}

fn of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let line = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse(&line).with_context(|| format!("cannot understand {path}"))
}

/// utime, stime, cutime and cstime, the 14th to 17th field; the second is a name that may hold
/// anything.
fn parse(line: &str) -> Option<Duration> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|ticks| ticks.parse::<u32>().ok());
    Some(TICK * ticks.sum::<Option<u32>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_times_count_whatever_the_process_is_called() {
        let line = "7 (a) 1 2) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99";
        assert_eq!(parse(line), Some(Duration::from_secs(1)));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn the_own_process_is_found() {
        assert!(read(&[("own", std::process::id())]).unwrap().contains_key("own"));
    }
}
