//! What an attempt is shut in by: how far it may reach, how much it may take, and that nothing of it
//! is left.
//!
//! The rest of the executor asks [`host`] how an attempt can be shut in here, and has it run by
//! `Sandbox`, which has three verbs: `spawn`, `usage` (which comes with the end) and `kill_all`. Between the executor
//! and each attempt stands a `supervisor`, the executor's own program under another name. It starts the
//! program at the [`Level`] that the module's manifest names, holds it to its limits, and leaves nothing alive:
//!
//! | level | it is shut in by | all of it is held together by (`hold`) |
//! |---|---|---|
//! | `none` | session, clean environment, limits | being its supervisor's descendants, who are looked for (`processes`) |
//! | `process` | also `landlock`, `seccomp`, no capabilities; root's a user of its own (`users`) | a `cgroup`; without one, root's by that user, an ordinary user's as at `none` |
//! | `isolated` | also namespaces, made by `bubblewrap`; a user of its own (`users`) | their first process, `init` |
//!
//! `host` finds out once what this machine has for that, by trying it (`trial`). `limits` are held by the
//! kernel where it can, else looked at by the supervisor (`watch`), as the folder's bytes are (`disk`).
//! `orphans` and `leftovers` are what a supervisor that was killed leaves. A [`fault`] takes a layer away, in tests.

mod bubblewrap;
mod cgroup;
mod confine;
mod disk;
mod etc;
pub mod fault;
mod hold;
pub mod host;
mod init;
mod landlock;
mod leftovers;
mod limits;
mod order;
mod orphans;
mod processes;
mod seccomp;
mod spawn;
mod stage;
mod supervised;
mod supervisor;
mod trial;
mod users;
mod watch;

pub use nox_manifest::Level;
pub use supervisor::supervise_if_asked;

pub(crate) use self::{
    leftovers::{Holders, Leftovers},
    limits::Limits,
    order::{Confinement, Exit, KilledFor, Order},
    supervised::{NotSpawned, Printed, Sandbox, Usage},
    trial::is_transient,
};
