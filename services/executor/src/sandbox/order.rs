//! What the executor and a supervisor say to each other, each in a line of JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Level, cgroup::Cgroup, fault::Fault, limits::Limits, processes::ProcessId};

/// What is to be run, how far it is to be shut in, and how much it may take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The only folder on a disk that it may write to.
    pub folder: PathBuf,
    /// The folder to begin in, where that is another one.
    pub begin_in: Option<PathBuf>,
    pub limits: Limits,
    pub confinement: Confinement,
}

/// How far an attempt is shut in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confinement {
    pub level: Level,
    /// It may use the machine's network.
    pub network: bool,
    /// What it may read beside the system and its own folder.
    pub read: Vec<PathBuf>,
    /// Landlock is there: `isolated` does without, `process` does not.
    pub landlock: bool,
    /// Its own group, which counts, bounds and kills it; it is made by the supervisor.
    pub cgroup: Option<Cgroup>,
    /// The user of the machine, and the group of the same number, that it runs as; none where that is
    /// the executor's own.
    pub user: Option<u32>,
    /// What makes the namespaces of `isolated`.
    pub namespaces: Option<Namespaces>,
    /// What a test takes away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Confinement {
    /// As far as every program is shut in.
    pub fn none() -> Self {
        Self {
            level: Level::None,
            network: true,
            read: Vec::new(),
            landlock: false,
            cgroup: None,
            user: None,
            namespaces: None,
            faults: Vec::new(),
        }
    }

    /// Whether a layer that is asked for is put on.
    pub fn has(&self, layer: Fault) -> bool {
        !self.faults.contains(&layer)
    }
}

/// What the level `isolated` needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespaces {
    /// The program `bwrap`.
    pub bubblewrap: PathBuf,
    /// The folder that an attempt is shown as `/etc`.
    pub etc: PathBuf,
}

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The program runs; `init` is the first process of its namespaces, if it has any.
    Spawned { init: Option<ProcessId> },
    /// It could not be run, and nothing was; `errno` is the system's word for it, if it had one.
    NotSpawned { reason: String, errno: Option<i32> },
    /// It has ended after so many microseconds, and nothing that it began is alive.
    Ended { exit: Exit, wall_us: u64, survivors: usize, killed_for: Option<KilledFor> },
}

/// Why an attempt was ended that had not ended by itself, or what it was refused that it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KilledFor {
    /// The executor asked for it, or is gone.
    Order,
    WallTime,
    /// All its processes together took too much of it, like what follows.
    CpuTime,
    Memory,
    Processes,
    Disk,
    Files,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Status(i32),
    Signal(i32),
}
