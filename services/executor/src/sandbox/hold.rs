//! By what a supervisor holds all processes of its attempt together, wherever they went: it counts and
//! ends them by it.

use std::{
    io::{self, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process_group, wait},
};

use super::{
    Level,
    cgroup::Cgroup,
    confine::become_user,
    fault::Fault,
    order::Confinement,
    processes::{ProcessId, descendants, kill_descendants},
};

/// Between two looks for processes, where they have to be looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What none of them gets out of.
#[derive(Debug)]
pub enum Hold {
    /// Their first process's death, which is everybody's in there: it ends when its socket closes.
    Namespaces { bubblewrap: Pid, init: UnixStream, cgroup: Option<Cgroup> },
    /// A group of the kernel's.
    Cgroup(Cgroup),
    /// A user of the machine that nobody else is.
    User(u32),
    /// That all of them descend from this process, a subreaper: they are looked for, again and again.
    Tree,
}

impl Hold {
    /// What holds an attempt without namespaces. One that is trusted may be root, and leave any group.
    pub fn of(confinement: &Confinement) -> Self {
        match confinement {
            Confinement { level: Level::None, .. } => Self::Tree,
            // Nobody is in it.
            confinement if !confinement.has(Fault::Cgroup) => Self::Tree,
            Confinement { cgroup: Some(cgroup), .. } => Self::Cgroup(cgroup.clone()),
            Confinement { user: Some(user), .. } => Self::User(*user),
            _ => Self::Tree,
        }
    }

    /// Who they are.
    pub fn processes(&self) -> Vec<i32> {
        match self {
            Self::Namespaces { cgroup: Some(cgroup), .. } | Self::Cgroup(cgroup) => {
                cgroup.processes()
            }
            _ => descendants(own_pid()),
        }
    }

    /// Asks all of them to end by themselves.
    pub fn terminate(&self) {
        match self {
            // If it is gone, so is everybody else.
            Self::Namespaces { init, .. } => drop((&mut &*init).write_all(&[0])),
            Self::User(user) => signal_user(*user, Signal::TERM),
            Self::Cgroup(_) | Self::Tree => {
                let attempt = self.processes();
                attempt.into_iter().filter_map(ProcessId::of).for_each(ProcessId::terminate);
            }
        }
    }

    /// Kills all of them, once; where they can outrun that, whoever is met.
    pub fn kill(&self) {
        match self {
            Self::Namespaces { bubblewrap, init, .. } => {
                // What is gone needs neither.
                let _ = init.shutdown(Shutdown::Both);
                let _ = kill_process_group(*bubblewrap, Signal::KILL);
            }
            Self::Cgroup(cgroup) => drop(cgroup.kill()),
            Self::User(user) => signal_user(*user, Signal::KILL),
            Self::Tree => drop(kill_descendants(own_pid())),
        }
    }

    /// Kills all of them; returns how many were left, when this process has no child any more.
    pub fn kill_all(&self) -> usize {
        if is_childless() {
            return 0;
        }
        match self {
            Self::Namespaces { .. } => {
                self.kill();
                reap_all();
                // They are counted in there.
                0
            }
            Self::Cgroup(cgroup) => {
                let met = cgroup.kill_all();
                reap_all();
                met
            }
            Self::User(user) => {
                let met = self.processes().len();
                // The kernel lets nobody be begun meanwhile: once is enough.
                signal_user(*user, Signal::KILL);
                reap_all();
                met
            }
            Self::Tree => {
                let mut killed = std::collections::BTreeSet::new();
                while !is_childless() {
                    let mut found = kill_descendants(own_pid());
                    // Of those that were killed before, dying takes time.
                    if found.is_subset(&killed) {
                        thread::sleep(LOOK_AGAIN);
                    }
                    killed.append(&mut found);
                }
                killed.len()
            }
        }
    }
}

/// Sends a signal to all processes of a user at once, which must be no other's than the attempt's.
/// Nobody of them can start another one unseen meanwhile.
pub fn signal_user(user: u32, signal: Signal) {
    // The kernel takes whom a thread may signal; its own process is excepted.
    let thread = thread::Builder::new().spawn(move || {
        become_user(user)?;
        // `kill(-1)`. That nobody is there is well.
        let _ = kill_process_group(Pid::INIT, signal);
        Ok::<_, io::Error>(())
    });
    let done = thread.map(thread::JoinHandle::join);
    debug_assert!(matches!(done, Ok(Ok(Ok(())))), "{done:?}");
}

/// Whether nobody is left of whom this process is the parent, after taking notice of the dead.
fn is_childless() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Takes notice of all children's deaths, for as long as that takes.
fn reap_all() {
    while !matches!(wait(WaitOptions::empty()), Err(error) if error != Errno::INTR) {}
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}
