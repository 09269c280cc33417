//! What an earlier process of this executor left running. Its supervisors end their attempts when it
//! dies; this makes sure, for they may have been killed as well.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{
    cgroup::Cgroup,
    hold::signal_user,
    orphans::kill_orphans,
    processes::{ProcessId, kill_descendants, kill_marked, kill_session, processes_of},
    users,
};
use crate::folder::{Folder, Journal, clear_removed};

/// Between two looks for processes that are still alive.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks after which a process that cannot be killed is worth a word, and again each so many: 5 s.
const LOOKS_UNTIL_LOUD: u32 = 1_000;

/// Attempts of an earlier process. Nothing of them runs any more; their folders are still there.
#[derive(Debug)]
pub struct Leftovers {
    data: PathBuf,
    folders: Vec<Folder>,
}

impl Leftovers {
    /// Kills all that is left in `data`, and waits until it is gone. Blocks.
    pub fn kill(data: &Path) -> std::io::Result<Self> {
        let folders = Folder::left_behind(data)?;
        for folder in &folders {
            let holders = folder.holders().unwrap_or_default();
            // Of one that is gone, the number may by now be anybody's.
            let supervisor = holders.supervisor.filter(|supervisor| supervisor.is_alive());
            // It may be another executor's attempt's by now; of this one's, the folder is its own.
            let lock = holders.user.map(users::lock);
            let user = holders.user.filter(|_| matches!(lock, Some(Ok(_))));
            let holders = Holders { supervisor, user, ..holders };
            let killed = end_by_force(&holders, Some(&folder.mark()));
            let folder = folder.path().display();
            tracing::info!(%folder, killed, "Ended what an earlier process left behind");
        }
        Ok(Self { data: data.to_owned(), folders })
    }

    /// The attempts that were about to be spawned or later: they count as started, else a job that
    /// takes its executor down with it would be tried for ever.
    pub fn started(&self) -> impl Iterator<Item = Journal> {
        self.folders.iter().filter_map(Folder::journal)
    }

    /// Forgets them, and removes their folders in the background: whatever a job left there, neither
    /// the start nor the end of the executor waits for it.
    pub fn remove(self) {
        for folder in &self.folders {
            folder.set_aside();
        }
        thread::spawn(move || clear_removed(&self.data));
    }
}

/// By what an attempt's processes can be found and ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    pub supervisor: Option<ProcessId>,
    /// The first process of its namespaces, with which all others in there end.
    pub init: Option<ProcessId>,
    pub cgroup: Option<Cgroup>,
    /// The user that nobody else was, for as long as its executor lived.
    pub user: Option<u32>,
}

/// Ends an attempt without its supervisor's help. Returns how many were killed when none is left. Blocks.
///
/// With the first process of namespaces, whoever is in there ends; a group or a user holds the others.
/// Where there is none of that, they are looked for: whoever descends from the supervisor, is in its
/// session, or bears the attempt's mark. Whom a supervisor left to this process, its parent, is met as well.
///
/// The supervisor, if it is named, lives, or has died just now.
pub fn end_by_force(holders: &Holders, mark: Option<&str>) -> usize {
    let Holders { supervisor, init, cgroup, user } = holders;
    let is_held = init.is_some() || cgroup.is_some() || user.is_some();
    // First, for it would start again what is killed here; last where only it leads to the others.
    if let Some(supervisor) = supervisor.filter(|_| is_held) {
        supervisor.kill();
    }
    let mut killed: BTreeSet<ProcessId> = init.iter().copied().collect();
    let in_group = cgroup.as_ref().map_or(0, |group| {
        let met = group.kill_all();
        group.remove();
        met
    });
    let mut looks = 0u32;
    let mut found_nobody = false;
    loop {
        let mut found = kill_orphans();
        found.extend(init.iter().copied().filter(|init| init.is_alive()));
        found.iter().for_each(|process| process.kill());
        if let Some(user) = user {
            found.append(&mut kill_user(*user));
        }
        if let Some(supervisor) = supervisor.filter(|supervisor| supervisor.is_alive()) {
            found.append(&mut kill_descendants(supervisor.pid));
        }
        if let Some(mark) = mark.filter(|_| !is_held) {
            found.append(&mut kill_marked(mark));
        }
        // Last, for the session is the supervisor's own: what it holds together must be gone.
        if let Some(supervisor) = supervisor.filter(|_| found.is_empty()) {
            found = kill_session(supervisor.pid);
        }
        // Twice, for one that dies may leave its children to this process only now.
        if found.is_empty() && found_nobody {
            return killed.len().max(in_group);
        }
        found_nobody = found.is_empty();
        killed.append(&mut found);
        looks += 1;
        if looks.is_multiple_of(LOOKS_UNTIL_LOUD) {
            tracing::error!(?holders, ?found, "Processes of an attempt cannot be killed");
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn kill_user(user: u32) -> BTreeSet<ProcessId> {
    let found = processes_of(user);
    if !found.is_empty() {
        signal_user(user, Signal::KILL);
    }
    found
}
