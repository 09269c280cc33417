//! Sandbox levels.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far an attempt is shut in. An executor never runs a lower level than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A trusted program: its own session under a supervisor, a clean environment, a private folder,
    /// limits. It sees the machine's files and network as the executor's user does. Only where an
    /// operator allows it.
    None,
    /// Also: it writes to its folder alone, reads that, the system and what its manifest names, has no
    /// capabilities and no sockets, and calls of the kernel that no engine needs are refused.
    Process,
    /// Also: its own user, processes, mounts, network, names and shared memory. It sees nothing of the
    /// machine but the system's programs.
    Isolated,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::None, Self::Process, Self::Isolated];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Process => "process",
            Self::Isolated => "isolated",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
