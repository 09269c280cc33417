//! What outlives a supervisor that was killed: it becomes a child of this process, wherever it went.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Mutex, PoisonError},
};

use rustix::{
    process::{Pid, Resource, WaitOptions, getpid, getrlimit, set_child_subreaper, waitpid},
    thread::no_new_privs,
};

use super::processes::{ProcessId, kill_children};

/// The supervisors that this process has started, as long as they are there. Orphans come to the
/// whole process, so this is its one list, too.
static SUPERVISORS: Mutex<BTreeSet<ProcessId>> = Mutex::new(BTreeSet::new());

/// Makes sure that whatever a supervisor leaves behind comes to this process.
pub fn expect_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Notes a supervisor, which is no orphan.
pub fn note_supervisor(supervisor: ProcessId) {
    let mut supervisors = SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner);
    supervisors.retain(|other| ProcessId::of(other.pid) == Some(*other));
    supervisors.insert(supervisor);
}

/// Kills what has come to this process from attempts, with all that descends from it; returns who
/// that was. Nobody is left when two looks in a row find nobody.
///
/// A process may have other children, servers with workers among them: whoever is not shut in as
/// attempts are is none of them.
pub fn kill_orphans() -> BTreeSet<ProcessId> {
    // In this order: a supervisor is noted before it is told to shut itself in.
    let is_orphan = |child: ProcessId| {
        is_shut_in(child.pid)
            && !SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner).contains(&child)
    };
    let own = getpid().as_raw_nonzero().get();
    let killed = kill_children(own, is_orphan);
    for orphan in &killed {
        // Nobody else waits for it. One that is no child, or not dead yet, is met again.
        if let Some(pid) = Pid::from_raw(orphan.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
    killed
}

/// Whether a process is under the limits of attempts, which nobody below a supervisor gets rid of:
/// one of them alone would also be found on every process of an executor that has it itself.
fn is_shut_in(pid: i32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let without_privileges = read("status").lines().any(|line| line == "NoNewPrivs:\t1");
    let own_limit = getrlimit(Resource::Data).maximum.unwrap_or(u64::MAX);
    without_privileges && !no_new_privs().unwrap_or(true) || data_limit(&read("limits")) < own_limit
}

/// The hard limit of private memory in the text of /proc/<pid>/limits.
fn data_limit(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max data size"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1));
    hard.and_then(|hard| hard.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn is_there(seconds: &str) -> Option<ProcessId> {
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let sleeps = |pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments == format!("sleep\0{seconds}\0").as_bytes()
        };
        pids.filter(sleeps).find_map(ProcessId::of)
    }

    #[test]
    fn only_orphans_of_attempts_are_killed() {
        expect_orphans().unwrap();
        let unique = std::process::id();
        let (servers, attempts) = (format!("6{unique}.1"), format!("6{unique}.2"));
        let script = format!(
            "sleep {servers} & (ulimit -d 1000000; exec env -i setsid sleep {attempts}) & wait"
        );
        // Its parent is killed, as a supervisor may be.
        let mut parent = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        while is_there(&servers).is_none() || is_there(&attempts).is_none() {
            std::thread::yield_now();
        }
        parent.kill().unwrap();
        parent.wait().unwrap();

        let attempt = is_there(&attempts).unwrap();
        let mut killed = BTreeSet::new();
        while ProcessId::of(attempt.pid) == Some(attempt) {
            killed.append(&mut kill_orphans());
        }
        let server = is_there(&servers).unwrap();
        server.kill();
        assert_eq!(killed, BTreeSet::from([attempt]));
    }

    #[test]
    fn the_hard_limit_counts() {
        let line =
            |hard: &str| format!("Max data size             77             {hard}    bytes\n");
        assert_eq!(data_limit(&line("1000")), 1_000);
        assert_eq!(data_limit(&line("unlimited")), u64::MAX);
        assert_eq!(data_limit(""), u64::MAX);
    }
}
