//! Processes as /proc shows them, and ending exactly those that are meant: for what nothing else holds together,
//! and for what no group counts. The crate `procfs` parses whole files, of which this needs a field or two.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    time::Duration,
};

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, PidfdFlags, Signal, getuid, kill_process_group, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

/// A process, told apart from a later one that got the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    /// When it began, in clock ticks since the machine did.
    pub started: u64,
}

/// What is needed of a line of /proc/<pid>/stat.
#[derive(Debug, Clone, Copy)]
struct Stat {
    id: ProcessId,
    group: i32,
    session: i32,
    /// Has ended, and waits for its parent to take notice.
    zombie: bool,
    threads: u64,
    /// Clock ticks on a processor, those of its children that it has waited for included.
    ticks: u64,
}

impl ProcessId {
    /// The process that now has this number.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| stat.id)
    }

    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.id == self && !stat.zombie)
    }

    /// Ends this process at once, and never another one.
    pub fn kill(self) {
        self.signal(Signal::KILL);
    }

    /// Asks this process to end, and never another one.
    pub fn terminate(self) {
        self.signal(Signal::TERM);
    }

    fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The descriptor holds on to whichever process has the number now; if that is the one which
        // was meant, the signal reaches it or nobody.
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && Self::of(self.pid) == Some(self)
        {
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

/// Kills all living descendants of the process `root`; returns who they were.
///
/// Nobody can leave a tree whose root is a subreaper, so an empty answer together with no child left
/// to wait for means that nothing is left. Each is killed as soon as it is seen: one that starts
/// another and ends would be gone by the end of a longer look.
pub fn kill_descendants(root: i32) -> BTreeSet<ProcessId> {
    let mut killed = kill_tree(root, |_| true);
    killed.retain(|_, zombie| !*zombie);
    killed.into_keys().collect()
}

/// Kills those children of the process `root` that are meant, and all that descends from them;
/// returns who they were, the dead included that `root` has yet to wait for.
pub fn kill_children(root: i32, is_meant: impl Fn(ProcessId) -> bool) -> BTreeSet<ProcessId> {
    kill_tree(root, is_meant).into_keys().collect()
}

/// Returns who was found, and whether they were dead already.
fn kill_tree(root: i32, is_meant: impl Fn(ProcessId) -> bool) -> BTreeMap<ProcessId, bool> {
    let own_group = stat(root).map(|stat| stat.group);
    let mut found = BTreeMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            let Some(stat) = stat(child) else { continue };
            if parent == root && !is_meant(stat.id) {
                continue;
            }
            // Before it is killed, for then its children are no longer to be found below it.
            parents.push(child);
            found.insert(stat.id, stat.zombie);
            if stat.zombie {
                continue;
            }
            // A group dies as a whole, even while its members fork; one by one they could outrun
            // this. The groups of a tree are its own, but for the root's, which a child may join.
            if Some(stat.group) != own_group
                && let Some(group) = Pid::from_raw(stat.group)
            {
                let _ = kill_process_group(group, Signal::KILL);
            }
            stat.id.kill();
        }
    }
    found
}

/// All living descendants of the process `root`.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let mut children = children(parent);
        children.retain(|child| stat(*child).is_some_and(|stat| !stat.zombie));
        found.extend_from_slice(&children);
        parents.extend(children);
    }
    found
}

/// The children of a process; each belongs to the thread that started it, or to any that it came to as an
/// orphan.
pub fn children(pid: i32) -> Vec<i32> {
    let of_thread = |thread: fs::DirEntry| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.flat_map(of_thread).collect()
}

/// Whether the kernel says who is whose child, without which nobody could be found below a process.
pub fn tells_children() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

/// How many threads processes have together, each at least one.
pub fn tasks(pids: &[i32]) -> u64 {
    pids.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.threads.max(1)).sum()
}

/// How many threads this process's user has, those of other attempts among them.
pub fn tasks_of_user() -> u64 {
    of_user(getuid().as_raw()).map(|stat| stat.threads.max(1)).sum()
}

/// The living processes of a user.
pub fn processes_of(user: u32) -> BTreeSet<ProcessId> {
    of_user(user).filter(|stat| !stat.zombie).map(|stat| stat.id).collect()
}

fn of_user(user: u32) -> impl Iterator<Item = Stat> {
    all().filter(move |stat| {
        fs::metadata(format!("/proc/{}", stat.id.pid)).is_ok_and(|process| process.uid() == user)
    })
}

/// How long processes were on a processor together, with the children that they have waited for.
pub fn times(pids: &[i32]) -> Duration {
    let ticks: u64 = pids.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.ticks).sum();
    Duration::from_millis(ticks * 1_000 / clock_ticks_per_second().max(1))
}

/// At most how many bytes of memory processes use together, disregarding what only mirrors a file on
/// a disk. A page that several of them have counts once for each, which is quick to find out.
pub fn memory_bound(pids: &[i32]) -> u64 {
    const PARTS: [&str; 2] = ["RssAnon:", "RssShmem:"];
    let of_threads = |pid: i32| {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let mut threads = threads.filter_map(|thread| thread.file_name().into_string().ok());
        threads.find_map(|thread| memory_in(pid, &format!("task/{thread}/status"), PARTS))
    };
    // Where the first thread has ended, the others know.
    pids.iter()
        .filter_map(|pid| memory_in(*pid, "status", PARTS).or_else(|| of_threads(*pid)))
        .sum()
}

/// How many it is. The kernel has to look at every page of theirs. One that hides its pages is taken
/// to share none.
pub fn memory(pids: &[i32]) -> u64 {
    let share = |pid| memory_in(pid, "smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"]);
    pids.iter().map(|pid| share(*pid).unwrap_or_else(|| memory_bound(&[*pid]))).sum()
}

/// The sum of such lines in a process's file, in bytes; `None` where there is none of them.
fn memory_in(pid: i32, file: &str, names: [&str; 2]) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let kilobytes = |line: &str| {
        let value = names.iter().find_map(|name| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let values: Vec<u64> = text.lines().filter_map(kilobytes).collect();
    (!values.is_empty()).then(|| values.iter().sum::<u64>() << 10)
}

/// Kills all living processes of the session that `leader` began; returns who they were.
pub fn kill_session(leader: i32) -> BTreeSet<ProcessId> {
    kill_where(|stat| stat.session == leader)
}

/// Kills all living processes whose environment has this very `NAME=value`; returns who they were.
pub fn kill_marked(variable: &str) -> BTreeSet<ProcessId> {
    // Every environment ends with nothing.
    assert!(variable.contains('='), "{variable:?} marks nobody");
    kill_where(|stat| {
        let environment = fs::read(format!("/proc/{}/environ", stat.id.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    })
}

fn kill_where(is_meant: impl Fn(&Stat) -> bool) -> BTreeSet<ProcessId> {
    let mut killed = BTreeSet::new();
    for stat in all().filter(|stat| !stat.zombie && is_meant(stat)) {
        stat.id.kill();
        killed.insert(stat.id);
    }
    killed
}

fn all() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
}

fn stat(pid: i32) -> Option<Stat> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// A process may call itself anything, so its name may hold blanks and brackets.
fn parse(pid: i32, line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    Some(Stat {
        id: ProcessId { pid, started: fields.get(19)?.parse().ok()? },
        group: number(2)?,
        session: number(3)?,
        // One whose first thread has ended looks like a zombie while its other threads run.
        zombie: match *fields.first()? {
            "X" => true,
            "Z" => number(17)? <= 1,
            _ => false,
        },
        threads: fields.get(17)?.parse().ok()?,
        ticks: fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum(),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        process::{Child, Command, Stdio},
    };

    use super::*;

    fn sleeper(mark: &str) -> (Child, ProcessId) {
        let child = Command::new("sleep").arg("600").env("NOX_TEST_MARK", mark).spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        (child, id)
    }

    #[test]
    fn a_name_of_brackets_hides_nothing() {
        let line = format!("7 (a) S 1 (b) S 5 6 8 {}99 0", "0 ".repeat(15));
        let stat = parse(7, &line).unwrap();
        assert_eq!((stat.group, stat.session), (6, 8));
        assert_eq!(stat.id, ProcessId { pid: 7, started: 99 });
    }

    #[test]
    fn a_process_lives_as_long_as_any_of_its_threads() {
        let zombie = |state: &str, threads: u32| {
            let line = format!("7 (a) {state} 5 6 8 {}{threads} 0 99 0", "0 ".repeat(13));
            parse(7, &line).unwrap().zombie
        };
        assert!(zombie("Z", 1) && zombie("X", 0));
        assert!(!zombie("Z", 2) && !zombie("S", 1));
    }

    #[test]
    fn a_process_that_took_over_a_number_is_not_harmed() {
        let (mut child, id) = sleeper("reused");
        let before = ProcessId { started: id.started - 1, ..id };
        before.kill();
        assert!(id.is_alive() && !before.is_alive());
        id.kill();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn children_are_found() {
        let (mut child, id) = sleeper("tree");
        assert!(tells_children());
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(children(own).contains(&id.pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn shared_memory_is_counted_once() {
        // A process and its child have the same pages until one of them writes.
        let script =
            "x=$(head -c 20000000 /dev/zero | tr '\\0' x); (while :; do :; done) & echo; wait";
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let said = shell.stdout.as_mut().unwrap().read(&mut [0]);
        assert_eq!(said.unwrap(), 1);
        let own = i32::try_from(std::process::id()).unwrap();
        let pids = descendants(own);
        let (bound, exact) = (memory_bound(&pids), memory(&pids));
        pids.into_iter().filter_map(ProcessId::of).for_each(ProcessId::kill);
        shell.wait().unwrap();
        assert!(20_000_000 < exact && exact + 15_000_000 < bound, "{exact} of {bound}");
    }

    #[test]
    fn time_on_processors_is_that_of_a_process_and_of_those_it_waited_for() {
        let script = "(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); echo; read x";
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        assert_eq!(shell.stdout.as_mut().unwrap().read(&mut [0]).unwrap(), 1);
        let time = times(&[shell.id() as i32]);
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(time > Duration::from_millis(30), "{time:?}");
    }

    #[test]
    fn only_processes_with_the_very_mark_are_killed() {
        let (mut meant, _) = sleeper("/a/b");
        let (mut other, other_id) = sleeper("/a/bc");
        assert_eq!(kill_marked("NOX_TEST_MARK=/a/b").len(), 1);
        assert!(!meant.wait().unwrap().success());
        assert!(other_id.is_alive());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
