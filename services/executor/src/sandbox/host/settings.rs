//! What an operator can set of the sandbox, and what it is made of.

use std::{fmt, path::PathBuf};

use crate::sandbox::{fault::Fault, users::Range};

/// What an operator can set of it.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Bubblewrap's program, which makes the namespaces of the sandbox level `isolated`.
    #[arg(long, env = "NOX_BWRAP", default_value = "bwrap")]
    pub bwrap: PathBuf,

    /// User ids that belong to nobody: each isolated attempt runs as one of its own, where the executor
    /// is root.
    #[arg(long, env = "NOX_SANDBOX_UIDS", default_value_t)]
    pub sandbox_uids: Range,

    /// Whether modules of the sandbox level `none` are run: their jobs may do what the executor may.
    #[arg(long, env = "NOX_SANDBOX_ALLOW_NONE", default_value_t = false,
          action = clap::ArgAction::Set)]
    pub sandbox_allow_none: bool,

    /// What attempts of all modules may read beside the system: absolute paths, with colons between
    /// them.
    #[arg(long, env = "NOX_SANDBOX_READ", value_delimiter = ':')]
    pub sandbox_read: Vec<PathBuf>,

    /// Layers that are taken for missing, in tests: cgroup, landlock, seccomp, namespaces, user.
    #[arg(long, env = "NOX_SANDBOX_WITHOUT", value_delimiter = ',', hide = true)]
    pub sandbox_without: Vec<Layer>,

    /// Layers that attempts do without although they are there, in tests.
    #[arg(skip)]
    pub sandbox_faults: Vec<Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bwrap: "bwrap".into(),
            sandbox_uids: Range::default(),
            sandbox_allow_none: false,
            sandbox_read: Vec::new(),
            sandbox_without: Vec::new(),
            sandbox_faults: Vec::new(),
        }
    }
}

/// What a level is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Layer {
    Cgroup,
    Landlock,
    Seccomp,
    Namespaces,
    /// A user of the machine for each attempt at the level `process`.
    User,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup => "cgroup",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Namespaces => "namespaces",
            Self::User => "user",
        })
    }
}
