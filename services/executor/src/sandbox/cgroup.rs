//! A control group for each attempt: it bounds memory and processes exactly, counts what was refused,
//! and knows who belongs to the attempt, wherever they went.
//!
//! Version 2 where it has the controllers, else version 1, whose controllers have a tree each. Written
//! by hand: crates for it (`cgroups-rs`) speak for whole containers and bring systemd's bus.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::limits::Limits;

/// Memory of a group beyond what was asked for: what the kernel needs for processes, and the process
/// that is the first in an attempt's namespaces.
const MEMORY_BYTES_SPARE: u64 = 16 << 20;

/// Processes of a group beyond an attempt's own: those that make its namespaces.
const PROCESSES_SPARE: u64 = 8;

/// How long an emptied group may take to be removable.
const REMOVAL_WAIT: Duration = Duration::from_millis(500);

const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Where the groups of an executor's attempts are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    version: Version,
    memory: PathBuf,
    pids: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Version {
    V1,
    V2,
}

/// The group of one attempt. It need not have been made yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    version: Version,
    memory: PathBuf,
    /// The same folder in version 2.
    pids: PathBuf,
}

/// What a group was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Processes that were killed because there was no memory left.
    pub memory: u64,
    /// Processes that were not begun because there were too many.
    pub processes: u64,
}

impl Base {
    /// Finds a place for groups of the executor with this name, and tries it.
    ///
    /// # Errors
    /// Why there is none, for an operator.
    pub fn find(name: &str) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let mut reasons = Vec::new();
        for base in places(&mounts, &own) {
            match base.begin(name) {
                Ok(base) => return Ok(base),
                Err(error) => reasons.push(format!("{}: {error}", base.memory.display())),
            }
        }
        if reasons.is_empty() {
            reasons.push("there are none with the controllers memory and pids".to_owned());
        }
        Err(reasons.join("; "))
    }

    /// Makes this executor's own folder, and a group in it that is gone at once.
    fn begin(&self, name: &str) -> io::Result<Self> {
        let own = Self {
            version: self.version,
            memory: self.memory.join(name),
            pids: self.pids.join(name),
        };
        if self.version == Version::V2 {
            own_leaf(&self.memory)?;
        }
        for folder in own.folders() {
            fs::DirBuilder::new().recursive(true).create(folder)?;
        }
        if self.version == Version::V2 {
            fs::write(own.memory.join("cgroup.subtree_control"), "+memory +pids")?;
        }
        let group = own.group("probe");
        let made = group.create(64 << 20, 64).and_then(|()| group.refused());
        group.remove();
        made.map(|_| own)
    }

    /// The group of an attempt.
    pub fn group(&self, name: &str) -> Cgroup {
        let (memory, pids) = (self.memory.join(name), self.pids.join(name));
        Cgroup { version: self.version, memory, pids }
    }

    /// Kills what an earlier process of this executor left in its groups, and removes them.
    pub fn clear(&self) {
        for folder in self.folders() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let group = self.group(&entry.file_name().to_string_lossy());
                    group.kill_all();
                    group.remove();
                }
            }
        }
    }

    /// Removes the executor's own folder; one in which something is stays.
    pub fn remove(&self) {
        for folder in self.folders() {
            let _ = fs::remove_dir(folder);
        }
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        let pids = (self.pids != self.memory).then_some(&*self.pids);
        std::iter::once(&*self.memory).chain(pids)
    }

    pub fn version(&self) -> u8 {
        match self.version {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }
}

impl Cgroup {
    /// Makes it, with an attempt's limits.
    pub fn make(&self, limits: &Limits) -> io::Result<()> {
        self.create(limits.memory_bytes, limits.processes)
    }

    fn create(&self, memory_bytes: u64, processes: u64) -> io::Result<()> {
        for folder in self.folders() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let memory = memory_bytes.saturating_add(MEMORY_BYTES_SPARE).to_string();
        match self.version {
            Version::V1 => {
                self.write("memory.limit_in_bytes", &memory)?;
                // Not there where swap is not counted; then it is not to be used.
                if self.write("memory.memsw.limit_in_bytes", &memory).is_err() {
                    let _ = self.write("memory.swappiness", "0");
                }
            }
            Version::V2 => {
                self.write("memory.max", &memory)?;
                let _ = self.write("memory.swap.max", "0");
                self.write("memory.oom.group", "1")?;
            }
        }
        let processes = processes.saturating_add(PROCESSES_SPARE).to_string();
        fs::write(self.pids.join("pids.max"), processes)
    }

    /// Moves the calling thread there, and what it starts from then on; of version 2, the whole
    /// process, for no thread can be alone there. It goes back when this is dropped.
    pub fn enter(&self) -> io::Result<Inside> {
        let own = fs::read_to_string("/proc/thread-self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let file = match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        let mut back = Vec::new();
        for (folder, controller) in self.folders().zip(["memory", "pids"]) {
            let before = own_folder(&mounts, &own, self.version, controller)
                .ok_or_else(|| io::Error::other("this process is in no group"))?;
            // Opened now, for what is begun in between may take away the right to.
            back.push(fs::File::options().write(true).open(before.join(file))?);
            fs::write(folder.join(file), "0")?;
        }
        Ok(Inside { back })
    }

    /// What it was refused so far.
    pub fn refused(&self) -> io::Result<Refused> {
        let memory = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        Ok(Refused {
            memory: value(&fs::read_to_string(self.memory.join(memory))?, "oom_kill"),
            processes: value(&fs::read_to_string(self.pids.join("pids.events"))?, "max"),
        })
    }

    /// Bytes of memory that it has in use.
    pub fn memory(&self) -> Option<u64> {
        let file = match self.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        fs::read_to_string(self.memory.join(file)).ok()?.trim().parse().ok()
    }

    /// Who is in it. The dead are not.
    pub fn processes(&self) -> Vec<i32> {
        let list = fs::read_to_string(self.pids.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).collect()
    }

    /// Sends SIGKILL to all of them, once; nobody new can be begun from then on. Returns how many.
    pub fn kill(&self) -> usize {
        // First: who can start nobody cannot outrun this. Where it is gone, so are they.
        let _ = fs::write(self.pids.join("pids.max"), "0");
        let processes = self.processes();
        if self.version == Version::V2 && self.write("cgroup.kill", "1").is_ok() {
            return processes.len();
        }
        let own = getpid();
        for pid in processes.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            if pid != own {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        processes.len()
    }

    /// Kills until nobody is left, for as long as that takes. Blocks. Returns how many were first met.
    pub fn kill_all(&self) -> usize {
        let found = self.kill();
        while self.kill() > 0 {
            thread::sleep(LOOK_AGAIN);
        }
        found
    }

    /// Removes it; nobody may be in it.
    pub fn remove(&self) {
        for folder in self.folders() {
            let mut waited = Duration::ZERO;
            while let Err(error) = fs::remove_dir(folder) {
                // Whoever has just died leaves a moment later.
                if error.kind() != io::ErrorKind::ResourceBusy || waited > REMOVAL_WAIT {
                    break;
                }
                thread::sleep(LOOK_AGAIN);
                waited += LOOK_AGAIN;
            }
        }
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.memory.join(file), value)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        let pids = (self.pids != self.memory).then_some(&*self.pids);
        std::iter::once(&*self.memory).chain(pids)
    }
}

/// A stay of the calling thread in a group.
#[derive(Debug)]
pub struct Inside {
    back: Vec<fs::File>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        for file in &mut self.back {
            // If it cannot go back, it dies with the attempt, which is what it is there for.
            let _ = io::Write::write_all(file, b"0");
        }
    }
}

/// Where groups may be made, the best place first.
fn places(mounts: &str, own: &str) -> Vec<Base> {
    let mut places = Vec::new();
    let v2 = |folder: PathBuf| Base { version: Version::V2, pids: folder.clone(), memory: folder };
    if let Some(own) = own_folder(mounts, own, Version::V2, "memory") {
        let has = |file: &str| {
            let text = fs::read_to_string(own.join(file)).unwrap_or_default();
            let controllers: Vec<_> = text.split_whitespace().collect();
            controllers.contains(&"memory") && controllers.contains(&"pids")
        };
        if has("cgroup.controllers") {
            places.push(v2(own));
        }
    }
    let v1 = |controller| own_folder(mounts, own, Version::V1, controller);
    if let (Some(memory), Some(pids)) = (v1("memory"), v1("pids")) {
        places.push(Base { version: Version::V1, memory, pids });
    }
    places
}

/// In version 2 a group that has groups with controllers below it has no processes: this one goes to a
/// group of its own, if it is alone, as a service to which systemd has delegated its group is.
fn own_leaf(folder: &Path) -> io::Result<()> {
    let control = folder.join("cgroup.subtree_control");
    if fs::write(&control, "+memory +pids").is_ok() {
        return Ok(());
    }
    let own = getpid().as_raw_nonzero().get().to_string();
    let processes = fs::read_to_string(folder.join("cgroup.procs"))?;
    if processes.lines().any(|pid| pid != own) {
        return Err(io::Error::other("other processes are in this one's group"));
    }
    let leaf = folder.join("executor");
    fs::DirBuilder::new().recursive(true).create(&leaf)?;
    fs::write(leaf.join("cgroup.procs"), "0")?;
    fs::write(control, "+memory +pids")
}

/// The folder of the group that this process is in, by the texts of /proc/self/mountinfo and
/// /proc/self/cgroup.
fn own_folder(mounts: &str, own: &str, version: Version, controller: &str) -> Option<PathBuf> {
    let kind = match version {
        Version::V1 => "cgroup",
        Version::V2 => "cgroup2",
    };
    let (root, mount_point) = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let (found, _, options) = (right.next()?, right.next()?, right.next()?);
        let has = version == Version::V2 || options.split(',').any(|one| one == controller);
        let mut left = left.split(' ').skip(3);
        (found == kind && has).then_some((left.next()?, left.next()?))
    })?;
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_meant = match version {
            Version::V1 => controllers.split(',').any(|one| one == controller),
            Version::V2 => controllers.is_empty(),
        };
        is_meant.then_some(path)
    })?;
    // In a container the mount may begin where the path does.
    let below = Path::new(path).strip_prefix(root).or(Path::new(path).strip_prefix("/")).ok()?;
    Some(Path::new(mount_point).join(below))
}

fn value(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let mut values = lines.filter(|(found, _)| *found == name);
    values.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
