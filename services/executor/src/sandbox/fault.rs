//! Layers that tests take away behind everybody's back, one at a time: what then succeeds shows what each of
//! them is for. No setting and no manifest reaches this, only code that makes a
//! [`Settings`](super::host::Settings).

use serde::{Deserialize, Serialize};

/// A layer that is said to be there, and is not put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `isolated` runs beside the executor, in the machine's own namespaces.
    Namespaces,
    Seccomp,
    Landlock,
    /// The bit itself; whoever puts on Landlock, seccomp or namespaces sets it once more.
    NoNewPrivs,
    /// The group is made, and nobody is in it.
    Cgroup,
    Rlimits,
    /// Root keeps its privileges.
    Capabilities,
    /// Root's attempts at `process` stay root.
    User,
}
